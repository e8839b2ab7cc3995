package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// fault is an error of RFC 6749, 5.2 or of OpenID Connect Core, 3.1.2.6.
type fault struct {
	status int
	code   string
	text   string // for the developer of the client; no quotes, no secrets
}

func (f fault) Error() string { return "oidc: " + f.code + ": " + f.text }

func errClient() error {
	return fault{http.StatusUnauthorized, "invalid_client", "The client is not known, or its secret is wrong."}
}

func errGrant() error {
	return fault{http.StatusBadRequest, "invalid_grant", "The code or token is not good any more, or not for this client."}
}

func errToken() error {
	return fault{http.StatusUnauthorized, "invalid_token", "The access token is not good any more."}
}

func badRequest(text string) error {
	return fault{http.StatusBadRequest, "invalid_request", text}
}

// shown is a name from outside as it may stand in an error.
func shown(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, name[:min(40, len(name))])
}

// refuse answers a program.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[fault](err)
	if !ok {
		if r.Context().Err() == nil {
			p.o.Logger.Error("oidc: a request failed", "path", r.URL.Path, "error", err)
		}
		f = fault{http.StatusServiceUnavailable, "server_error", "Try again in a moment."}
	}
	switch {
	case f.code == "invalid_token":
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case f.code == "insufficient_scope":
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
	case f.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="oidc"`)
	}
	answer(w, f.status, map[string]string{"error": f.code, "error_description": f.text})
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // strings, numbers, lists
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the caller is gone, if anything
}

// page tells a person what is wrong, where no app can be told.
func (p *Provider) page(w http.ResponseWriter, status int, title, text string) {
	p.draw(w, status, "message.html", map[string]any{"Title": title, "Text": text, "Good": status == http.StatusOK})
}

func (p *Provider) draw(w http.ResponseWriter, status int, name string, data map[string]any) {
	var b strings.Builder
	data["Site"] = p.o.Site
	if err := p.pages.ExecuteTemplate(&b, name, data); err != nil {
		p.o.Logger.Error("oidc: a page could not be drawn", "page", name, "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // the caller is gone, if anything
}
