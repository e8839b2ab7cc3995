package docs_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

const (
	hostKey    = "key-of-the-shop-key-of-the-shop-1"
	hookSecret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
)

// example is a backend of docs/guides/qrlogin as a process of its own.
type example struct {
	t   *testing.T
	url string
}

// freePort is one that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// runExample runs a program that listens on the port until the test ends.
func runExample(t *testing.T, port string, env []string, name string, args ...string) *example {
	t.Helper()
	e := &example{t, "http://localhost:" + port}
	var out strings.Builder
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(os.Environ(), "PORT="+port, "LISTEN=127.0.0.1:"+port), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // PHP has workers
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		stop()
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.String())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return e
		}
		select {
		case <-done:
			t.Fatalf("%s ended", name)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", name)
		}
	}
}

// startService is a QR login service with one host, beside a node.
func startService(t *testing.T, node *brokertest.Server, host qrlogin.Host) string {
	t.Helper()
	ff, err := fanfare.New(node.URL, node.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	plenty := qrlogin.Rate{PerMinute: 10_000, Burst: 10_000}
	host.Name, host.Key, host.WebhookSecret = "shop", qrlogin.HashOf(hostKey), hookSecret
	qr, err := qrlogin.New(qrlogin.Options{
		Fanfare: ff, FanfareURL: node.URL, PublicURL: server.URL, Hosts: []qrlogin.Host{host}, Logger: slog.New(slog.DiscardHandler),
		Limits:    qrlogin.Limits{Create: plenty, Scan: plenty, Decide: plenty, Exchange: plenty, Read: plenty},
		PhoneUser: func(*http.Request) (qrlogin.User, error) { return qrlogin.User{}, qrlogin.ErrNotSignedIn },
		OnLogin:   func(http.ResponseWriter, *http.Request, qrlogin.Login) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/qr/", qr)
	to, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/sdk/", httputil.NewSingleHostReverseProxy(to))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- qr.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return server.URL
}

// without is an example's text without its lines for QR login, and those lines.
func without(t *testing.T, path string) (text string, regions []string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept, region []string
	in := false
	for line := range strings.Lines(string(whole)) {
		mark := strings.TrimLeft(strings.TrimSpace(line), "/# ")
		switch {
		case strings.HasPrefix(mark, "QR login") && mark != strings.TrimSpace(line):
			in, region = true, nil
		case mark == "end" && in:
			in, regions = false, append(regions, strings.Join(region, ""))
		case in:
			region = append(region, line)
		default:
			kept = append(kept, line)
		}
	}
	if in || len(regions) < 2 {
		t.Fatalf("%s: its marks do not match", path)
	}
	return strings.Join(kept, ""), regions
}

// visitor is a browser at the example, with cookies of its own.
type visitor struct {
	e    *example
	http *http.Client
}

func (e *example) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return &visitor{e, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (r reply) str(key string) string { s, _ := r.json[key].(string); return s }

// send sends a form, or JSON where body is a map.
func (v *visitor) send(method, path string, body any, header ...string) reply {
	v.e.t.Helper()
	payload, kind := "", "application/json"
	switch b := body.(type) {
	case url.Values:
		payload, kind = b.Encode(), "application/x-www-form-urlencoded"
	case string:
		payload = b
	case map[string]any:
		text, _ := json.Marshal(b)
		payload = string(text)
	}
	r, err := http.NewRequestWithContext(v.e.t.Context(), method, v.e.url+path, strings.NewReader(payload))
	if err != nil {
		v.e.t.Fatal(err)
	}
	if method != "GET" {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := v.http.Do(r)
	if err != nil {
		v.e.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.e.t.Fatal(err)
	}
	out := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &out.json) // not everything is JSON
	return out
}

func (v *visitor) want(status int, method, path string, body any, header ...string) reply {
	v.e.t.Helper()
	r := v.send(method, path, body, header...)
	if r.status != status {
		v.e.t.Fatalf("%s %s: %d, want %d: %s", method, path, r.status, status, r.text)
	}
	return r
}

// TestBackends has people sign in by QR code at the examples for Node, Python
// and PHP, with and without their lines for it. The tests need Node; the other
// two run where they are.
func TestBackends(t *testing.T) {
	node := brokertest.Start(t)
	for _, c := range []struct {
		file, program string
		args          []string
	}{
		{"shop.mjs", "node", nil}, {"shop.py", "python3", nil}, {"shop.php", "php", []string{"-S", "127.0.0.1:PORT"}},
	} {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(c.program)
			if err != nil && c.program != "node" {
				t.Logf("NOT RUN: %s is not on this machine, so the example for it was not tried", c.program)
				return
			}
			if err != nil {
				t.Fatal("this test needs node: apt-get install nodejs")
			}
			path, err := filepath.Abs(filepath.Join("guides", "qrlogin", c.file))
			if err != nil {
				t.Fatal(err)
			}
			run := func(file, port, service string) *example {
				args := append(strings.Fields(strings.ReplaceAll(strings.Join(c.args, " "), "PORT", port)), file)
				return runExample(t, port, []string{"QR_URL=" + service, "QR_KEY=" + hostKey, "QR_WEBHOOK_SECRET=" + hookSecret, "PHP_CLI_SERVER_WORKERS=4", "TOLD=" + filepath.Join(t.TempDir(), "told")}, program, args...)
			}
			text, _ := without(t, path)
			before := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(before, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			old := run(before, freePort(t), "").visitor()
			if r := old.send("POST", "/qr/attempts", map[string]any{}); r.status == 201 {
				t.Error("the app before has a QR login")
			}
			old.want(303, "POST", "/signin", url.Values{"user": {"ada"}, "password": {"correct horse"}})
			if r := old.want(200, "GET", "/", nil); !strings.Contains(r.text, "Hello, ada") {
				t.Errorf("the app before: %s", r.text)
			}
			port := freePort(t)
			service := startService(t, node, qrlogin.Host{PublicURL: "http://localhost:" + port, WebhookURL: "http://127.0.0.1:" + port + "/hooks"})
			signInAt(t, run(path, port, service))
		})
	}
}

// signInAt signs a browser in by a phone at an example.
func signInAt(t *testing.T, e *example) {
	browser, phone, thief := e.visitor(), e.visitor(), e.visitor()
	if r := browser.want(401, "GET", "/", nil); !strings.Contains(r.text, "<fanfare-qr-login>") {
		t.Errorf("the login page has no code: %s", r.text)
	}
	if r := browser.want(200, "GET", "/qr/assets/fanfare-qr-login.js", nil); !strings.Contains(r.header.Get("Content-Type"), "javascript") {
		t.Errorf("the element is %q", r.header.Get("Content-Type"))
	}
	if r := browser.send("POST", "/qr/attempts", map[string]any{}, "Sec-Fetch-Site", "cross-site"); r.status != 403 {
		t.Errorf("another site begins an attempt: %d", r.status)
	}
	begun := browser.want(201, "POST", "/qr/attempts", map[string]any{"code_challenge": "x"})
	if strings.Contains(begun.text, "attempt_secret") || begun.str("qr_svg") == "" || !strings.HasPrefix(begun.str("qr_url"), strings.ToUpper(e.url)+"/Q/") {
		t.Fatalf("the page is told %s", begun.text)
	}
	id, code := "/qr/attempts/"+begun.str("attempt_id"), strings.TrimPrefix(begun.str("qr_url"), strings.ToUpper(e.url))
	thief.want(401, "GET", "/", nil)
	for _, try := range []reply{thief.send("GET", id, nil), thief.send("POST", id+"/exchange", map[string]any{})} {
		if try.status != 404 {
			t.Errorf("another browser: %d", try.status)
		}
	}
	phone.want(401, "GET", code, nil)
	phone.want(401, "POST", "/signin?back=//evil.example", url.Values{"user": {"ada"}, "password": {"wrong"}})
	if r := phone.want(303, "POST", "/signin?back="+url.QueryEscape(code), url.Values{"user": {"ada"}, "password": {"correct horse"}}); r.header.Get("Location") != code {
		t.Errorf("after the sign-in to %q", r.header.Get("Location"))
	}
	if r := phone.want(200, "GET", code, nil); !strings.Contains(r.text, `name="go"`) || strings.Contains(r.text, `name="linked"`) {
		t.Errorf("where the code leads: %s", r.text)
	}
	if r := phone.want(200, "GET", code, nil, "Sec-Fetch-Site", "cross-site", "Accept-Language", "de"); !strings.Contains(r.text, `name="linked"`) || !strings.Contains(r.text, `lang="de"`) {
		t.Errorf("by a link, in German: %s", r.text)
	}
	phone.want(403, "POST", code, url.Values{"go": {"1"}}, "Sec-Fetch-Site", "cross-site")
	asked := phone.want(200, "POST", code, url.Values{"go": {"1"}})
	field := func(name string) string {
		m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(asked.text)
		if m == nil {
			t.Fatalf("no field %s in %s", name, asked.text)
		}
		return m[1]
	}
	said := phone.want(200, "POST", code, url.Values{"id": {field("id")}, "nonce": {field("nonce")}, "decision": {"approve"}})
	digits := regexp.MustCompile(`class="digits"[^>]*>(\d+)<`).FindStringSubmatch(said.text)
	if digits == nil {
		t.Fatalf("no digits: %s", said.text)
	}
	if r := browser.want(200, "GET", id+"?after=0", nil, "Prefer", "wait=5"); r.str("state") != "challenge" {
		t.Errorf("the page is told %s", r.text)
	}
	browser.want(200, "POST", id+"/code", map[string]any{"code": digits[1]})
	if r := browser.want(200, "POST", id+"/exchange", map[string]any{}); r.str("next") != "/" || r.str("subject") != "" {
		t.Errorf("the page is told %s", r.text)
	}
	if r := browser.want(200, "GET", "/", nil); !strings.Contains(r.text, "Hello, ada") {
		t.Errorf("the browser: %s", r.text)
	}
	browser.want(404, "POST", id+"/exchange", map[string]any{})
	hooksAt(t, thief)
}

// signedHook is a webhook that the test signs.
func signedHook(secret string, at time.Time, body string) []string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	when := strconv.FormatInt(at.Unix(), 10)
	_, _ = mac.Write([]byte("msg_1." + when + "." + body)) // a hash does not fail
	return []string{"webhook-id", "msg_1", "webhook-timestamp", when, "webhook-signature", "v1,bm9wZQ== v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// hooksAt waits until the example was told of the whole sign-in, and shows that
// it believes nobody else.
func hooksAt(t *testing.T, v *visitor) {
	t.Helper()
	const body = `{"type":"test"}`
	for what, h := range map[string][]string{
		"another secret": signedHook("whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXI=", time.Now(), body), "an old one": signedHook(hookSecret, time.Now().Add(-time.Hour), body),
		"another body": signedHook(hookSecret, time.Now(), body+" "), "no signature": nil,
	} {
		if r := v.send("POST", "/hooks", body, h...); r.status != 401 {
			t.Errorf("a webhook with %s: %d %s", what, r.status, r.text)
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		told := v.want(200, "POST", "/hooks", body, signedHook(hookSecret, time.Now(), body)...).text
		if strings.Contains(told, "attempt.scanned") && strings.Contains(told, "attempt.challenged") && strings.Contains(told, "attempt.approved") && strings.Contains(told, "attempt.consumed") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("webhooks: %s", fmt.Sprint(told))
		}
	}
}
