package qrlogin_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// harvest is every string of 16 characters or more that could be a secret.
var harvest = regexp.MustCompile(`[A-Za-z0-9_\-+/=.:~]{16,}`)

func TestNothingPushedLogsAnybodyIn(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, _ := g.scanned(phone)
	g.phone("eve/1").scan(s.ticket)
	phone.decide(s.id, "approve", nonce)
	fresh := g.open()
	fresh.want(200, "POST", fresh.path("/rotate"), map[string]string{})
	// The attacker hears everything, and may use what the pushes name.
	var heard []string
	for _, p := range g.ff.pushes {
		for _, w := range harvest.FindAllString(p.channel+" "+p.data, -1) {
			heard = append(heard, w, w[strings.IndexByte(w, ':')+1:])
		}
	}
	if len(heard) < 10 {
		t.Fatalf("only %d strings were heard", len(heard))
	}
	for _, w := range heard {
		for _, secret := range []string{s.ticket, fresh.ticket, s.verifier, nonce, s.cookies["qrl-"+s.id], s.id, fresh.id} {
			if strings.Contains(w, secret) {
				t.Errorf("a push holds a secret or an id: %q", w)
			}
		}
		thief := &screen{client: g.client(), id: s.id}
		thief.cookies["qrl-"+s.id], thief.cookies["session"] = w, w
		thief.header.Set("Authorization", "Bearer "+w)
		if a := thief.exchange(w); a.Code == 200 {
			t.Errorf("%q got a session", w)
		}
		if a := thief.exchange(s.verifier); a.Code == 200 {
			t.Errorf("%q did as the cookie", w)
		}
		if a := g.phone("eve/1").scan(w); a.Code != 404 {
			t.Errorf("%q did as a ticket: %d", w, a.Code)
		}
		if a := phone.decide(fresh.id, "approve", w); a.Code == 200 {
			t.Errorf("%q did as a nonce", w)
		}
	}
	if g.count() != 0 {
		t.Fatal("somebody was let in")
	}
	if a := s.exchange(s.verifier); a.Code != 200 {
		t.Fatalf("the right browser: %d", a.Code)
	}
}

