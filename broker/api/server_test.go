package api_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 9.8
func TestHealth(t *testing.T) {
	var why atomic.Pointer[error]
	w := newWorld(t, func(o *api.Options) {
		o.Ready = func(context.Context) error {
			if e := why.Load(); e != nil {
				return *e
			}
			return nil
		}
	})
	var v struct{ Version, Commit, Go, Durability string }
	accepted(t, w.send(request{method: "GET", path: "/version"}), 200, &v)
	if v.Version != "1.2.3" || v.Commit != "abc" || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("version %+v", v)
	}
	if v.Durability != "interval" {
		t.Errorf("durability %q, want interval", v.Durability)
	}
	always := newWorld(t, func(o *api.Options) { o.Durability = "always" })
	accepted(t, always.send(request{method: "GET", path: "/version"}), 200, &v)
	if v.Durability != "always" {
		t.Errorf("durability %q, want always", v.Durability)
	}
	get := func(path string) reply { return w.send(request{method: "GET", path: path}) }
	accepted(t, get("/readyz"), 200, nil)
	why.Store(&errSecretCause)
	got := w.send(request{method: "GET", path: "/readyz", header: map[string]string{"X-Forwarded-For": "10.0.0.1"}})
	refused(t, got, protocol.CodeUnavailable)
	if strings.Contains(got.body, "drive 7") || !strings.Contains(w.logs.String(), "drive 7") {
		t.Error("the cause is for the log and for this machine, and for nobody else")
	}
	if got := get("/readyz"); !strings.Contains(got.body, "drive 7") {
		t.Errorf("this machine is not told the cause: %s", got.body)
	}
	var draining error = protocol.NewError(protocol.CodeRestarting)
	why.Store(&draining)
	refused(t, get("/readyz"), protocol.CodeRestarting)
	accepted(t, get("/livez"), 200, nil)
	accepted(t, w.send(request{method: "HEAD", path: "/livez"}), 200, nil)
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.send(request{method: "GET", path: "/v1/apps/" + w.secret, as: w.accountToken})
	w.send(request{method: "GET", path: "/v1/nothing/" + w.secret})
	w.send(request{method: "PUT", path: "/v1/apps/" + w.secret})
	body := w.send(request{method: "GET", path: "/metrics"}).body
	for _, line := range []string{
		`fanfare_http_requests_total{method="GET",route="/v1/apps/:app",status="404"} 1`,
		`fanfare_http_requests_total{method="GET",route="none",status="404"} 1`,
		`fanfare_http_requests_total{method="PUT",route="/v1/apps/:app",status="405"} 1`,
		`fanfare_refused_total{code="app_not_found"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(body, w.secret) || strings.Contains(w.logs.String(), w.secret) {
		t.Error("a path that the client sent is in metrics or log")
	}

	scrape := func(h http.Handler, remote, via string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr = remote
		if via != "" {
			r.Header.Set(via, "203.0.113.9")
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	open := newWorld(t, func(o *api.Options) { o.MetricsOpen = true })
	for _, tc := range []struct {
		remote, via string
		shown       bool
	}{
		{"127.0.0.1:1", "", true}, {"[::1]:1", "", true}, {"[::ffff:127.0.0.1]:1", "", true},
		{"203.0.113.9:1", "", false}, {"10.0.0.1:1", "", false}, {"@", "", false},
		{"127.0.0.1:1", "X-Forwarded-For", false}, {"127.0.0.1:1", "Forwarded", false}, {"127.0.0.1:1", "X-Real-Ip", false},
	} {
		if got := scrape(w.handler, tc.remote, tc.via).Code == 200; got != tc.shown {
			t.Errorf("metrics for %s %s: shown %t, want %t", tc.remote, tc.via, got, tc.shown)
		}
		if got := scrape(open.handler, tc.remote, tc.via).Code; got != 200 {
			t.Errorf("open metrics for %s %s: %d", tc.remote, tc.via, got)
		}
	}
}

func TestSDK(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"/sdk/fanfare.js", "/sdk/fanfare.mjs"} {
		get := func(h ...string) reply {
			r := request{method: "GET", path: name, header: map[string]string{}}
			for i := 0; i < len(h); i += 2 {
				r.header[h[i]] = h[i+1]
			}
			return w.send(r)
		}
		got := get()
		accepted(t, got, 200, nil)
		h := got.header
		if !strings.Contains(got.body, "Fanfare = 1") || h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("Cache-Control") != "no-cache" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("ETag") == "" {
			t.Errorf("%s: %v", name, h)
		}
		accepted(t, get("If-None-Match", h.Get("ETag")), 304, nil)
		accepted(t, get("If-None-Match", `W/"older"`), 200, nil)
	}
	none := newWorld(t, func(o *api.Options) { o.SDK = nil })
	refused(t, none.send(request{method: "GET", path: "/sdk/fanfare.js"}), protocol.CodeNotFound)
}

func TestFrontDoor(t *testing.T) {
	page := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "page at "+r.URL.Path) })
	w := newWorld(t, func(o *api.Options) { o.Dashboard = page })
	got := w.send(request{method: "GET", path: "/"})
	if got.status != 302 || got.header.Get("Location") != "/dashboard/" {
		t.Errorf("GET /: %d to %q", got.status, got.header.Get("Location"))
	}
	for _, path := range []string{"/dashboard", "/dashboard/", "/dashboard/app.js"} {
		if got := w.send(request{method: "GET", path: path}).body; got != "page at "+path {
			t.Errorf("GET %s: %q", path, got)
		}
	}
	bare := newWorld(t).send(request{method: "GET", path: "/"})
	if bare.status != 200 || !strings.HasPrefix(bare.header.Get("Content-Type"), "text/plain") || !strings.Contains(bare.body, "openapi.json") {
		t.Errorf("GET / without a dashboard: %d %s", bare.status, bare.body)
	}
}

// claims: 9.2
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name string
		hub  fakeHub
		code protocol.Code
	}{
		{"panic", func(context.Context, hub.Publisher, hub.Origin, []protocol.Outgoing) ([]protocol.Published, error) {
			panic(errSecretCause)
		}, protocol.CodeInternal},
		{"foreign error", func(context.Context, hub.Publisher, hub.Origin, []protocol.Outgoing) ([]protocol.Published, error) {
			return nil, errSecretCause
		}, protocol.CodeInternal},
		{"wrapped", func(context.Context, hub.Publisher, hub.Origin, []protocol.Outgoing) ([]protocol.Published, error) {
			return nil, fmt.Errorf("%w: %w", protocol.NewError(protocol.CodeDiskFull), errSecretCause)
		}, protocol.CodeDiskFull},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, withHub(tc.hub))
			got := w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"a","data":"private words"}`, header: map[string]string{"X-Request-Id": "from-the-proxy.1"}})
			p := refused(t, got, tc.code)
			if strings.Contains(got.body, "drive 7") || strings.Contains(got.body, "goroutine") {
				t.Errorf("internals leave: %s", got.body)
			}
			if p.RequestID != "from-the-proxy.1" {
				t.Errorf("request id %q", p.RequestID)
			}
			log := w.logs.String()
			if !strings.Contains(log, "drive 7") || !strings.Contains(log, "request_id=from-the-proxy.1") {
				t.Errorf("the operator cannot find the cause: %s", log)
			}
			if strings.Contains(log, "private words") || strings.Contains(log, w.secret) {
				t.Error("contents or secrets are in the log")
			}
		})
	}
}

