package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
)

// TestMain lets a test start this very program as another process.
func TestMain(m *testing.M) {
	if os.Getenv("QRLOGIN_IS_THE_PROGRAM") == "1" {
		main()
		os.Exit(0)
	}
	if data := os.Getenv("QRLOGIN_IS_A_NODE"); data != "" {
		beNode(data)
		os.Exit(0)
	}
	code := m.Run()
	shared.end()
	os.Exit(code)
}

// program is the real qrlogin as a process of its own, behind a proxy that the
// test plays: callers choose their address by X-Forwarded-For.
type program struct {
	t    testing.TB
	web  *http.Transport
	url  string
	host string // what the callers take for the site's name
	log  *safeBuffer
	cmd  *exec.Cmd
	ips  atomic.Int32
}

// start runs the program with users ada, bob, eve and mallory.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	return startFor(t, []string{"ada", "bob", "eve", "mallory"}, env, args...)
}

func startFor(t testing.TB, users []string, env []string, args ...string) *program {
	t.Helper()
	data := t.TempDir()
	hash, err := argon2id.CreateHash(testPassword, cheap())
	if err != nil {
		t.Fatal(err)
	}
	var list []user
	for _, id := range users {
		list = append(list, user{ID: id, Name: strings.ToUpper(id[:1]) + id[1:] + " Example", Hash: hash})
	}
	if err := writeUsers(filepath.Join(data, "users.json"), list); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, web: many(), log: &safeBuffer{}}
	out := &safeBuffer{}
	p.cmd = exec.Command(os.Args[0], append([]string{"--listen", "127.0.0.1:0", "--data", data, "--trusted-proxy", "127.0.0.0/8,::1"}, args...)...)
	p.cmd.Env = append(append(os.Environ(), "QRLOGIN_IS_THE_PROGRAM=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.web.CloseIdleConnections()
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the program ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			_ = p.cmd.Process.Kill()
			t.Error("the program did not stop")
		}
		if t.Failed() {
			t.Logf("its log:\n%s", p.log)
		}
	})
	address := regexp.MustCompile(`listens on   (http://\S+)`)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !address.MatchString(out.String()); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the program does not say where it listens:\n%s\n%s", out, p.log)
		}
	}
	p.url = address.FindStringSubmatch(out.String())[1]
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	p.host = u.Host
	return p
}

// agent is a browser or a phone somewhere on the internet, with cookies of its
// own. It sends what it likes and follows no redirect. For one goroutine.
type agent struct {
	p       *program
	ip      string
	cookies map[string]string
	header  http.Header
}

// agent is a new one, at an address of its own.
func (p *program) agent() *agent {
	n := p.ips.Add(1)
	return &agent{p, fmt.Sprintf("198.18.%d.%d", n>>8, n&255), map[string]string{}, http.Header{}}
}

// twin has the same cookies, as a copy.
func (a *agent) twin() *agent {
	return &agent{a.p, a.ip, maps.Clone(a.cookies), http.Header{}}
}

// got is an answer.
type got struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (g got) str(key string) string { s, _ := g.body[key].(string); return s }

// send sends JSON, or a form if body is url.Values.
func (a *agent) send(method, path string, body any) got {
	a.p.t.Helper()
	var payload []byte
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case url.Values:
		payload, kind = []byte(b.Encode()), "application/x-www-form-urlencoded"
	default:
		payload, _ = json.Marshal(b)
	}
	r, err := http.NewRequest(method, a.p.url+path, bytes.NewReader(payload))
	if err != nil {
		a.p.t.Error(err)
		return got{}
	}
	r.Host = a.p.host
	r.Header.Set("X-Forwarded-For", a.ip)
	r.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36")
	if method != "GET" {
		r.Header.Set("Content-Type", kind)
	}
	maps.Copy(r.Header, a.header)
	for k, v := range a.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	resp, err := a.p.web.RoundTrip(r)
	if err != nil {
		a.p.t.Error(err)
		return got{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.p.t.Error(err)
	}
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(a.cookies, c.Name)
		} else {
			a.cookies[c.Name] = c.Value
		}
	}
	g := got{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &g.body) // not everything is JSON
	return g
}

func (a *agent) want(status int, method, path string, body any) got {
	a.p.t.Helper()
	g := a.send(method, path, body)
	if g.status != status {
		a.p.t.Fatalf("%s %s: %d, want %d: %s", method, path, g.status, status, g.text)
	}
	return g
}

// phoneOf is a phone on which that user is signed in, at the address.
func (p *program) phoneOf(user string) *agent {
	p.t.Helper()
	a := p.agent()
	a.want(303, "POST", "/signin", url.Values{"user": {user}, "password": {testPassword}})
	return a
}

// near puts the agent into the network of another one.
func (a *agent) near(other *agent) *agent {
	a.ip = other.ip[:strings.LastIndexByte(other.ip, '.')] + ".250"
	return a
}

// page is a login page with a code on it, at the browser of agent.
type page struct {
	*agent
	id, ticket, verifier, code string
	begun                      got
}

func (a *agent) page() *page {
	a.p.t.Helper()
	b := &page{agent: a, verifier: rand.Text() + rand.Text()}
	b.begun = a.want(201, "POST", "/qr/attempts", map[string]string{"code_challenge": pkceOf(b.verifier)})
	b.id, b.code = b.begun.str("attempt_id"), b.begun.str("user_code")
	b.ticket = lastOf(b.begun.str("qr_url"))
	return b
}

func pkceOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func lastOf(u string) string { return u[strings.LastIndexByte(u, '/')+1:] }

func (b *page) path(rest string) string { return "/qr/attempts/" + b.id + rest }

func (b *page) exchange() got {
	return b.send("POST", b.path("/exchange"), map[string]string{"code_verifier": b.verifier})
}

func (b *page) digits(d string) got {
	return b.send("POST", b.path("/code"), map[string]string{"code": d, "code_verifier": b.verifier})
}

func (b *page) state() string {
	b.p.t.Helper()
	return b.want(200, "GET", b.path(""), nil).str("state")
}

func (a *agent) scan(ticket string) got {
	return a.send("POST", "/qr/scan", map[string]any{"ticket": ticket})
}

func (a *agent) decide(id, decision, nonce string) got {
	return a.send("POST", "/qr/attempts/"+id+"/decision", map[string]any{"decision": decision, "nonce": nonce})
}

// activity is what the account's page shows of it: actions, newest first.
func (a *agent) activity() (out []string) {
	a.p.t.Helper()
	list, _ := a.want(200, "GET", "/account/activity", nil).body["activity"].([]any)
	for _, one := range list {
		d, _ := one.(map[string]any)
		action, _ := d["action"].(string)
		reason, _ := d["reason"].(string)
		out = append(out, strings.TrimSuffix(action+" "+reason, " "))
	}
	return out
}