func TestQRHoldsTheTicketOnly(t *testing.T) {
	g := newRig(t)
	c := g.client()
	a := c.want(201, "POST", "/qr/attempts", map[string]string{"code_challenge": challenge(strings.Repeat("v", 43))})
	if u := a.text("qr_url"); !regexp.MustCompile(`^HTTP://127\.0\.0\.1:8090/Q/[A-Z2-7]{26}$`).MatchString(u) {
		t.Errorf("the code says %q", u)
	}
	if strings.Contains(a.text("qr_url"), a.text("attempt_id")) {
		t.Error("the code holds the attempt's id")
	}
	svg := c.want(200, "GET", a.text("qr_svg_path"), nil)
	// 51 characters or fewer in alphanumeric mode are 29 modules at level M, and 8 of quiet zone.
	if !strings.Contains(svg.Body.String(), `viewBox="0 0 37 37"`) || svg.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("not the code that it should be: %.120s", svg.Body)
	}
	if g.client().do("GET", a.text("qr_svg_path"), nil).Code != 404 {
		t.Error("a stranger may draw the code")
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/secretsession")
	s, nonce, _ := g.scanned(phone)
	secret := s.cookies["qrl-"+s.id]
	g.phone("eve/1").scan(s.ticket)
	g.ff.down = true
	phone.decide(s.id, "approve", nonce)
	s.exchange("wrong-verifier-wrong-verifier-wrong-verifier-x")
	s.exchange(s.verifier)
	g.client().do("GET", "/q/"+s.ticket, nil)
	if !strings.Contains(g.log.String(), "signed in") || !strings.Contains(g.log.String(), "could not be pushed") {
		t.Fatalf("the log lacks what it is for:\n%s", g.log)
	}
	for what, v := range map[string]string{"ticket": s.ticket, "cookie": secret, "verifier": s.verifier, "nonce": nonce, "session": "secretsession", "token": "token-", "channel": s.channel} {
		if strings.Contains(g.log.String(), v) {
			t.Errorf("the log holds the %s:\n%s", what, g.log)
		}
	}
	for in, want := range map[string]string{"/q/ABC": "/q/-", "/Q/ABC/D": "/Q/-", "/q/": "/q/", "/qr/login": "/qr/login", "/": "/"} {
		if got := qrlogin.ScrubPath(in); got != want {
			t.Errorf("ScrubPath(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOtherSitesCannotAct(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, _ := g.scanned(phone)
	other := g.open()
	for _, h := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.test"}}, {"Origin": {"null"}},
	} {
		phone.header, s.header = h, h
		for _, a := range []answer{phone.scan(other.ticket), phone.decide(s.id, "approve", nonce), s.do("DELETE", s.path(""), nil)} {
			if a.Code != 403 {
				t.Errorf("with %v: %d, want 403", h, a.Code)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		phone.header = http.Header{"Content-Type": {kind}}
		if a := phone.decide(s.id, "approve", nonce); a.Code != 415 {
			t.Errorf("as %q: %d, want 415", kind, a.Code)
		}
	}
	s.header = http.Header{}
	if s.state() != "scanned" || other.state() != "pending" {
		t.Error("another site changed something")
	}
}

func TestALinkIsNotACode(t *testing.T) {
	var back string
	g := newRig(t, func(o *qrlogin.Options) {
		o.SignIn = func(_ http.ResponseWriter, _ *http.Request, returnTo string) { back = returnTo }
	})
	s, phone := g.open(), g.phone("ada/1")
	if a := phone.do("GET", "/q/"+s.ticket, nil); a.Code != 200 || strings.Contains(a.Body.String(), "data-linked") {
		t.Errorf("by camera: %d", a.Code)
	}
	phone.header.Set("Sec-Fetch-Site", "cross-site")
	if a := phone.do("GET", "/q/"+s.ticket, nil); !strings.Contains(a.Body.String(), "data-linked") {
		t.Error("a link of another site was taken for a code")
	}
	stranger := g.client()
	stranger.header.Set("Sec-Fetch-Site", "cross-site")
	stranger.do("GET", "/q/"+s.ticket, nil)
	if want := "/q/" + s.ticket + "?via=link"; back != want {
		t.Errorf("after sign-in to %q, want %q", back, want)
	}
	if a := g.phone("ada/1").do("GET", back, nil); !strings.Contains(a.Body.String(), "data-linked") {
		t.Error("the sign-in washed the link clean")
	}
}

func TestHeadersOfAllPages(t *testing.T) {
	g := newRig(t)
	s, phone := g.open(), g.phone("ada/1")
	html := http.Header{"Accept": {"text/html"}}
	phone.header = html
	stranger := g.client()
	stranger.header = html
	for what, a := range map[string]answer{
		"login": stranger.do("GET", "/qr/login", nil), "approve": phone.do("GET", "/q/"+s.ticket, nil), "upper case": phone.do("GET", "/Q/"+s.ticket, nil),
		"sign in first": stranger.do("GET", "/q/"+s.ticket, nil), "no ticket": phone.do("GET", "/q/x", nil), "nothing": stranger.do("GET", "/qr/nothing", nil),
	} {
		h := a.Header()
		if !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			t.Errorf("%s is %q", what, h.Get("Content-Type"))
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: CSP %q", what, csp)
		}
		for k, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
			if h.Get(k) != want {
				t.Errorf("%s: %s is %q", what, k, h.Get(k))
			}
		}
		body := a.Body.String()
		if regexp.MustCompile(`<script>|<script [^>]*>[^<]|style=|\son\w+=|<style`).MatchString(body) {
			t.Errorf("%s has something inline that its CSP forbids", what)
		}
	}
	for _, name := range []string{"qrlogin.css", "fanfare-qr-login.js", "face.js", "login.js", "phone.js", "follow.js", "mark.svg", "lang/en.js", "lang/ar.js"} {
		stranger.want(200, "GET", "/qr/assets/"+name, nil)
	}
	for _, name := range []string{"login.html", "", "../server.go", "ui/", "lang/en.json", "lang/xx.js", "lang/en"} {
		if a := stranger.do("GET", "/qr/assets/"+name, nil); a.Code == 200 {
			t.Errorf("/qr/assets/%s is served", name)
		}
	}
}

func TestCookies(t *testing.T) {
	create := func(public, host string, overTLS bool) *httptest.ResponseRecorder {
		g := newRig(t, func(o *qrlogin.Options) { o.PublicURL = public })
		r := httptest.NewRequest("POST", "/qr/attempts", strings.NewReader(fmt.Sprintf(`{"code_challenge":%q}`, challenge(strings.Repeat("v", 43)))))
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		if overTLS {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		g.server.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct {
		public, host string
		tls, secure  bool
	}{
		{"https://id.example.com", "id.example.com", false, true},
		{"https://id.example.com", "id.example.com", true, true},
		{"https://id.example.com", "127.0.0.1:8090", false, false},
		{"http://127.0.0.1:8090", "localhost:8090", false, false},
		{"http://127.0.0.1:8090", "[::1]:8090", false, false},
	} {
		w := create(c.public, c.host, c.tls)
		cookies := w.Result().Cookies()
		if w.Code != 201 || len(cookies) != 1 {
			t.Errorf("%+v: %d, %d cookies", c, w.Code, len(cookies))
			continue
		}
		k := cookies[0]
		if strings.HasPrefix(k.Name, "__Host-") != c.secure || k.Secure != c.secure || !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || k.Domain != "" || k.MaxAge > 660 {
			t.Errorf("%+v: cookie %v", c, k)
		}
	}
	for _, host := range []string{"192.168.1.5:8090", "evil.test", "localhost.evil.test", "127.0.0.1.evil.test"} {
		if w := create("http://192.168.1.5:8090", host, false); w.Code != 403 || len(w.Result().Cookies()) != 0 {
			t.Errorf("plain http at %s: %d", host, w.Code)
		}
	}
}

func TestDeadCookiesAreCleared(t *testing.T) {
	g := newRig(t)
	c := g.client()
	for range 20 {
		s := c.open()
		g.phone("ada/1").decide(s.id, "reject", g.phone("ada/1").scan(s.ticket).text("decision_nonce"))
	}
	if n := len(c.cookies); n > 2 {
		t.Errorf("%d cookies after 20 codes", n)
	}
}

func TestLimits(t *testing.T) {
	g := newRig(t, func(o *qrlogin.Options) { o.Limits = qrlogin.Limits{} })
	body := map[string]string{"code_challenge": challenge(strings.Repeat("v", 43))}
	phone, screen := g.phone("ada/1"), g.open()
	for what, c := range map[string]struct {
		try  func(c *client) int
		most int
	}{
		"create":   {func(c *client) int { return c.do("POST", "/qr/attempts", body).Code }, 20},
		"guess":    {func(c *client) int { return c.scan(strings.Repeat("A", 26)).Code }, 5},
		"decide":   {func(c *client) int { return c.decide(screen.id, "approve", "x").Code }, 10},
		"exchange": {func(c *client) int { return c.do("POST", screen.path("/exchange"), map[string]string{}).Code }, 10},
		"read":     {func(c *client) int { return c.do("GET", screen.path(""), nil).Code }, 120},
	} {
		busy := g.phone("ada/1")
		busy.addr = "[2001:db8::1]:99"
		passed := 0
		for range c.most + 30 {
			if c.try(busy) != 429 {
				passed++
			}
		}
		if passed > c.most || passed < c.most-1 {
			t.Errorf("%s: %d passed, want %d", what, passed, c.most)
		}
		busy.addr = "[2001:db8::ffff:1]:99" // the same /64
		if c.try(busy) != 429 {
			t.Errorf("%s: another address of the same network gets through", what)
		}
		busy.addr = "198.51.100.7:99"
		if c.try(busy) == 429 {
			t.Errorf("%s: somebody else was refused too", what)
		}
	}
	if a := phone.scan(screen.ticket); a.Code != 200 {
		t.Errorf("an honest phone: %d", a.Code)
	}
	flood := g.client()
	flood.addr = "203.0.113.9:1"
	var refused answer
	for range 30 {
		refused = flood.do("POST", "/qr/attempts", body)
	}
	if refused.Code != 429 || refused.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", refused.Code, refused.Header().Get("Retry-After"))
	}
}

func TestLocalPath(t *testing.T) {
	for _, p := range []string{"/", "/account", "/q/ABC?via=link", "/a//b"} {
		if !qrlogin.LocalPath(p) {
			t.Errorf("%q was refused", p)
		}
	}
	for _, p := range []string{
		"", "account", "//evil.test", `/\evil.test`, `\\evil.test`, "https:evil.test", "https://evil.test", "/%2f%2fevil.test", "%2f%2fevil.test", "/%5cevil.test",
		"//user@evil.test", "javascript:alert(1)", "/\tevil", "/\n/evil.test", " /evil", "///evil.test", "/%09/evil",
	} {
		if qrlogin.LocalPath(p) {
			t.Errorf("%q was let through", p)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := newRig(t)
	base := qrlogin.Options{
		Fanfare: good.ff, PublicURL: "https://id.example.com",
		PhoneUser: func(*http.Request) (qrlogin.User, error) { return qrlogin.User{}, nil },
		OnLogin:   func(http.ResponseWriter, *http.Request, qrlogin.Login) error { return nil },
	}
	if _, err := qrlogin.New(base); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*qrlogin.Options){
		"Fanfare": func(o *qrlogin.Options) { o.Fanfare = nil }, "PhoneUser": func(o *qrlogin.Options) { o.PhoneUser = nil },
		"OnLogin": func(o *qrlogin.Options) { o.OnLogin = nil }, "PublicURL": func(o *qrlogin.Options) { o.PublicURL = "id.example.com" },
		"AfterLogin": func(o *qrlogin.Options) { o.AfterLogin = "//evil.test" }, "FanfareURL": func(o *qrlogin.Options) { o.FanfareURL = "push.example.com" },
	} {
		o := base
		change(&o)
		if _, err := qrlogin.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("bad %s: %v", name, err)
		}
	}
}
