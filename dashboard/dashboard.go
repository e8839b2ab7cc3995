// Package dashboard is the page of a Fanfare server for people: apps, keys,
// lines to copy, a live view of a channel. It is a client of the public API
// only; whatever it shows, a program can read too.
//
// dist is built from src by go generate and committed, so that go build and go
// run need Go alone. A test in internal/build says when the two differ.
package dashboard

//go:generate go run ./internal/build

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist
var dist embed.FS

// Path is where the page is mounted.
const Path = "/dashboard/"

// policy lets the page do what it does and nothing more: its own script and
// style, requests and sockets to its own server. Nothing of others, no inline
// script, no markup made of strings, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

type file struct {
	body []byte
	etag string
	kind string
}

// Handler serves the page: mount it at Path, its prefix left on. It answers
// GET and HEAD, names each file by its content (ETag) and has browsers ask
// before they use a kept copy (no-cache), so that a new server never meets an
// old page. It holds no state; all of it may be called concurrently.
func Handler() http.Handler {
	files := map[string]file{}
	for _, name := range []string{"index.html", "app.js", "app.css", "icon.svg"} {
		body, err := dist.ReadFile("dist/" + name)
		if err != nil {
			continue // dist is part of the source: a test fails first
		}
		sum := sha256.Sum256(body)
		files[name] = file{body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, kind: kind(name)}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "The dashboard is read by GET; its data comes from /v1/.", http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path == strings.TrimSuffix(Path, "/") {
			// Relative, so that it holds behind a proxy that mounts us deeper.
			w.Header().Set("Location", path.Base(Path)+"/")
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, Path)
		if name == "" {
			name = "index.html"
		}
		f, ok := files[name]
		if !ok {
			http.Error(w, "There is nothing here. The dashboard is at "+Path, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("ETag", f.etag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.body))
	})
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
}

// kind is written out, because what the system says of .js differs by machine.
func kind(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return "text/html; charset=utf-8"
	}
}
