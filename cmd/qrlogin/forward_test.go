package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// behind is an app under example.com, whose proxy is this computer.
func behind(o *appOptions) {
	o.publicURL, o.forward = "https://id.example.com", "example.com"
	o.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// asking is a proxy's question about a page, with headers in pairs.
func asking(a *app, page string, header ...string) *http.Response {
	u, err := url.Parse(page)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1:8090/forward/auth", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-Proto", u.Scheme)
	r.Header.Set("X-Forwarded-Host", u.Host)
	r.Header.Set("X-Forwarded-Uri", u.RequestURI())
	r.Header.Set("Accept", "text/html,*/*")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "remote" {
			r.RemoteAddr = header[i+1]
		} else if header[i] == "url" {
			r.URL.RawQuery = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

// begins is a browser that was sent to sign in.
func begins(a *app, query string, cookies ...*http.Cookie) *http.Response {
	r := httptest.NewRequest("GET", "https://id.example.com/forward/start?"+query, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

func TestForwardAuth(t *testing.T) {
	a, log := quick(t, behind)
	const page = "https://app.example.com/deep?a=1&b=2"
	resp := asking(a, page)
	login := resp.Header.Get("Location")
	if resp.StatusCode != 302 || login != "https://id.example.com/forward/start?to="+url.QueryEscape(page) || resp.Header.Get("Remote-User") != "" {
		t.Fatalf("a stranger: %d to %s", resp.StatusCode, login)
	}
	if resp := asking(a, page, "url", "status=401"); resp.StatusCode != 401 || resp.Header.Get("Location") != login {
		t.Errorf("by nginx: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	for _, header := range [][]string{{"X-Forwarded-Method", "POST"}, {"Accept", "application/json"}, {"Accept", ""}} {
		if resp := asking(a, page, header...); resp.StatusCode != 401 || resp.Header.Get("Location") != "" {
			t.Errorf("%v: %d to %q", header, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	query := login[strings.IndexByte(login, '?')+1:]
	signIn := "/login?" + url.Values{"next": {"/forward/start?" + query}}.Encode()
	if resp := begins(a, query); resp.StatusCode != 303 || resp.Header.Get("Location") != signIn {
		t.Errorf("not signed in: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	secret, s := a.sessions.add(session{User: "demo"})
	resp = begins(a, query, &http.Cookie{Name: "__Host-session", Value: secret})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != page || len(resp.Cookies()) != 1 {
		t.Fatalf("signed in: %d to %s with %v", resp.StatusCode, resp.Header.Get("Location"), resp.Cookies())
	}
	pass := resp.Cookies()[0]
	if pass.Name != "__Secure-fanfare-pass" || pass.Domain != "example.com" || !pass.Secure || !pass.HttpOnly || pass.SameSite != http.SameSiteLaxMode || pass.Path != "/" || strings.Contains(pass.Value, secret) {
		t.Errorf("the cookie: %v", pass)
	}
	in := pass.Name + "=" + pass.Value
	resp = asking(a, "https://other.example.com/", "Cookie", in, "Remote-User", "root")
	if resp.StatusCode != 200 || resp.Header.Get("Remote-User") != "demo" || resp.Header.Get("Remote-Name") != "Demo User" {
		t.Errorf("with it: %d %v", resp.StatusCode, resp.Header)
	}
	for what, cookie := range map[string]string{"no cookie": "", "rubbish": pass.Name + "=x", "the session's secret": pass.Name + "=" + secret, "the session itself": "__Host-session=" + secret, "another name": "fanfare-pass=" + pass.Value} {
		if resp := asking(a, page, "Cookie", cookie); resp.StatusCode != 302 || resp.Header.Get("Remote-User") != "" {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
	}
	// What apps see signs nobody in here.
	r := httptest.NewRequest("GET", "https://id.example.com/account/devices", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-session", Value: pass.Value})
	w := httptest.NewRecorder()
	if a.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("the pass as a session: %d", w.Code)
	}
	if again := begins(a, query, &http.Cookie{Name: "__Host-session", Value: secret}).Cookies(); len(again) != 1 || again[0].Value != pass.Value {
		t.Errorf("a second tab gets another pass")
	}
	a.drop(s, true)
	if resp := asking(a, page, "Cookie", in); resp.StatusCode != 302 {
		t.Errorf("after its session ended: %d", resp.StatusCode)
	}
	if strings.Contains(log.String(), pass.Value) || strings.Contains(log.String(), "deep") {
		t.Errorf("the log holds too much: %s", log)
	}
}

// TestT13ForwardStaysHome: back to apps of the domain, and nowhere else; what a
// stranger says of the request is not believed.
func TestT13ForwardStaysHome(t *testing.T) {
	a, _ := quick(t, behind)
	secret, _ := a.sessions.add(session{User: "demo"})
	cookie := &http.Cookie{Name: "__Host-session", Value: secret}
	for _, good := range []string{"https://app.example.com/", "https://example.com/", "https://a.b.example.com:8443/x?y=https://evil.test/", "https://app.example.com//evil.test"} {
		if resp := begins(a, url.Values{"to": {good}}.Encode(), cookie); resp.StatusCode != 303 || resp.Header.Get("Location") != good {
			t.Errorf("%q: %d to %q", good, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	for _, evil := range []string{
		"", "/", "//evil.test", "//app.example.com/", "https://evil.test/", "https://evilexample.com/", "https://example.com.evil.test/", "https://app.example.com@evil.test/", "https://a:b@app.example.com/",
		`https://evil.test\.example.com/`, `https://evil.test/\.example.com`, `\\app.example.com/`, "https:app.example.com/", "https:/app.example.com/", "https:///app.example.com/", "http://app.example.com/", "javascript:alert(1)//.example.com/",
		"https://evil.test#.example.com/", "https://evil.test?.example.com/", "https://evil.test%2f.example.com/", "https://evil.test%00.example.com/", "https://app.example.com", "https://app.example.com/\r\nSet-Cookie: a=b",
		"https://app.example.com/ x", "https://[::1]/", "https://127.0.0.1/", "https://evil.test,app.example.com/", "ftp://app.example.com/", " https://app.example.com/", "HTTPS://evil.test/.example.com/", "https://" + strings.Repeat("a", 5000) + ".example.com/",
	} {
		resp := begins(a, url.Values{"to": {evil}}.Encode(), cookie)
		if resp.StatusCode != 400 || resp.Header.Get("Location") != "" || len(resp.Cookies()) != 0 {
			t.Errorf("%q: %d to %q with %v", evil, resp.StatusCode, resp.Header.Get("Location"), resp.Cookies())
		}
	}
	if resp := begins(a, "to=https://app.example.com/&to=https://evil.test/", cookie); resp.StatusCode != 400 {
		t.Errorf("two of them: %d", resp.StatusCode)
	}
	for what, resp := range map[string]*http.Response{
		"another host":      asking(a, "https://evil.test/"),
		"another scheme":    asking(a, "http://app.example.com/"),
		"no host":           asking(a, "https://app.example.com/", "X-Forwarded-Host", ""),
		"a path's trick":    asking(a, "https://app.example.com/", "X-Forwarded-Uri", "@evil.test/"),
		"a host's trick":    asking(a, "https://app.example.com/", "X-Forwarded-Host", "app.example.com@evil.test"),
		"who is no proxy":   asking(a, "https://app.example.com/", "remote", "192.0.2.7:1"),
		"who claims to be":  asking(a, "https://app.example.com/", "remote", "192.0.2.7:1", "X-Forwarded-For", "127.0.0.1"),
		"an address of IP6": asking(a, "https://app.example.com/", "remote", "[::1]:1"),
	} {
		if resp.StatusCode != 403 || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", what, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	off, _ := quick(t)
	if resp := asking(off, "https://app.example.com/"); resp.StatusCode != 404 {
		t.Errorf("where it is off: %d", resp.StatusCode)
	}
	for _, args := range [][]string{
		{"--forward-domain", "example.com", "--trusted-proxy", "::1"}, {"--forward-domain", "example.com", "--public-url", "https://id.example.com"}, {"--forward-domain", "com", "--public-url", "https://id.com", "--trusted-proxy", "::1"},
		{"--forward-domain", "10.0.0.1", "--public-url", "https://10.0.0.1", "--trusted-proxy", "::1"}, {"--forward-domain", "example.com", "--public-url", "https://id.example.org", "--trusted-proxy", "::1"},
	} {
		if _, err := parseConfig(args, func(string) string { return "" }, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// TestForwardAuthBehindNginx runs the guide's lines for nginx between a browser,
// an app and the real program.
func TestForwardAuthBehindNginx(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" by "+strings.Join(r.Header.Values("Remote-User"), ",")+", "+r.Header.Get("Remote-Name"))
	}))
	defer app.Close()
	p := start(t, nil, "--public-url", "http://id.fan.test", "--forward-domain", "fan.test")
	p.host = "id.fan.test"
	proxy := nginx(t, strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(app.URL, "http://"))
	get := func(method, host, path string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := proxy.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	text := func(r *http.Response) string {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	resp := get("GET", "app.fan.test", "/deep?a=1", "Remote-User", "root", "X-Forwarded-Host", "evil.test", "X-Forwarded-Uri", "/evil")
	way, err := resp.Location()
	if err != nil || resp.StatusCode != 302 || way.Query().Get("to") != "http://app.fan.test/deep?a=1" || way.Host != "id.fan.test" {
		t.Fatalf("a stranger: %d to %s, %v", resp.StatusCode, way, err)
	}
	if resp := get("POST", "app.fan.test", "/deep"); resp.StatusCode != 401 || resp.Header.Get("Location") != "" {
		t.Errorf("a stranger's POST: %d", resp.StatusCode)
	}
	browser := p.agent()
	login, err := url.Parse(browser.want(303, "GET", way.RequestURI(), nil).header.Get("Location"))
	if err != nil || login.Path != "/login" {
		t.Fatalf("to sign in: %s, %v", login, err)
	}
	page := browser.want(200, "POST", "/signin", url.Values{"user": {"ada"}, "password": {testPassword}, "return_to": {login.Query().Get("next")}})
	if !strings.Contains(page.text, `content="0; url=/forward/start?to=`) {
		t.Errorf("after the form: %s", page.text)
	}
	back := browser.want(303, "GET", login.Query().Get("next"), nil)
	if back.header.Get("Location") != "http://app.fan.test/deep?a=1" {
		t.Errorf("back at %s", back.header.Get("Location"))
	}
	cookie := "fanfare-pass=" + browser.cookies["fanfare-pass"]
	if got := text(get("GET", "app.fan.test", "/deep?a=1", "Cookie", cookie, "Remote-User", "root", "Remote-Name", "Root")); got != "GET /deep?a=1 by ada, Ada Example" {
		t.Errorf("the app sees %q", got)
	}
	if got := text(get("POST", "app.fan.test", "/deep", "Cookie", cookie)); got != "POST /deep by ada, Ada Example" {
		t.Errorf("a POST: the app sees %q", got)
	}
	if resp := get("GET", "app.fan.test", "/fanfare-auth", "Cookie", cookie); resp.StatusCode != 404 {
		t.Errorf("the inner address from outside: %d", resp.StatusCode)
	}
	browser.want(303, "POST", "/signout", url.Values{})
	if resp := get("GET", "app.fan.test", "/deep", "Cookie", cookie); resp.StatusCode != 302 {
		t.Errorf("after signing out: %d", resp.StatusCode)
	}
}

// nginx runs the guide's lines before the two servers, and returns the way to it.
func nginx(t *testing.T, auth, app string) http.RoundTripper {
	t.Helper()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "qrlogin-apps.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(guide)
	if lines == nil {
		t.Fatal("the guide has no lines for nginx")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket") // no port, which another program could take meanwhile
	server := strings.NewReplacer("443 ssl", "unix:"+socket, "app.example.com", "app.fan.test", "127.0.0.1:3000", app, "127.0.0.1:8090", auth).Replace(string(lines[1]))
	conf := "daemon off;\nworker_processes 1;\npid " + dir + "/pid;\nerror_log stderr error;\nevents {}\nhttp {\naccess_log off;\n"
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += temp + "_temp_path " + dir + "/" + temp + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf+server+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", socket) }
	var said bytes.Buffer
	cmd := exec.Command(need(t, "nginx", "nginx", "/usr/sbin/nginx"), "-c", file, "-p", dir, "-e", "stderr")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, &said)
		default:
		}
		if c, err := dial(t.Context()); err == nil {
			_ = c.Close()
			proxy := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
			t.Cleanup(proxy.CloseIdleConnections)
			return proxy
		}
	}
	t.Fatalf("nginx does not listen:\n%s", &said)
	return nil
}
