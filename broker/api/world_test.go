package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/ledger"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// world is a REST door over real tenants and a real bus, with two accounts, so
// that each can try to reach into the other's.
type world struct {
	tb      testing.TB
	handler http.Handler
	tenants *tenant.Tenants
	logs    *logBuffer
	crowd   *hub.Hub
	kicked  kicked
	hooks   *webhook.Webhooks

	own, account, other                protocol.AccountID
	ownToken, accountToken, otherToken string
	app                                protocol.AppID
	secret, publishable                string // publishable may publish to chat:* and read its history
	token                              string // of user ann, may do the same
}

// spec is the description, which is the same for all worlds, read once: it is
// slow to read.
var spec struct {
	once   sync.Once
	router routers.Router
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(tb testing.TB, change ...func(*api.Options)) *world {
	tb.Helper()
	ctx := tb.Context()
	b, err := bus.Open(ctx, bus.Options{Dir: tb.TempDir()})
	must(tb, err)
	tb.Cleanup(func() { b.Close() })
	bucket := func(name string, o bus.BucketOptions) *bus.Bucket {
		k, err := b.Bucket(ctx, name, o)
		must(tb, err)
		return k
	}
	w := &world{tb: tb, logs: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st := stats.New()
	w.tenants, err = tenant.Open(ctx, tenant.Options{
		Records: bucket("tenant", bus.BucketOptions{}), Tickets: bucket("tickets", bus.BucketOptions{MaxAge: time.Hour}),
		Sessions: bucket("sessions", bus.BucketOptions{MaxAge: 24 * time.Hour}), MasterKey: [32]byte{1}, Logger: log, Stats: st,
	})
	must(tb, err)
	tb.Cleanup(w.tenants.Close)
	h, err := hub.New(hub.Options{Bus: b, Stats: st, Log: log})
	must(tb, err)
	tb.Cleanup(h.Close)
	w.crowd = h
	o := api.Options{Tenants: w.tenants, Hub: h, Crowd: h, Connections: &w.kicked, Stats: st, Ready: b.Ready, Logger: log, SDK: sdkFiles(),
		Version: api.Version{Version: "1.2.3", Commit: "abc"}}
	w.hooks = openWebhooks(tb, b, log)
	o.Webhooks, o.Deliveries = w.hooks, w.hooks
	w.operator()
	o.Operator = w.own
	o.Ledger, err = ledger.New(ctx, ledger.Options{Store: bucket("usage", bus.BucketOptions{Listed: true}), Stats: st, Log: log, Stored: b.Stored})
	must(tb, err)
	if l, ok := o.Ledger.(*ledger.Ledger); ok {
		o.Refusals = l
	}
	for _, f := range change {
		f(&o)
	}
	w.handler = api.New(o)
	w.people()
	return w
}

func sdkFiles() fs.FS {
	return fstest.MapFS{
		"dist/fanfare.js":  {Data: []byte("var Fanfare = 1;" + strings.Repeat("// padding\n", 500))},
		"dist/fanfare.mjs": {Data: []byte("export const Fanfare = 1;")},
	}
}

// operator makes the server's own account.
func (w *world) operator() {
	a, text, err := w.tenants.CreateAccount(w.tb.Context(), "own")
	must(w.tb, err)
	w.own, w.ownToken = a.ID, text
}

func (w *world) people() {
	ctx := w.tb.Context()
	a, text, err := w.tenants.CreateAccount(ctx, "one")
	must(w.tb, err)
	w.account, w.accountToken = a.ID, text
	a, text, err = w.tenants.CreateAccount(ctx, "other")
	must(w.tb, err)
	w.other, w.otherToken = a.ID, text
	app, err := w.tenants.CreateApp(ctx, w.account, tenant.AppInput{Name: "main"})
	must(w.tb, err)
	w.app = app.ID
	grants := protocol.Grants{Publish: []string{"chat:*"}, Subscribe: []string{"*"}, History: []string{"chat:*"}, Presence: []string{"chat:*"}}
	s := w.key(tenant.KeyInput{Kind: tenant.KindSecret, Name: "server"})
	w.secret = s.Text
	w.publishable = w.key(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "page", Grants: &grants}).Text
	p, err := w.tenants.Authenticate(ctx, w.secret, "")
	must(w.tb, err)
	w.token, _, err = w.tenants.SignToken(p, "ann", grants, time.Hour)
	must(w.tb, err)
}

func (w *world) key(in tenant.KeyInput) tenant.Key {
	w.tb.Helper()
	k, err := w.tenants.CreateKey(w.tb.Context(), w.account, w.app, in)
	must(w.tb, err)
	return k
}

// link makes a sign-in code.
func (w *world) link() string {
	w.tb.Helper()
	code, _, err := w.tenants.NewLink(w.tb.Context(), w.account)
	must(w.tb, err)
	return code
}

// request is one request to the door.
type request struct {
	method, path string
	as           string // credential; "" for none
	body         string
	header       map[string]string
}

// reply is its answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// problem is an error as a stranger reads it.
type problem struct {
	Type, Title, Detail, Code, Remedy, Channel string
	Status                                     int
	Index                                      *int
	Position                                   *protocol.Position
	RetryAfter                                 int64  `json:"retry_after"`
	RequestID                                  string `json:"request_id"`
}

// send sends r and holds the answer against the description. The body goes
// out as curl -d sends it, with the type of a form.
func (w *world) send(r request) reply {
	w.tb.Helper()
	// claims: 9.1
	req := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
	req.RemoteAddr = "127.0.0.1:4000"
	if r.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.as != "" {
		req.Header.Set("Authorization", "Bearer "+r.as)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	got := reply{rec.Code, rec.Header(), rec.Body.String()}
	if got.header.Get("X-Request-Id") == "" {
		w.tb.Errorf("%s %s: no X-Request-Id", r.method, r.path)
	}
	w.conforms(req, got)
	return got
}

// conforms holds an answer against /v1/openapi.json, where that knows the
// route.
// claims: 9.8
func (w *world) conforms(req *http.Request, got reply) {
	w.tb.Helper()
	spec.once.Do(func() { spec.router = loadSpec(w.tb, w.handler) })
	if spec.router == nil {
		w.tb.Fatal("the description could not be read")
	}
	route, params, err := spec.router.FindRoute(req)
	if err != nil {
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		w.tb.Errorf("%s %s: the answer %d is not as described: %v\n%s", req.Method, req.URL.Path, got.status, err, got.body)
	}
}

func loadSpec(tb testing.TB, h http.Handler) routers.Router {
	tb.Helper()
	router, err := legacy.NewRouter(readSpec(tb, h))
	must(tb, err)
	return router
}

func readSpec(tb testing.TB, h http.Handler) *openapi3.T {
	tb.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/openapi.json", nil))
	if rec.Code != http.StatusOK {
		tb.Fatalf("GET /v1/openapi.json: %d %s", rec.Code, rec.Body)
	}
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	must(tb, err)
	return doc
}

// refused checks that r is the problem of that code, whole.
// claims: 9.2
func refused(tb testing.TB, got reply, code protocol.Code) problem {
	tb.Helper()
	var p problem
	if ct := got.header.Get("Content-Type"); ct != "application/problem+json" {
		tb.Fatalf("Content-Type %q of %d %s, want a problem of %s", ct, got.status, got.body, code)
	}
	must(tb, json.Unmarshal([]byte(got.body), &p))
	info, known := code.Info()
	switch {
	case !known:
		tb.Fatalf("%s is not in the table", code)
	case p.Code != string(code):
		tb.Fatalf("code %s, want %s: %s", p.Code, code, p.Detail)
	case got.status != info.Status || p.Status != info.Status:
		tb.Errorf("%s: status %d and %d, want %d", code, got.status, p.Status, info.Status)
	case p.Type != "urn:fanfare:error:"+string(code) || p.Title != info.Message || p.Detail == "" || p.Remedy == "":
		tb.Errorf("%s: not a whole problem: %s", code, got.body)
	case p.RequestID != got.header.Get("X-Request-Id"):
		tb.Errorf("%s: request_id %q, header %q", code, p.RequestID, got.header.Get("X-Request-Id"))
	}
	if wait := got.status == 429 || got.status == 503; wait != (got.header.Get("Retry-After") != "") || wait != (p.RetryAfter > 0) {
		tb.Errorf("%s: Retry-After %q, retry_after %d", code, got.header.Get("Retry-After"), p.RetryAfter)
	}
	if (got.status == 401) != (got.header.Get("WWW-Authenticate") != "") {
		tb.Errorf("%s: WWW-Authenticate %q with %d", code, got.header.Get("WWW-Authenticate"), got.status)
	}
	return p
}

// accepted checks the status and decodes the answer into v, if not nil.
func accepted(tb testing.TB, got reply, status int, v any) {
	tb.Helper()
	if got.status != status {
		tb.Fatalf("%d, want %d: %s", got.status, status, got.body)
	}
	if v != nil {
		must(tb, json.Unmarshal([]byte(got.body), v))
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// fakeHub answers as do says.
type fakeHub func(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error)

func (f fakeHub) History(context.Context, hub.Reader, hub.HistoryQuery) (hub.HistoryPage, error) {
	return hub.HistoryPage{Whole: true}, nil
}

func (f fakeHub) Forget(context.Context, hub.Reader, protocol.Channel) error { return nil }

func (f fakeHub) Publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error) {
	return f(ctx, by, from, msgs)
}

// takesAll is a hub that publishes whatever comes.
func takesAll(_ context.Context, _ hub.Publisher, _ hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error) {
	out := make([]protocol.Published, len(msgs))
	for i, m := range msgs {
		out[i] = protocol.Published{Channel: m.Channel, ID: fmt.Sprint("m", i)}
	}
	return out, nil
}

func withHub(f fakeHub) func(*api.Options) { return func(o *api.Options) { o.Hub = f } }

var errSecretCause = errors.New("the tape in drive 7 is torn")
