package oidc_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

func TestASignIn(t *testing.T) {
	g := newRig(t)
	a := g.authorize("ada", ask("own"))
	q := a.to().Query()
	if a.Code != 303 || !strings.HasPrefix(a.to().String(), callback+"?") || q.Get("state") != "the state" || q.Get("iss") != issuer || len(q.Get("code")) != 78 {
		t.Fatalf("%d to %s", a.Code, a.to())
	}
	tokens := g.token(redeeming(q.Get("code")))
	if tokens.Code != 200 || tokens.str("token_type") != "Bearer" || tokens.body["expires_in"] != 300.0 || tokens.str("scope") != "openid profile offline_access" {
		t.Fatalf("%d %s", tokens.Code, tokens.Body)
	}
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(tokens.str("id_token"), claims)
	if err != nil || claims["iss"] != issuer || claims["sub"] != "ada" || claims["aud"] != "own" || claims["nonce"] != "the nonce" || claims["sid"] != "session of ada" || claims["auth_time"] == nil {
		t.Errorf("the ID token holds %v, %v", claims, err)
	}
	if parsed.Header["alg"] != "ES256" || parsed.Header["typ"] != "JWT" {
		t.Errorf("its header is %v", parsed.Header)
	}
	info := g.userinfo(tokens.str("access_token"))
	if info.Code != 200 || info.str("sub") != "ada" || info.str("name") != "ADA" {
		t.Errorf("userinfo: %d %s", info.Code, info.Body)
	}
	next := g.refresh(tokens.str("refresh_token"))
	if next.Code != 200 || next.str("refresh_token") == tokens.str("refresh_token") || next.str("refresh_token") == "" || next.str("id_token") == "" {
		t.Errorf("refreshed: %d %s", next.Code, next.Body)
	}
	log := g.log.String()
	for name, secret := range map[string]string{"code": q.Get("code")[26:], "access": tokens.str("access_token"), "refresh": tokens.str("refresh_token")[27:], "id": tokens.str("id_token"), "state": "the state", "secret": "own secret"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the %s:\n%s", name, log)
		}
	}
	if !strings.Contains(log, "tokens were given") {
		t.Errorf("the log tells nothing: %s", log)
	}
}

// TestRequestsRefused: of some things the app is told, of others only the
// person, since the address may be anybody's.
func TestRequestsRefused(t *testing.T) {
	g := newRig(t)
	for what, q := range map[string]url.Values{
		"invalid_request: no PKCE":         ask("own", "code_challenge", ""),
		"invalid_request: plain PKCE":      ask("own", "code_challenge_method", "plain"),
		"invalid_request: no method":       ask("own", "code_challenge_method", ""),
		"invalid_request: half a hash":     ask("own", "code_challenge", "abc"),
		"invalid_request: no type":         ask("own", "response_type", ""),
		"unsupported_response_type: token": ask("own", "response_type", "token"),
		"unsupported_response_type: both":  ask("own", "response_type", "code id_token"),
		"invalid_request: fragment":        ask("own", "response_mode", "fragment"),
		"invalid_scope: no openid":         ask("own", "scope", "profile"),
		"invalid_scope: none":              ask("own", "scope", ""),
		"invalid_request: prompt":          ask("own", "prompt", "none login"),
		"invalid_request: a prompt":        ask("own", "prompt", "create"),
		"invalid_request: max_age":         ask("own", "max_age", "-1"),
		"request_not_supported: r":         ask("own", "request", "e30.e30."),
		"request_uri_not_supported: r":     ask("own", "request_uri", "https://evil.test/r"),
		"registration_not_supported: r":    ask("own", "registration", "{}"),
		"invalid_request: a long state":    ask("own", "state", strings.Repeat("s", 3000)),
		"invalid_request: twice":           func() url.Values { q := ask("own"); q.Add("nonce", "another"); return q }(),
		"login_required: nobody":           ask("own", "prompt", "none"),
	} {
		want, _, _ := strings.Cut(what, ":")
		user := "ada"
		if want == "login_required" {
			user = "nobody"
		}
		a := g.authorize(user, q)
		back := a.to().Query()
		if a.Code != 303 || !strings.HasPrefix(a.to().String(), callback+"?") || back.Get("error") != want || back.Get("state") != q.Get("state") || back.Get("iss") != issuer || back.Has("code") {
			t.Errorf("%s: %d to %s", what, a.Code, a.to())
		}
	}
	twice := func(name string) url.Values { q := ask("own"); q.Add(name, "another"); return q }
	for what, q := range map[string]url.Values{
		"an unknown client": ask("nobody"), "no client": ask("own", "client_id", ""), "two clients": twice("client_id"), "two states": twice("state"),
		"no address": ask("own", "redirect_uri", ""), "two addresses": twice("redirect_uri"), "another's": ask("own", "redirect_uri", "com.example.app:/in"),
	} {
		if a := g.authorize("ada", q); a.Code != 400 || a.Header().Get("Location") != "" || !strings.Contains(a.Body.String(), "<h1>") {
			t.Errorf("%s: %d to %q", what, a.Code, a.Header().Get("Location"))
		}
	}
}

