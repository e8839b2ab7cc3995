package qrlogin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed ui
var ui embed.FS

// pages draw what people see. Immutable, safe for concurrent use.
type pages struct{ set *template.Template }

func newPages() (*pages, error) {
	set, err := template.ParseFS(ui, "ui/*.html")
	if err != nil {
		return nil, fmt.Errorf("qrlogin: %w", err)
	}
	return &pages{set}, nil
}

// assets serves the style sheet, the scripts and the mark; templates are not
// among them.
func (p *pages) assets() http.Handler {
	sub, err := fs.Sub(ui, "ui")
	if err != nil { // "ui" is a valid path
		return http.NotFoundHandler()
	}
	files := http.StripPrefix("/qr/assets/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch name := r.URL.Path[len("/qr/assets/"):]; name {
		case "qrlogin.css", "login.js", "phone.js", "follow.js", "mark.svg":
			w.Header().Set("Cache-Control", "public, max-age=300")
			files.ServeHTTP(w, r)
		default:
			gone().write(w)
		}
	})
}

func (p *pages) draw(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := p.set.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller is gone, if anything
	return nil
}

func (s *Server) getLogin(w http.ResponseWriter, _ *http.Request) error {
	return s.pages.draw(w, http.StatusOK, "login.html", map[string]any{"Site": s.o.Site, "Password": s.o.PasswordURL, "ShowLink": s.o.ShowLink})
}

func (p *pages) approve(w http.ResponseWriter, o Options, ticket string, u User, linked bool) {
	err := p.draw(w, http.StatusOK, "approve.html", map[string]any{
		"Site": o.Site, "Ticket": ticket, "Name": u.Name, "Linked": linked,
	})
	if err != nil {
		problemOf(err).write(w)
	}
}

func (p *pages) message(w http.ResponseWriter, o Options, pr *problem) {
	err := p.draw(w, pr.Status, "message.html", map[string]any{"Site": o.Site, "Title": pr.Detail, "Text": pr.Remedy})
	if err != nil {
		pr.write(w)
	}
}