func TestRequestIDsAreHarmless(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, id := range []string{"", "a b", "<script>", strings.Repeat("x", 65), "ä"} {
		got := w.send(request{method: "GET", path: "/livez", header: map[string]string{"X-Request-Id": id}}).header.Get("X-Request-Id")
		if got == id || seen[got] || protocol.CheckID(got) != nil {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
}

func TestCutOffBody(t *testing.T) {
	w := newWorld(t)
	for path, as := range map[string]string{"/v1/messages": w.secret, "/v1/apps": w.accountToken} {
		r := httptest.NewRequest("POST", path, io.MultiReader(strings.NewReader(`{"channel":`), brokenReader{}))
		r.Header.Set("Authorization", "Bearer "+as)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		refused(t, reply{rec.Code, rec.Header(), rec.Body.String()}, protocol.CodeBadRequest)
		if strings.Contains(rec.Body.String(), "drive 7") {
			t.Errorf("internals leave: %s", rec.Body)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errSecretCause }

// claims: 9.3 4.5
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.handler)
	defer srv.Close()
	call := func(method, path, as, body string) (int, http.Header, []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+as)
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Error(err)
			return 0, nil, nil
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, resp.Header, b
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("app-%d-%d", g, i)
				if s, _, b := call("POST", "/v1/apps", w.accountToken, `{"name":"`+name+`"}`); s != 201 {
					t.Errorf("%d %s", s, b)
				}
				var out struct{ Messages []protocol.Published }
				s, h, b := call("POST", "/v1/messages", w.token, fmt.Sprintf(`{"channels":["chat:%d","chat:%d-%d"],"data":1,"id":"%s"}`, g, g, i, name))
				if err := json.Unmarshal(b, &out); s != 200 || err != nil || len(out.Messages) != 2 || out.Messages[1].Channel != protocol.Channel(fmt.Sprintf("chat:%d-%d", g, i)) || out.Messages[0].ID != name || h.Get("Content-Encoding") != "" {
					t.Errorf("%d %s %v %v", s, b, err, h)
				}
				if s, _, b := call("POST", "/v1/messages", w.token, `{"channel":"nope","data":1}`); s != 403 {
					t.Errorf("%d %s", s, b)
				}
			}
		})
	}
	wg.Wait()
	s, h, b := call("GET", "/v1/apps", w.accountToken, "")
	if s != 200 || h.Get("Content-Encoding") != "gzip" {
		t.Fatalf("a long list: %d, Content-Encoding %q", s, h.Get("Content-Encoding"))
	}
	zr, err := gzip.NewReader(strings.NewReader(string(b)))
	must(t, err)
	var list struct{ Apps []struct{ Name string } }
	must(t, json.NewDecoder(zr).Decode(&list))
	if len(list.Apps) != 161 {
		t.Errorf("%d apps, want 161", len(list.Apps))
	}
}