// TestT13RedirectURIs: a browser goes where a client registered, to the letter.
func TestT13RedirectURIs(t *testing.T) {
	g := newRig(t)
	for _, evil := range []string{
		callback + "/", callback + "?", callback + "?x=1", callback + "#", callback + "/../evil", callback + ".evil.test", "https://shop.example.com/Callback", "HTTPS://shop.example.com/callback",
		"https://shop.example.com:443/callback", "http://shop.example.com/callback", "https://shop.example.com@evil.test/callback", "https://evil.test/callback", "//shop.example.com/callback",
		"https://shop.example.com/%63allback", " " + callback, callback + " ", callback + "\n", "https:shop.example.com/callback", `https:\\shop.example.com\callback`, "javascript:alert(1)", "data:text/html,x",
		"http://127.0.0.1:9/in", "https://shop.example.com/callback\x00", "https://shop.example.com/callback%00", "https://shop.example.com/callback;x", "*",
	} {
		if a := g.authorize("ada", ask("own", "redirect_uri", evil)); a.Code != 400 || a.Header().Get("Location") != "" {
			t.Errorf("%q: %d to %q", evil, a.Code, a.Header().Get("Location"))
		}
	}
	// A native app's port on its own computer is chosen as it starts.
	for uri, want := range map[string]int{
		"http://127.0.0.1:51234/in": 303, "http://127.0.0.1/in": 303, "com.example.app:/in": 303,
		"http://127.0.0.1:51234/out": 400, "http://127.0.0.1:51234/in?x": 400, "http://127.0.0.2:51234/in": 400, "http://localhost:51234/in": 400, "https://127.0.0.1:51234/in": 400,
		"http://[::1]:51234/in": 400, "http://a@127.0.0.1:51234/in": 400, "http://127.0.0.1:51234/in#": 400, "com.example.app:/out": 400,
	} {
		if a := g.authorize("ada", ask("app", "redirect_uri", uri)); a.Code != want || want == 303 && !strings.HasPrefix(a.Header().Get("Location"), uri+"?code=") {
			t.Errorf("%q: %d to %q, want %d", uri, a.Code, a.Header().Get("Location"), want)
		}
	}
	if a := g.authorize("ada", ask("shop", "redirect_uri", callback+"?kind=qr", "prompt", "none")); !strings.HasPrefix(a.Header().Get("Location"), callback+"?kind=qr&error=") {
		t.Errorf("one with a query: %q", a.Header().Get("Location"))
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	g := newRig(t)
	code := g.code()
	other := strings.Repeat("A", 52)
	for what, c := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"no grant":             {redeeming(code, "grant_type", ""), 400, "invalid_request"},
		"a password":           {redeeming(code, "grant_type", "password"), 400, "unsupported_grant_type"},
		"an unknown client":    {redeeming(code, "client_id", "nobody"), 401, "invalid_client"},
		"no client":            {redeeming(code, "client_id", "", "client_secret", ""), 401, "invalid_client"},
		"a wrong secret":       {redeeming(code, "client_secret", "x"), 401, "invalid_client"},
		"no secret":            {redeeming(code, "client_secret", ""), 401, "invalid_client"},
		"a public's secret":    {redeeming(code, "client_id", "app", "client_secret", "x"), 401, "invalid_client"},
		"another client":       {redeeming(code, "client_id", "shop", "client_secret", "shop's secret"), 400, "invalid_grant"},
		"a public client":      {redeeming(code, "client_id", "app", "client_secret", ""), 400, "invalid_grant"},
		"another address":      {redeeming(code, "redirect_uri", callback+"?kind=qr"), 400, "invalid_grant"},
		"no address":           {redeeming(code, "redirect_uri", ""), 400, "invalid_grant"},
		"no verifier":          {redeeming(code, "code_verifier", ""), 400, "invalid_grant"},
		"another verifier":     {redeeming(code, "code_verifier", verifier+"x"), 400, "invalid_grant"},
		"the challenge":        {redeeming(code, "code_verifier", challenge(verifier)), 400, "invalid_grant"},
		"no code":              {redeeming(""), 400, "invalid_grant"},
		"half a code":          {redeeming(code[:40]), 400, "invalid_grant"},
		"a code with a flaw":   {redeeming(code[:26] + other), 400, "invalid_grant"},
		"a code of nobody":     {redeeming(other[:26] + code[26:]), 400, "invalid_grant"},
		"a refresh of nobody":  {redeeming("", "grant_type", "refresh_token", "refresh_token", "L"+other+other+other[:26]), 400, "invalid_grant"},
		"rubbish as a refresh": {redeeming("", "grant_type", "refresh_token", "refresh_token", "x"), 400, "invalid_grant"},
	} {
		g.refused(what, g.token(c.form), c.status, c.code)
	}
	twice := redeeming(code)
	twice.Add("code", code)
	g.refused("a code twice", g.token(twice), 400, "invalid_request")
	g.refused("two ways to authenticate", g.send("", "POST", "/oidc/token", redeeming(code), "Authorization", "Basic b3duOm93bitzZWNyZXQ="), 400, "invalid_request")
	g.refused("a GET", g.send("", "GET", "/oidc/token?"+redeeming(code).Encode(), nil), 405, "invalid_request")
	g.refused("JSON", g.send("", "POST", "/oidc/token", redeeming(code), "Content-Type", "application/json"), 400, "invalid_request")
	// After all of that the right one is good, by Basic.
	basic := redeeming(code, "client_id", "", "client_secret", "")
	if a := g.send("", "POST", "/oidc/token", basic, "Authorization", "Basic b3duOm93bitzZWNyZXQ="); a.Code != 200 {
		t.Errorf("the right one: %d %s", a.Code, a.Body)
	}
}

