// Package interop_test holds the QR login's program to the standards that it
// claims, by clients of others, as they are: golang.org/x/oauth2, cli/oauth,
// zitadel/oidc's relying party, and from npm openid-client and oauth4webapi. It
// is a module of its own, so that nobody else fetches them.
package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"strings"
	"sync"
	"testing"
	"time"
)

const password = "correct horse"

// binary is the program, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "qrlogin")
	out, err := exec.Command("go", "build", "-C", "..", "-o", path, "./cmd/qrlogin").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
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

// program is the real qrlogin behind a proxy, which has the address that
// everybody knows and waits while the program is away.
type program struct {
	t    *testing.T
	url  string
	data string
	args []string
	log  *safe

	mu     sync.Mutex
	inner  string // host and port
	cmd    *exec.Cmd
	ended  chan error
	before func(*http.Request) // sees each request before it goes on
	after  func(*http.Response)
}

// start runs the program with the user demo.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, data: t.TempDir(), args: args, log: &safe{}}
	front := httptest.NewServer(p.proxy())
	p.url = strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	p.run()
	t.Cleanup(func() {
		p.stop()
		front.Close()
		if t.Failed() {
			t.Logf("the program's log:\n%s", p.log)
		}
	})
	return p
}

func (p *program) run() {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatalf("build the program: %v", err)
	}
	out := &safe{}
	cmd := exec.Command(path, append([]string{"--listen", "127.0.0.1:0", "--data", p.data, "--public-url", p.url, "--digits", "never", "--trusted-proxy", "127.0.0.0/8,::1"}, p.args...)...)
	cmd.Env = append(os.Environ(), "QRLOGIN_DEMO_PASSWORD="+password)
	cmd.Stdout, cmd.Stderr = out, p.log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	address := regexp.MustCompile(`listens on   http://(\S+)`)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !address.MatchString(out.String()); <-tick.C {
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			p.t.Fatalf("the program does not say where it listens:\n%s\n%s", out, p.log)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended, p.inner = cmd, ended, address.FindStringSubmatch(out.String())[1]
}

func (p *program) stop() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd, p.inner = nil, ""
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-ended:
		if err != nil {
			p.t.Errorf("the program ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		p.t.Error("the program did not stop")
	}
}

// dial reaches the program, and waits for one that is being restarted.
func (p *program) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		inner := p.inner
		p.mu.Unlock()
		if inner != "" {
			if c, err := new(net.Dialer).DialContext(ctx, "tcp", inner); err == nil {
				return c, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// proxy gives each connection an address of its own, as if clients were
// everywhere.
func (p *program) proxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			p.mu.Lock()
			before := p.before
			p.mu.Unlock()
			if before != nil {
				before(r.Out)
			}
			var port int
			_, from, _ := net.SplitHostPort(r.In.RemoteAddr)
			_, _ = fmt.Sscan(from, &port) // the server wrote it
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "program", r.In.Host
			r.Out.Header.Set("X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", port>>8, port&255))
		},
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			after := p.after
			p.mu.Unlock()
			if after != nil {
				after(r)
			}
			return nil
		},
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: p.dial},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				p.t.Errorf("%s %s: the program broke the answer off: %v", r.Method, r.URL.Path, err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

// client registers an app.
func (p *program) client(args ...string) (secret string) {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := exec.Command(path, append([]string{"client", "add", "--data", p.data}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("client %q: %v\n%s", args, err, out)
	}
	if m := regexp.MustCompile(`client_secret +(\S+)`).FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return ""
}

// person is a browser, or a phone, with cookies.
type person struct {
	p    *program
	http *http.Client
}

// person is one on which demo is signed in.
func (p *program) person() *person {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	one := &person{p, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if status, _, body := one.send("POST", "/signin", "application/x-www-form-urlencoded", url.Values{"user": {"demo"}, "password": {password}}.Encode()); status != http.StatusSeeOther {
		p.t.Fatalf("sign in: %d %s", status, body)
	}
	return one
}

// send goes to a path of the program, or to a URL of it.
func (one *person) send(method, path, kind, body string) (status int, location string, text string) {
	one.p.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = one.p.url + path
	}
	r, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		one.p.t.Error(err)
		return 0, "", ""
	}
	r.Header.Set("Content-Type", kind)
	resp, err := one.http.Do(r)
	if err != nil {
		one.p.t.Error(err)
		return 0, "", ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		one.p.t.Error(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

func (one *person) json(path string, body map[string]string) map[string]any {
	one.p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		one.p.t.Error(err)
	}
	status, _, answer := one.send("POST", path, "application/json", string(text))
	var out map[string]any
	if err := json.Unmarshal([]byte(answer), &out); err != nil || status != http.StatusOK {
		one.p.t.Errorf("%s: %d %s", path, status, answer)
	}
	return out
}

// decide scans a device's link and says approve or reject.
func (one *person) decide(link, decision string) {
	one.p.t.Helper()
	asked := one.json("/qr/scan", map[string]string{"ticket": link[strings.LastIndexByte(link, '/')+1:]})
	id, _ := asked["attempt_id"].(string)
	nonce, _ := asked["decision_nonce"].(string)
	one.json("/qr/attempts/"+id+"/decision", map[string]string{"decision": decision, "nonce": nonce})
}
