package qrlogin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

//go:embed ui
var ui embed.FS

// pages draw what people see, in their language. Immutable, safe for
// concurrent use.
type pages struct {
	words words
	sets  map[string]*template.Template // by language
}

func newPages() (*pages, error) {
	w, err := readWords(ui)
	if err != nil {
		return nil, err
	}
	p := &pages{w, map[string]*template.Template{}}
	for lang := range w {
		set := template.New("").Funcs(template.FuncMap{
			"t":    func(key string, pairs ...any) string { return w.say(lang, key, pairs...) },
			"lang": func() string { return lang },
		})
		if p.sets[lang], err = set.ParseFS(ui, "ui/*.html"); err != nil {
			return nil, fmt.Errorf("qrlogin: %w", err)
		}
	}
	return p, nil
}

// assets serves the style sheet, the scripts, the texts and the mark;
// templates are not among them.
func (p *pages) assets() http.Handler {
	sub, err := fs.Sub(ui, "ui")
	if err != nil { // "ui" is a valid path
		return http.NotFoundHandler()
	}
	files := http.StripPrefix("/qr/assets/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[len("/qr/assets/"):]
		w.Header().Set("Cache-Control", "public, max-age=300")
		switch name {
		case "qrlogin.css", "fanfare-qr-login.js", "face.js", "login.js", "phone.js", "follow.js", "mark.svg":
			files.ServeHTTP(w, r)
			return
		}
		if lang, ok := strings.CutPrefix(name, "lang/"); ok {
			if text, ok := p.words.module(strings.TrimSuffix(lang, ".js")); ok && strings.HasSuffix(lang, ".js") {
				w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
				_, _ = w.Write(text) // the caller is gone, if anything
				return
			}
		}
		w.Header().Set("Cache-Control", "no-store")
		gone().write(w)
	})
}

func (p *pages) draw(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var b bytes.Buffer
	if err := p.sets[p.words.match(r)].ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller is gone, if anything
	return nil
}

func (s *Server) getLogin(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	password, hint := s.o.PasswordURL, r.URL.Query().Get("login_hint")
	if more := (url.Values{"next": {next}, "login_hint": {hint}}); password != "" && next != "" {
		password += "?" + more.Encode()
	}
	return s.pages.draw(w, r, http.StatusOK, "login.html", map[string]any{
		"Site": s.o.Site, "Password": password, "Passkey": s.o.PasskeyURL, "ShowLink": s.o.ShowLink, "Next": next,
	})
}

// nextOf is where the request wants to go after sign-in, "" for nowhere in
// particular.
func nextOf(r *http.Request) (string, error) {
	next := r.FormValue("next")
	if next != "" && !LocalPath(next) {
		return "", badRequest("next has to be a path of this site.")
	}
	return next, nil
}

// Onward goes to a path after a form was sent. It is a page, and no redirect:
// browsers hold the redirects behind a form against the page's policy, and the
// path may lead on to another site.
func (s *Server) Onward(w http.ResponseWriter, r *http.Request, path string) {
	s.harden(w.Header())
	if err := s.pages.draw(w, r, http.StatusOK, "onward.html", map[string]any{"Site": s.o.Site, "Path": path}); err != nil {
		s.refuse(w, r, err)
	}
}

// approvePage is the phone's page: for a ticket, for a browser that asks, or to
// type a code.
type approvePage struct {
	Site, Ticket, Asked, Name string
	Linked, Type              bool
}

func (s *Server) drawApprove(w http.ResponseWriter, r *http.Request, p approvePage) error {
	p.Site = s.o.Site
	return s.pages.draw(w, r, http.StatusOK, "approve.html", p)
}

func (p *pages) message(w http.ResponseWriter, r *http.Request, o Options, pr *problem) {
	err := p.draw(w, r, pr.Status, "message.html", map[string]any{"Site": o.Site, "Icon": "warn", "Title": pr.Detail, "Text": pr.Remedy})
	if err != nil {
		pr.write(w)
	}
}