// TestACodeIsGoodOnce: a second use ends what the first one gave.
func TestACodeIsGoodOnce(t *testing.T) {
	g := newRig(t)
	code := g.code()
	first := g.token(redeeming(code))
	if first.Code != 200 {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	g.refused("a second use", g.token(redeeming(code)), 400, "invalid_grant")
	g.refused("its access token", g.userinfo(first.str("access_token")), 401, "invalid_token")
	g.refused("its refresh token", g.refresh(first.str("refresh_token")), 400, "invalid_grant")

	code = g.code()
	var given atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if g.token(redeeming(code)).Code == 200 {
				given.Add(1)
			}
		})
	}
	wg.Wait()
	if given.Load() > 1 { // none, where a second one came before the first was done
		t.Errorf("%d of 50 got tokens for one code", given.Load())
	}
}

// TestARefreshTokenIsGoodOnce: with a used one, all of its family ends.
func TestARefreshTokenIsGoodOnce(t *testing.T) {
	g := newRig(t)
	first := g.tokens()
	second := g.refresh(first.str("refresh_token"))
	third := g.refresh(second.str("refresh_token"))
	if third.Code != 200 {
		t.Fatalf("%d %s", third.Code, third.Body)
	}
	// Who does not have one of the family can end nothing.
	last := third.str("refresh_token")
	flawed := last[:30] + strings.Repeat("A", len(last)-30)
	g.refused("one of nobody", g.refresh(flawed), 400, "invalid_grant")
	g.refused("another client's", g.refresh(last, "client_id", "app", "client_secret", ""), 400, "invalid_grant")
	g.refused("a scope too many", g.refresh(last, "scope", "openid admin"), 400, "invalid_scope")
	narrow := g.refresh(last, "scope", "openid")
	if narrow.Code != 200 || narrow.str("scope") != "openid" || g.userinfo(narrow.str("access_token")).str("name") != "" {
		t.Fatalf("a narrower one: %d %s", narrow.Code, narrow.Body)
	}
	if a := g.userinfo(narrow.str("access_token")); a.Code != 200 {
		t.Fatalf("before the theft: %d", a.Code)
	}
	g.refused("a used one", g.refresh(first.str("refresh_token")), 400, "invalid_grant")
	g.refused("the good one, after that", g.refresh(narrow.str("refresh_token")), 400, "invalid_grant")
	g.refused("the access token, after that", g.userinfo(narrow.str("access_token")), 401, "invalid_token")
	if a := g.tokens("scope", "openid"); a.str("refresh_token") != "" {
		t.Error("a refresh token that nobody asked for")
	}
}

