package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// silent is a Fanfare that nobody listens to.
type silent struct {
	mu       sync.Mutex
	channels []string
}

func (s *silent) Publish(_ context.Context, channel string, _ any, _ ...fanfare.PublishOption) (protocol.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = append(s.channels, channel)
	return protocol.Published{}, nil
}

func (s *silent) Kick(context.Context, string) (int, error) { return 0, nil }

func (s *silent) Token(string, protocol.Grants, time.Duration) (string, error) { return "token", nil }

// quick is the app without Fanfare and without a browser.
func quick(t *testing.T, change ...func(*appOptions)) (*app, *safeBuffer) {
	t.Helper()
	list, _, err := openUsers(t.TempDir(), testPassword, cheap())
	if err != nil {
		t.Fatal(err)
	}
	known, err := openBrowsers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := oidc.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	o := appOptions{keys: keys, ff: &silent{}, users: list, browsers: known, publicURL: "http://127.0.0.1:8090", site: "Test", log: slog.New(slog.NewTextHandler(log, nil))}
	for _, f := range change {
		f(&o)
	}
	a, err := newApp(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.told.Wait)
	return a, log
}

// person is a client with a cookie jar that does not follow redirects.
type person struct {
	t    *testing.T
	http *http.Client
	url  string
}

func visit(t *testing.T, a *app) *person {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, server.URL}
}

func (p *person) send(method, path string, form url.Values) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(body)
}

func (p *person) signIn(back string) *http.Response {
	p.t.Helper()
	resp, _ := p.send("POST", "/signin", url.Values{"user": {"Demo "}, "password": {testPassword}, "return_to": {back}})
	return resp
}

