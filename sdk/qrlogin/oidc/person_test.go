package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

func TestSignInIsAskedFor(t *testing.T) {
	g := newRig(t)
	a := g.authorize("nobody", ask("own", "login_hint", "ada@example.com"))
	back := a.to().Query().Get("next")
	if a.Code != 303 || a.to().Path != "/login" || a.to().Query().Get("hint") != "ada@example.com" || !strings.HasPrefix(back, "/oidc/authorize?") {
		t.Fatalf("%d to %s", a.Code, a.to())
	}
	if b := g.send("ada", "GET", back, nil); !strings.HasPrefix(b.to().String(), callback+"?code=") {
		t.Errorf("after the sign-in: %d to %s", b.Code, b.to())
	}
	old := g.sessions["ada"]
	old.Since = time.Now().Add(-time.Hour)
	for what, c := range map[string]struct {
		q     url.Values
		again bool
	}{
		"a sign-in an hour ago":    {ask("own"), false},
		"prompt=login":             {ask("own", "prompt", "login"), true},
		"prompt=login consent":     {ask("own", "prompt", "login consent"), true},
		"prompt=select_account":    {ask("own", "prompt", "select_account"), true},
		"max_age that is over":     {ask("own", "max_age", "3599"), true},
		"max_age that is not over": {ask("own", "max_age", "3700"), false},
		"max_age=0":                {ask("own", "max_age", "0"), true},
		"a mark of the client's":   {ask("own", "prompt", "login", "fanfare_since", "1.AAAA"), true},
	} {
		g.sessions["ada"] = old
		a := g.authorize("ada", c.q)
		if again := a.to().Path == "/login"; again != c.again {
			t.Errorf("%s: %d to %s", what, a.Code, a.to())
		}
		if !c.again {
			continue
		}
		back := a.to().Query().Get("next")
		if b := g.send("ada", "GET", back, nil); b.to().Path != "/login" {
			t.Errorf("%s: going on without signing in: %d to %s", what, b.Code, b.to())
		}
		g.signIn("ada")
		b := g.send("ada", "GET", back, nil)
		if strings.Contains(what, "consent") {
			if b.Code != 200 || !strings.Contains(b.Body.String(), "wants to know") {
				t.Errorf("%s: %d %s", what, b.Code, b.Body)
			}
		} else if b.to().Query().Get("code") == "" {
			t.Errorf("%s: after the sign-in: %d to %s", what, b.Code, b.to())
		}
		// The mark is for this request and no other.
		if b := g.send("ada", "GET", strings.Replace(back, "nonce=", "nonce=x", 1), nil); c.q.Get("max_age") != "3599" && b.to().Path != "/login" {
			t.Errorf("%s: the mark of another request: %d to %s", what, b.Code, b.to())
		}
	}
	g.sessions["ada"] = old
	if a := g.authorize("ada", ask("own", "prompt", "none", "max_age", "60")); a.to().Query().Get("error") != "login_required" {
		t.Errorf("none and too old: %s", a.to())
	}
	// Who posts is led to the same page by a GET, which brings the cookie.
	if a := g.send("", "POST", "/oidc/authorize", ask("own"), "Sec-Fetch-Site", "cross-site", "Origin", "https://shop.example.com"); a.Code != 303 || a.to().Path != "/oidc/authorize" || a.to().Query().Get("nonce") != "the nonce" {
		t.Errorf("a POST: %d to %s", a.Code, a.to())
	}
}

func TestIDTokenHints(t *testing.T) {
	g := newRig(t)
	g.signIn("bob")
	hint := g.tokens().str("id_token")
	for user, want := range map[string]string{"ada": "", "bob": "login_required"} {
		if a := g.authorize(user, ask("own", "prompt", "none", "id_token_hint", hint)); a.to().Query().Get("error") != want {
			t.Errorf("%s: %s", user, a.to())
		}
	}
	if a := g.authorize("ada", ask("own", "prompt", "none", "id_token_hint", hint[:len(hint)-6]+"AAAAAA")); a.to().Query().Get("error") != "login_required" {
		t.Errorf("a hint with a flaw: %s", a.to())
	}
}