func TestTokensEndWithTheirSession(t *testing.T) {
	g := newRig(t)
	for what, end := range map[string]func() error{
		"the session": func() error { return g.p.EndSession(t.Context(), "session of ada") },
		"the user":    func() error { return g.p.EndUser(t.Context(), "ada") },
		"the app": func() error {
			return nil // by itself, below
		},
	} {
		a, code := g.tokens(), g.code()
		if what == "the app" {
			for _, wrong := range []url.Values{redeeming("", "token", a.str("refresh_token"), "client_id", "app", "client_secret", ""), redeeming("", "token", "rubbish"), redeeming("", "token", "")} {
				if r := g.send("", "POST", "/oidc/revoke", wrong); r.Code != 200 {
					t.Errorf("revoking what is not there: %d", r.Code)
				}
			}
			if r := g.userinfo(a.str("access_token")); r.Code != 200 {
				t.Errorf("another client revoked it: %d", r.Code)
			}
			g.refused("revoking as a stranger", g.send("", "POST", "/oidc/revoke", redeeming("", "token", a.str("refresh_token"), "client_secret", "x")), 401, "invalid_client")
			if r := g.send("", "POST", "/oidc/revoke", redeeming("", "token", a.str("refresh_token"))); r.Code != 200 {
				t.Errorf("revoke: %d %s", r.Code, r.Body)
			}
		} else {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			g.refused(what+": a code", g.token(redeeming(code)), 400, "invalid_grant")
		}
		g.refused(what+": access", g.userinfo(a.str("access_token")), 401, "invalid_token")
		g.refused(what+": refresh", g.refresh(a.str("refresh_token")), 400, "invalid_grant")
		// Who signs in anew begins anew.
		s := oidc.Session{ID: "another session after " + what, User: "ada", Name: "ada", Since: time.Now()}
		g.sessions["ada"] = s
		if b := g.userinfo(g.tokens().str("access_token")); b.Code != 200 {
			t.Errorf("%s: after a fresh sign-in: %d", what, b.Code)
		}
		s.ID = "session of ada"
		if what != "the session" {
			g.sessions["ada"] = s
		}
	}
}

