package qrlogin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// push is one thing that was published.
type push struct {
	channel string
	data    string
}

// fakeFanfare records what is pushed and which tokens are made.
type fakeFanfare struct {
	mu     sync.Mutex
	down   bool
	pushes []push
	grants []protocol.Grants
	ttls   []time.Duration
}

func (f *fakeFanfare) Publish(_ context.Context, channel string, data any, opts ...fanfare.PublishOption) (protocol.Published, error) {
	body, err := json.Marshal(data)
	if err != nil {
		return protocol.Published{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return protocol.Published{}, protocol.NewError(protocol.CodeUnavailable)
	}
	if len(opts) != 1 {
		return protocol.Published{}, protocol.NewError(protocol.CodeEventInvalid)
	}
	f.pushes = append(f.pushes, push{channel, string(body)})
	return protocol.Published{ID: "1"}, nil
}

func (f *fakeFanfare) Token(user string, g protocol.Grants, ttl time.Duration) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grants, f.ttls = append(f.grants, g), append(f.ttls, ttl)
	return "token-" + rand.Text(), nil
}

// states are the states that were pushed to channel, in order.
func (f *fakeFanfare) states(t *testing.T, channel string) (out []string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pushes {
		if p.channel != channel {
			continue
		}
		var v struct{ State string }
		if err := json.Unmarshal([]byte(p.data), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v.State)
	}
	return out
}

// rig is a mounted Server whose phones say in a cookie who they are.
type rig struct {
	t      *testing.T
	server *qrlogin.Server
	ff     *fakeFanfare
	store  *qrlogin.Memory
	log    *lockedBuffer
	host   string

	mu     sync.Mutex
	logins []qrlogin.Login
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change ...func(*qrlogin.Options)) *rig {
	t.Helper()
	g := &rig{t: t, ff: &fakeFanfare{}, store: qrlogin.NewMemory(0), log: &lockedBuffer{}, host: "127.0.0.1:8090"}
	plenty := qrlogin.Rate{PerMinute: 1_000_000, Burst: 1_000_000}
	o := qrlogin.Options{
		Fanfare: g.ff, Store: g.store, PublicURL: "http://127.0.0.1:8090", Site: "Example", Policy: qrlogin.Never,
		Limits: qrlogin.Limits{Create: plenty, Scan: plenty, Decide: plenty, Exchange: plenty, Read: plenty},
		Logger: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		PhoneUser: func(r *http.Request) (qrlogin.User, error) {
			c, err := r.Cookie("phone")
			if err != nil {
				return qrlogin.User{}, qrlogin.ErrNotSignedIn
			}
			user, _, _ := strings.Cut(c.Value, "/")
			return qrlogin.User{ID: user, Name: strings.ToUpper(user[:1]) + user[1:] + " Example", Session: c.Value}, nil
		},
		OnLogin: func(w http.ResponseWriter, _ *http.Request, l qrlogin.Login) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.logins = append(g.logins, l)
			http.SetCookie(w, &http.Cookie{Name: "session", Value: rand.Text()})
			return nil
		},
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if g.server, err = qrlogin.New(o); err != nil {
		t.Fatal(err)
	}
	return g
}

// answer is a response with its JSON.
type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

func (a answer) text(key string) string {
	s, _ := a.body[key].(string)
	return s
}

// client is a browser or a phone with a cookie jar.
type client struct {
	g       *rig
	cookies map[string]string
	header  http.Header
	addr    string
}

func (g *rig) client() *client {
	return &client{g: g, cookies: map[string]string{}, header: http.Header{}, addr: "192.0.2.1:1234"}
}

func (g *rig) phone(session string) *client {
	c := g.client()
	c.cookies["phone"] = session
	return c
}

// rawForm is a body that is sent as it stands.
type rawForm string

func (c *client) do(method, path string, body any) answer {
	c.g.t.Helper()
	var payload []byte
	if form, ok := body.(rawForm); ok {
		payload = []byte(form)
	} else if body != nil {
		payload, _ = json.Marshal(body)
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(payload))
	r.Host, r.RemoteAddr = c.g.host, c.addr
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, c.header)
	for k, v := range c.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	w := httptest.NewRecorder()
	c.g.server.ServeHTTP(w, r)
	for _, k := range w.Result().Cookies() {
		if k.MaxAge < 0 {
			delete(c.cookies, k.Name)
		} else {
			c.cookies[k.Name] = k.Value
		}
	}
	a := answer{ResponseRecorder: w}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body) // not everything is JSON
	return a
}

func (c *client) want(status int, method, path string, body any) answer {
	c.g.t.Helper()
	a := c.do(method, path, body)
	if a.Code != status {
		c.g.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.Code, status, a.Body)
	}
	return a
}

// screen is a browser with a code on it.
type screen struct {
	*client
	id, ticket, verifier, channel string
}

func (g *rig) open() *screen {
	g.t.Helper()
	return g.client().open()
}

func (c *client) open() *screen {
	c.g.t.Helper()
	s := &screen{client: c, verifier: rand.Text() + rand.Text()}
	a := c.want(201, "POST", "/qr/attempts", map[string]string{"code_challenge": challenge(s.verifier)})
	s.id, s.channel, s.ticket = a.text("attempt_id"), a.text("channel"), ticketOf(a)
	return s
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func ticketOf(a answer) string {
	u := a.text("qr_url")
	return u[strings.LastIndexByte(u, '/')+1:]
}

func (s *screen) path(rest string) string { return "/qr/attempts/" + s.id + rest }

func (s *screen) exchange(verifier string) answer {
	s.g.t.Helper()
	return s.do("POST", s.path("/exchange"), map[string]string{"code_verifier": verifier})
}

func (s *screen) state() string {
	s.g.t.Helper()
	return s.want(200, "GET", s.path(""), nil).text("state")
}

func (c *client) scan(ticket string) answer {
	c.g.t.Helper()
	return c.do("POST", "/qr/scan", map[string]string{"ticket": ticket})
}

func (c *client) decide(id, decision, nonce string) answer {
	c.g.t.Helper()
	return c.do("POST", "/qr/attempts/"+id+"/decision", map[string]string{"decision": decision, "nonce": nonce})
}

// scanned is a screen that phone has scanned.
func (g *rig) scanned(phone *client) (s *screen, nonce, channel string) {
	g.t.Helper()
	s = g.open()
	a := phone.scan(s.ticket)
	if a.Code != 200 {
		g.t.Fatalf("scan: %d %s", a.Code, a.Body)
	}
	return s, a.text("decision_nonce"), a.text("channel")
}

func (g *rig) approved(phone *client) *screen {
	g.t.Helper()
	s, nonce, _ := g.scanned(phone)
	if a := phone.decide(s.id, "approve", nonce); a.Code != 200 {
		g.t.Fatalf("approve: %d %s", a.Code, a.Body)
	}
	return s
}

func (g *rig) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.logins)
}

// tally runs fn n times at once and counts the status codes.
func tally(n int, fn func(i int) int) map[int]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	out, start := map[int]int{}, make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			status := fn(i)
			mu.Lock()
			out[status]++
			mu.Unlock()
		})
	}
	close(start)
	wg.Wait()
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
