package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// TestWithoutThirdPartyCookies: in a browser that keeps no cookie of a site but
// the one in the address bar, people sign in to an app of another site. The
// browser of all tests is one; the first part shows that it is.
func TestWithoutThirdPartyCookies(t *testing.T) {
	t.Parallel()
	verifier := strings.Repeat("v", 43)
	var s *site
	var shop *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		ask := url.Values{"client_id": {"shop"}, "redirect_uri": {shop.URL + "/in"}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s"}, "nonce": {"n"}, "code_challenge": {pkceOf(verifier)}, "code_challenge_method": {"S256"}}
		_, _ = fmt.Fprintf(w, `<title>Shop</title><a href="%s/oidc/authorize?%s">Sign in</a>`, s.url, strings.ReplaceAll(ask.Encode(), "&", "&amp;"))
	})
	mux.HandleFunc("GET /in", func(w http.ResponseWriter, r *http.Request) {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {r.FormValue("code")}, "redirect_uri": {shop.URL + "/in"}, "code_verifier": {verifier}, "client_id": {"shop"}}
		resp, err := http.PostForm(s.url+"/oidc/token", form)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		var tokens map[string]any
		err = json.NewDecoder(resp.Body).Decode(&tokens)
		_, _ = fmt.Fprintf(w, "The shop got %v tokens, %v, and %s of %s", len(tokens), err, r.FormValue("state"), r.FormValue("iss"))
	})
	// A cookie of another site, set and asked for by a script here.
	mux.HandleFunc("GET /cookie", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/", Secure: true, SameSite: http.SameSiteNoneMode})
		_, _ = fmt.Fprint(w, "cookies: ", len(r.Cookies()))
	})
	shop = httptest.NewServer(mux) // at 127.0.0.1, another site than localhost
	defer shop.Close()
	file := filepath.Join(t.TempDir(), "clients.json")
	if err := writeClients(file, []oidc.Client{{ID: "shop", Name: "The Shop", RedirectURIs: []string{shop.URL + "/in"}}}); err != nil {
		t.Fatal(err)
	}
	s = startSiteWith(t, config{clients: file})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)

	screen.open(shop.URL + "/")
	ask := func(host string) string {
		at := strings.Replace(shop.URL, "127.0.0.1", host, 1) + "/cookie"
		js := fmt.Sprintf(`(async () => { const ask = async () => (await fetch(%q, {credentials: "include"})).text(); await ask(); return ask(); })()`, at)
		return evaluate[string](screen, js)
	}
	if first, third := ask("127.0.0.1"), ask("localhost"); first != "cookies: 1" || third != "cookies: 0" {
		t.Fatalf("the browser keeps the page's own %q, and another site's %q", first, third)
	}
	screen.click("a")
	screen.state("ready")
	mobile.open(screen.scan("oidc-login"))
	mobile.signIn()
	mobile.state("ask")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("The Shop wants to know who you are")
	screen.fits("consent")
	screen.shot("oidc-consent")
	screen.click(`[value="allow"]`)
	screen.shows("The shop got 5 tokens, <nil>, and s of " + s.url)

	// And by a form, whose page leads on without a redirect, to an app that is
	// known by now.
	other := desktop(t, browser)
	other.open(shop.URL + "/")
	other.click("a")
	other.state("ready")
	other.click(`a[href^="/signin"]`)
	other.signIn()
	other.shows("The shop got 5 tokens, <nil>, and s of " + s.url)
}
