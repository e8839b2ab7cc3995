package oidc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

const (
	issuer   = "https://id.example.com"
	callback = "https://shop.example.com/callback"
	verifier = "a-verifier-of-forty-three-characters-or-more"
)

// rig is a provider in an app whose sessions are a header.
type rig struct {
	t        *testing.T
	p        *oidc.Provider
	store    oidc.Store
	log      *safe
	sessions map[string]oidc.Session
	clients  map[string]oidc.Client
}

type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := oidc.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	return newRigWith(t, keys, oidc.NewMemory())
}

func newRigWith(t *testing.T, keys *oidc.Keys, store oidc.Store) *rig {
	t.Helper()
	g := &rig{t: t, store: store, log: &safe{}, sessions: map[string]oidc.Session{}, clients: map[string]oidc.Client{
		"shop":   {ID: "shop", Name: "The Shop", Secret: qrlogin.HashOf("shop's secret"), RedirectURIs: []string{callback, callback + "?kind=qr"}, LogoutURIs: []string{"https://shop.example.com/bye"}, Alg: "ES256"},
		"own":    {ID: "own", Name: "Our own", Secret: qrlogin.HashOf("own secret"), RedirectURIs: []string{callback}, FirstParty: true, Alg: "ES256"},
		"app":    {ID: "app", Name: "A native app", RedirectURIs: []string{"http://127.0.0.1/in", "com.example.app:/in"}, FirstParty: true, Alg: "ES256"},
		"narrow": {ID: "narrow", Name: "Narrow", RedirectURIs: []string{callback}, FirstParty: true, Scopes: []string{"openid"}, Alg: "ES256"},
	}}
	g.signIn("ada")
	var err error
	g.p, err = oidc.New(oidc.Options{
		Issuer: issuer, Store: store, Keys: keys, Site: "Example", Logger: slog.New(slog.NewTextHandler(g.log, nil)),
		Client: func(_ context.Context, id string) (oidc.Client, error) {
			if c, ok := g.clients[id]; ok {
				return c, nil
			}
			return oidc.Client{}, oidc.ErrNoClient
		},
		Session: func(r *http.Request) (oidc.Session, error) {
			if s, ok := g.sessions[r.Header.Get("X-User")]; ok {
				return s, nil
			}
			return oidc.Session{}, qrlogin.ErrNotSignedIn
		},
		SignIn: func(w http.ResponseWriter, r *http.Request, next, hint string) {
			http.Redirect(w, r, "/login?"+url.Values{"next": {next}, "hint": {hint}}.Encode(), http.StatusSeeOther)
		},
		SignOut: func(_ http.ResponseWriter, r *http.Request) { delete(g.sessions, r.Header.Get("X-User")) },
		Claims: func(_ context.Context, user string) (map[string]any, error) {
			return map[string]any{"name": strings.ToUpper(user), "sub": "an app cannot change that"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) signIn(user string) {
	g.sessions[user] = oidc.Session{ID: "session of " + user, User: user, Name: user, Since: time.Now()}
}

// got is an answer.
type got struct {
	*httptest.ResponseRecorder
	body map[string]any
}

func (a got) str(name string) string { s, _ := a.body[name].(string); return s }

// to is where the answer sends the browser.
func (a got) to() *url.URL {
	u, err := url.Parse(a.Header().Get("Location"))
	if err != nil {
		return &url.URL{}
	}
	return u
}

// send sends a request as the browser of user, or as a program if it is "".
func (g *rig) send(user, method, path string, form url.Values, header ...string) got {
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if user != "" {
		r.Header.Set("X-User", user)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a := got{ResponseRecorder: httptest.NewRecorder()}
	g.p.ServeHTTP(a, r)
	_ = json.Unmarshal(a.Body.Bytes(), &a.body) // pages are none
	return a
}

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is a good authorization request, changed by pairs; "" takes one away.
func ask(client string, pairs ...string) url.Values {
	q := url.Values{
		"client_id": {client}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile offline_access"},
		"state": {"the state"}, "nonce": {"the nonce"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return q
}

func (g *rig) authorize(user string, q url.Values) got {
	return g.send(user, "GET", "/oidc/authorize?"+q.Encode(), nil)
}

// code is a good code of the client own.
func (g *rig) code(pairs ...string) string {
	g.t.Helper()
	a := g.authorize("ada", ask("own", pairs...))
	if code := a.to().Query().Get("code"); a.Code == 303 && code != "" {
		return code
	}
	g.t.Fatalf("no code: %d %s %s", a.Code, a.Header().Get("Location"), a.Body)
	return ""
}

func redeeming(code string, pairs ...string) url.Values {
	f := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "client_id": {"own"}, "client_secret": {"own secret"}}
	for i := 0; i < len(pairs); i += 2 {
		if f.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			f.Del(pairs[i])
		}
	}
	return f
}

func (g *rig) token(f url.Values) got { return g.send("", "POST", "/oidc/token", f) }

func (g *rig) refresh(token string, pairs ...string) got {
	return g.token(redeeming("", append([]string{"grant_type", "refresh_token", "refresh_token", token, "code", "", "code_verifier", "", "redirect_uri", ""}, pairs...)...))
}

func (g *rig) userinfo(token string) got {
	return g.send("", "GET", "/oidc/userinfo", nil, "Authorization", "Bearer "+token)
}

// tokens are those of a fresh sign-in at the client own.
func (g *rig) tokens(pairs ...string) got {
	g.t.Helper()
	a := g.token(redeeming(g.code(pairs...)))
	if a.Code != 200 || a.str("access_token") == "" || a.str("id_token") == "" {
		g.t.Fatalf("no tokens: %d %s", a.Code, a.Body)
	}
	return a
}

// refused fails unless the answer is that error.
func (g *rig) refused(what string, a got, status int, code string) {
	g.t.Helper()
	if a.Code != status || a.str("error") != code || a.Header().Get("Cache-Control") != "no-store" {
		g.t.Errorf("%s: %d %s, want %d %s", what, a.Code, a.Body, status, code)
	}
}

// field is a hidden field of a page.
func field(page, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#39;", "'", "&#34;", `"`).Replace(m[1])
}