func TestMetadata(t *testing.T) {
	g := newRig(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		a := g.send("", "GET", path, nil)
		if a.Code != 200 || a.str("issuer") != issuer || a.body["authorization_response_iss_parameter_supported"] != true || a.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	a := g.send("", "GET", "/oidc/jwks", nil)
	keys, _ := a.body["keys"].([]any)
	if len(keys) != 2 || strings.Contains(a.Body.String(), `"d"`) {
		t.Errorf("the keys: %s", a.Body)
	}
	if a := g.send("", "OPTIONS", "/oidc/token", nil, "Origin", "https://spa.example.com", "Access-Control-Request-Method", "POST"); a.Code != 204 || a.Header().Get("Access-Control-Allow-Methods") != "POST" || a.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", a.Code, a.Header())
	}
	for _, path := range []string{"/oidc/nothing", "/oidc/"} {
		if a := g.send("ada", "GET", path, nil); a.Code != 404 {
			t.Errorf("%s: %d", path, a.Code)
		}
	}
	g.refused("userinfo of nobody", g.send("", "GET", "/oidc/userinfo", nil), 401, "invalid_token")
	id := g.tokens().str("id_token")
	g.refused("an ID token as an access token", g.userinfo(id), 401, "invalid_token")
	for _, bad := range []string{"none", "HS256"} {
		token, err := jwt.NewWithClaims(jwt.GetSigningMethod(bad), jwt.MapClaims{"iss": issuer, "sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(map[string]any{"none": jwt.UnsafeAllowNoneSignatureType, "HS256": []byte("x")}[bad])
		if err != nil {
			t.Fatal(err)
		}
		g.refused(bad, g.userinfo(token), 401, "invalid_token")
	}
}

func TestClientsAreChecked(t *testing.T) {
	for what, c := range map[string]oidc.Client{
		"no id": {Name: "x", RedirectURIs: []string{callback}}, "no name": {ID: "x", RedirectURIs: []string{callback}}, "no address": {ID: "x", Name: "x"},
		"http": {ID: "x", Name: "x", RedirectURIs: []string{"http://shop.example.com/"}}, "a fragment": {ID: "x", Name: "x", RedirectURIs: []string{callback + "#a"}},
		"a path": {ID: "x", Name: "x", RedirectURIs: []string{"/callback"}}, "a script": {ID: "x", Name: "x", RedirectURIs: []string{"javascript:alert(1)"}},
		"a wildcard": {ID: "x", Name: "x", RedirectURIs: []string{"https://*.example.com/"}}, "a user": {ID: "x", Name: "x", RedirectURIs: []string{"https://a@example.com/"}},
		"a scope": {ID: "x", Name: "x", RedirectURIs: []string{callback}, Scopes: []string{"admin"}}, "an alg": {ID: "x", Name: "x", RedirectURIs: []string{callback}, Alg: "none"},
		"a bad way out": {ID: "x", Name: "x", RedirectURIs: []string{callback}, LogoutURIs: []string{"//evil.test"}},
	} {
		if c.Check() == nil {
			t.Errorf("%s: taken", what)
		}
	}
	good := oidc.Client{ID: "x", Name: "x", RedirectURIs: []string{callback, "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"}, Scopes: oidc.Scopes()}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	g := newRig(t)
	if a := g.authorize("ada", ask("narrow", "scope", "openid profile offline_access phone")); a.to().Query().Get("code") == "" {
		t.Fatalf("scopes that are not there are left out: %s", a.to())
	} else if tokens := g.token(redeeming(a.to().Query().Get("code"), "client_id", "narrow", "client_secret", "")); tokens.str("scope") != "openid" || slices.Contains([]string{""}, tokens.str("id_token")) || tokens.str("refresh_token") != "" {
		t.Errorf("%s", tokens.Body)
	}
	if g.send("", "GET", "/oidc/authorize?%zz", nil).Code != http.StatusBadRequest {
		t.Error("a query that cannot be read was taken")
	}
}