func TestConsent(t *testing.T) {
	g := newRig(t)
	if a := g.authorize("ada", ask("shop", "prompt", "none")); a.to().Query().Get("error") != "consent_required" {
		t.Fatalf("%s", a.to())
	}
	a := g.authorize("ada", ask("shop"))
	page := a.Body.String()
	if a.Code != 200 || !strings.Contains(page, "The Shop") || !strings.Contains(page, "your name") || !strings.Contains(page, "30 days") || !strings.Contains(page, "https://shop.example.com") {
		t.Fatalf("%d %s", a.Code, page)
	}
	csp := a.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https://shop.example.com;") || !strings.Contains(csp, "frame-ancestors 'none'") || a.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers: %v", a.Header())
	}
	form := url.Values{"query": {field(page, "query")}, "seal": {field(page, "seal")}, "decision": {"allow"}}
	change := func(name, v string) url.Values {
		f := url.Values{}
		for k := range form {
			f.Set(k, form.Get(k))
		}
		f.Set(name, v)
		return f
	}
	g.signIn("bob")
	wider := strings.Replace(form.Get("query"), "client_id=shop", "client_id=own", 1)
	for what, b := range map[string]got{
		"another site":    g.send("ada", "POST", "/oidc/consent", form, "Sec-Fetch-Site", "cross-site"),
		"another user":    g.send("bob", "POST", "/oidc/consent", form),
		"nobody":          g.send("", "POST", "/oidc/consent", form),
		"another seal":    g.send("ada", "POST", "/oidc/consent", change("seal", "AAAA")),
		"another request": g.send("ada", "POST", "/oidc/consent", change("query", wider)),
		"no request":      g.send("ada", "POST", "/oidc/consent", url.Values{"decision": {"allow"}}),
	} {
		if b.Code != 403 || b.Header().Get("Location") != "" {
			t.Errorf("%s: %d to %q", what, b.Code, b.Header().Get("Location"))
		}
	}
	for _, no := range []string{"deny", ""} {
		if b := g.send("ada", "POST", "/oidc/consent", change("decision", no), "Sec-Fetch-Site", "same-origin"); b.Code != 303 || b.to().Query().Get("error") != "access_denied" || b.to().Query().Get("iss") != issuer {
			t.Errorf("%q: %d to %s", no, b.Code, b.to())
		}
	}
	b := g.send("ada", "POST", "/oidc/consent", form, "Sec-Fetch-Site", "same-origin")
	if b.Code != 303 || b.to().Query().Get("code") == "" || b.to().Query().Get("state") != "the state" {
		t.Fatalf("yes: %d to %s", b.Code, b.to())
	}
	for q, want := range map[string]bool{"": true, "consent": false} {
		c := g.authorize("ada", ask("shop", "prompt", q))
		if ok := c.to().Query().Get("code") != ""; ok != want {
			t.Errorf("afterwards, prompt=%q: %d to %s", q, c.Code, c.to())
		}
	}
	if c := g.authorize("bob", ask("shop")); c.Code != 200 {
		t.Errorf("another user: %d", c.Code)
	}
	g.clients["evil"] = oidc.Client{ID: "evil", Name: `<script>alert(1)</script>`, RedirectURIs: []string{callback}}
	if c := g.authorize("ada", ask("evil", "state", `"><script>alert(2)</script>`)); c.Code != 200 || strings.Contains(c.Body.String(), "<script>") {
		t.Errorf("names from outside: %s", c.Body)
	}
}

func TestLogout(t *testing.T) {
	g := newRig(t)
	own := g.tokens().str("id_token")
	a := g.authorize("ada", ask("shop"))
	form := url.Values{"query": {field(a.Body.String(), "query")}, "seal": {field(a.Body.String(), "seal")}, "decision": {"allow"}}
	code := g.send("ada", "POST", "/oidc/consent", form).to().Query().Get("code")
	shop := g.token(redeeming(code, "client_id", "shop", "client_secret", "shop's secret")).str("id_token")
	bye := "https://shop.example.com/bye"
	path := func(pairs ...string) string {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return "/oidc/logout?" + q.Encode()
	}
	for what, p := range map[string]string{
		"an address of nobody":        path("id_token_hint", shop, "post_logout_redirect_uri", "https://evil.test/"),
		"another client's address":    path("id_token_hint", own, "post_logout_redirect_uri", bye),
		"an address without a client": path("post_logout_redirect_uri", bye),
		"two clients":                 path("id_token_hint", shop, "client_id", "own", "post_logout_redirect_uri", bye),
		"an access token":             path("id_token_hint", g.tokens().str("access_token")),
		"rubbish":                     path("id_token_hint", "x"),
		"two hints":                   path("id_token_hint", shop) + "&id_token_hint=x",
	} {
		if a := g.send("ada", "GET", p, nil); a.Code != 400 || a.Header().Get("Location") != "" {
			t.Errorf("%s: %d to %q", what, a.Code, a.Header().Get("Location"))
		}
	}
	// Without a hint, or with one of another session, the person is asked.
	g.signIn("bob")
	for what, c := range map[string]struct{ user, path string }{
		"no hint": {"ada", path()}, "another user's": {"bob", path("id_token_hint", shop, "post_logout_redirect_uri", bye)},
	} {
		a := g.send(c.user, "GET", c.path, nil)
		f := url.Values{"query": {field(a.Body.String(), "query")}, "seal": {field(a.Body.String(), "seal")}}
		if a.Code != 200 || !strings.Contains(a.Body.String(), "Sign out?") || f.Get("seal") == "" {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
		if b := g.send(c.user, "POST", "/oidc/logout/confirm", f, "Sec-Fetch-Site", "cross-site"); b.Code != 403 {
			t.Errorf("%s: confirmed by another site: %d", what, b.Code)
		}
		if b := g.send(map[string]string{"ada": "bob", "bob": "ada"}[c.user], "POST", "/oidc/logout/confirm", f); b.Code != 403 {
			t.Errorf("%s: confirmed by another user: %d", what, b.Code)
		}
	}
	if len(g.sessions) != 2 {
		t.Fatalf("somebody was signed out: %v", g.sessions)
	}
	f := url.Values{"query": {""}}
	f.Set("seal", field(g.send("bob", "GET", path(), nil).Body.String(), "seal"))
	if a := g.send("bob", "POST", "/oidc/logout/confirm", f, "Sec-Fetch-Site", "same-origin"); a.Code != 200 || !strings.Contains(a.Body.String(), "You are signed out") || len(g.sessions) != 1 {
		t.Errorf("confirmed: %d %s", a.Code, a.Body)
	}
	good := path("id_token_hint", shop, "post_logout_redirect_uri", bye, "state", "s t")
	if a := g.send("ada", "GET", good, nil); a.Code != 303 || a.Header().Get("Location") != bye+"?state=s+t" || len(g.sessions) != 0 {
		t.Errorf("the good one: %d to %q", a.Code, a.Header().Get("Location"))
	}
	if a := g.send("ada", "GET", good, nil); a.Code != 303 {
		t.Errorf("once more: %d", a.Code)
	}
	if a := g.send("", "POST", "/oidc/logout", url.Values{"id_token_hint": {shop}}, "Sec-Fetch-Site", "cross-site"); a.Code != 303 || a.to().Query().Get("id_token_hint") != shop {
		t.Errorf("a POST: %d to %s", a.Code, a.to())
	}
}