func (p *person) cookie() string {
	u, _ := url.Parse(p.url)
	for _, c := range p.http.Jar.Cookies(u) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

func TestSignInMakesANewSession(t *testing.T) {
	a, log := quick(t)
	p := visit(t, a)
	if resp, _ := p.send("GET", "/", nil); resp.StatusCode != 303 || resp.Header.Get("Location") != "/login" {
		t.Fatalf("a stranger gets %d", resp.StatusCode)
	}
	if resp := p.signIn(""); resp.StatusCode != 303 || resp.Header.Get("Location") != "/" {
		t.Fatalf("sign-in: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	first := p.cookie()
	if resp := p.signIn(""); resp.StatusCode != 303 || p.cookie() == first || first == "" {
		t.Fatal("the session was not replaced")
	}
	if _, ok := a.sessions.get(first); ok {
		t.Error("the old session lives on")
	}
	second := p.cookie()
	p.send("POST", "/signout", nil)
	if _, ok := a.sessions.get(second); ok || p.cookie() != "" {
		t.Error("signing out did not end the session")
	}
	for _, secret := range []string{first, second, testPassword} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestWrongPasswordsAreSlowedDown(t *testing.T) {
	a, _ := quick(t)
	p := visit(t, a)
	var codes []int
	for range 12 {
		resp, body := p.send("POST", "/signin", url.Values{"user": {"demo"}, "password": {"wrong"}})
		codes = append(codes, resp.StatusCode)
		if !strings.Contains(body, "wrong.") && resp.StatusCode == 401 {
			t.Errorf("no reason on the page")
		}
	}
	if codes[0] != 401 || codes[9] != 401 || codes[10] != 429 || codes[11] != 429 {
		t.Errorf("%v, want ten of 401, then 429", codes)
	}
	if resp := p.signIn(""); resp.StatusCode != 429 {
		t.Errorf("the right password meanwhile: %d, want 429", resp.StatusCode)
	}
	if resp, _ := visit(t, a).send("POST", "/signin", url.Values{"user": {"nobody"}, "password": {"x"}}); resp.StatusCode != 429 {
		t.Errorf("another name from the same address: %d, want 429", resp.StatusCode)
	}
}

func TestReturnToStaysHere(t *testing.T) {
	a, _ := quick(t)
	for _, evil := range []string{"//evil.test", `/\evil.test`, "https:evil.test", "https://evil.test", "/%2f%2fevil.test", "javascript:alert(1)", "//a@evil.test", `\/evil.test`, "evil.test"} {
		p := visit(t, a)
		if resp := p.signIn(evil); resp.StatusCode != 400 || resp.Header.Get("Location") != "" || p.cookie() != "" {
			t.Errorf("%q: %d to %q", evil, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	ticket := "/q/" + strings.Repeat("A", 26)
	if resp := visit(t, a).signIn(ticket); resp.Header.Get("Location") != ticket {
		t.Errorf("back to the code: %q", resp.Header.Get("Location"))
	}
}

func TestHeadersOfAllPages(t *testing.T) {
	a, _ := quick(t, func(o *appOptions) { o.fanfareURL = "https://push.example.com" })
	p := visit(t, a)
	signedIn := visit(t, a)
	signedIn.signIn("")
	for who, c := range map[string]*person{"stranger": p, "user": signedIn} {
		for _, path := range []string{"/", "/login", "/signin", "/account/devices", "/q/" + strings.Repeat("A", 26), "/Q/" + strings.Repeat("A", 26), "/qr/login", "/nothing"} {
			resp, body := c.send("GET", path, nil)
			h := resp.Header
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || strings.Count(csp, "connect-src") != 1 || !strings.Contains(csp, "wss://push.example.com") {
				t.Errorf("%s at %s: CSP %q", who, path, csp)
			}
			if h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s at %s: headers %v", who, path, h)
			}
			if regexp.MustCompile(`<script>|<script [^>]*>[^<]|style=|\son\w+=|<style`).MatchString(body) {
				t.Errorf("%s at %s: something inline that the CSP forbids", who, path)
			}
		}
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	a, _ := quick(t)
	p := visit(t, a)
	p.signIn("")
	for _, path := range []string{"/signout", "/signin", "/account/devices/x/end"} {
		r := httptest.NewRequest("POST", path, nil)
		r.Host = "127.0.0.1:8090"
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.AddCookie(&http.Cookie{Name: "session", Value: p.cookie()})
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != 403 {
			t.Errorf("%s: %d, want 403", path, w.Code)
		}
	}
	if resp, _ := p.send("GET", "/", nil); resp.StatusCode != 200 {
		t.Error("another site signed the person out")
	}
}

func TestDevicesAreEndedByTheirUserOnly(t *testing.T) {
	a, _ := quick(t)
	one, two := visit(t, a), visit(t, a)
	one.signIn("")
	two.signIn("")
	_, foreign := a.sessions.add(session{User: "somebody else"})
	if resp, _ := one.send("POST", "/account/devices/"+foreign.ID+"/end", nil); resp.StatusCode != 404 {
		t.Errorf("another user's device: %d", resp.StatusCode)
	}
	other, _ := a.sessions.get(two.cookie())
	if resp, _ := visit(t, a).send("POST", "/account/devices/"+other.ID+"/end", nil); resp.Header.Get("Location") != "/login" {
		t.Errorf("a stranger: %d", resp.StatusCode)
	}
	if resp, _ := one.send("POST", "/account/devices/"+other.ID+"/end", nil); resp.StatusCode != 303 {
		t.Errorf("one's own device: %d", resp.StatusCode)
	}
	for _, path := range []string{"/account/live", "/account/devices"} {
		if resp, _ := two.send("GET", path, nil); resp.StatusCode != 401 {
			t.Errorf("%s of the ended device: %d, want 401", path, resp.StatusCode)
		}
	}
	if _, err := a.phoneUser(mustRequest(t, two)); err != qrlogin.ErrNotSignedIn {
		t.Errorf("an ended phone may still scan: %v", err)
	}
}

func mustRequest(t *testing.T, p *person) *http.Request {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "127.0.0.1:8090"
	r.AddCookie(&http.Cookie{Name: "session", Value: p.cookie()})
	return r
}

func TestSessionCookieByScheme(t *testing.T) {
	for _, c := range []struct{ public, host, name string }{
		{"https://id.example.com", "id.example.com", "__Host-session"},
		{"https://id.example.com", "127.0.0.1:8090", "session"},
		{"http://127.0.0.1:8090", "localhost:8090", "session"},
		{"http://192.168.1.5:8090", "192.168.1.5:8090", "session"},
		{"https://id.example.com", "evil.test", ""},
		{"http://127.0.0.1:8090", "192.168.1.5:8090", ""},
	} {
		a, _ := quick(t, func(o *appOptions) { o.publicURL = c.public })
		r := httptest.NewRequest("POST", "/signin", strings.NewReader(url.Values{"user": {"demo"}, "password": {testPassword}}.Encode()))
		r.Host = c.host
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		cookies := w.Result().Cookies()
		switch {
		case c.name == "" && (w.Code != 403 || len(cookies) != 0):
			t.Errorf("%+v: %d with %d cookies, want a refusal", c, w.Code, len(cookies))
		case c.name != "" && (len(cookies) != 1 || cookies[0].Name != c.name || cookies[0].Secure != strings.HasPrefix(c.name, "__Host-") || !cookies[0].HttpOnly):
			t.Errorf("%+v: %v", c, cookies)
		}
	}
}

func TestSessionsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		secret, _ := s.add(session{User: "a"})
		time.Sleep(11 * time.Hour)
		if _, ok := s.get(secret); !ok {
			t.Fatal("over before it was idle for long")
		}
		time.Sleep(13 * time.Hour)
		if _, ok := s.get(secret); ok {
			t.Error("idle for 13 h and still good")
		}
		for range maxPerUser + 10 {
			s.add(session{User: "b"})
			time.Sleep(time.Millisecond)
		}
		if n := len(s.list("b")); n != maxPerUser {
			t.Errorf("%d sessions of one user", n)
		}
		secret, _ = s.add(session{User: "c"})
		for range 31 * 4 {
			s.get(secret)
			time.Sleep(6 * time.Hour)
		}
		if _, ok := s.get(secret); ok {
			t.Error("good after 31 days")
		}
	})
}

func TestClientIP(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		trusted   []netip.Prefix
		want      string
	}{
		{"198.51.100.1:5", nil, nil, "198.51.100.1"},
		{"198.51.100.1:5", []string{"1.2.3.4"}, nil, "198.51.100.1"},
		{"198.51.100.1:5", []string{"1.2.3.4"}, proxies, "198.51.100.1"},
		{"10.0.0.1:5", []string{"1.2.3.4"}, proxies, "1.2.3.4"},
		{"10.0.0.1:5", []string{"6.6.6.6, 1.2.3.4, 10.0.0.9"}, proxies, "1.2.3.4"},
		{"10.0.0.1:5", []string{"6.6.6.6", "1.2.3.4"}, proxies, "1.2.3.4"},
		{"[::1]:5", []string{"2001:db8::7"}, proxies, "2001:db8::7"},
		{"10.0.0.1:5", []string{"rubbish"}, proxies, "10.0.0.1"},
		{"10.0.0.1:5", nil, proxies, "10.0.0.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.forwarded
		if got := clientIP(r, c.trusted).String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestDescribeShowsKnownNamesOnly(t *testing.T) {
	for ua, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0":                                                    "Firefox on macOS",
		"Your-bank-says-yes/1.0": "Unknown browser", "": "Unknown browser",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", ua)
		if got := describe(r).Label(); got != want {
			t.Errorf("%q is %q, want %q", ua, got, want)
		}
	}
}
