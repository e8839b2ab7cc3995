package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/dashboard"
)

// fake is a server with the few answers that the page asks for, and with
// switches for what a real one seldom does. Its SDK is a few lines over SSE.
// All methods may be called concurrently.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	code    string // the sign-in code that is still good
	session bool
	odd     bool // answers of /v1 are no JSON
	keys    []map[string]any
	feeds   map[chan string]string // to a stream: its channel
}

const fakeSDK = `export class Fanfare {
  constructor(o) { this.o = o; this.fns = []; }
  on(event, fn) { if (event === "state") this.fns.push(fn); }
  tell(current, error) { for (const fn of this.fns) fn({ current, error }); }
  subscribe(channel, fn) {
    this.tell("connecting");
    return new Promise((ok, no) => {
      const url = this.o.url + "/v1/sse?channel=" + encodeURIComponent(channel) + "&key=" + this.o.key;
      this.es = new EventSource(url);
      this.es.onopen = () => { this.tell("connected"); ok({}); };
      this.es.onerror = () => { this.es.close(); no({ message: "refused", remedy: "" }); };
      this.es.onmessage = (e) => fn(JSON.parse(e.data));
    });
  }
  close() { this.es?.close(); }
}`

func newFake(t *testing.T) *fake {
	f := &fake{code: "good", feeds: map[chan string]string{}}
	f.keys = []map[string]any{
		{"id": "ffp_abcdefghij", "kind": "publishable", "name": "demo page", "created": "2026-11-01T10:00:00Z", "grants": map[string]any{"subscribe": []string{"*"}}, "key": "ffp_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"},
		{"id": "ffs_0123456789", "kind": "secret", "name": "demo server", "created": "2026-11-01T10:00:00Z"},
		{"id": "ffp_gonegonego", "kind": "publishable", "name": "old page", "created": "2026-10-01T10:00:00Z", "expires": "2026-10-02T10:00:00Z", "grants": map[string]any{"subscribe": []string{"public:*"}, "presence": []string{"public:*"}}, "key": "ffp_gonegonegoklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"},
	}
	mux := http.NewServeMux()
	mux.Handle(dashboard.Path, dashboard.Handler())
	mux.HandleFunc("GET /sdk/fanfare.mjs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, fakeSDK)
	})
	mux.HandleFunc("POST /v1/session", f.signIn)
	mux.HandleFunc("DELETE /v1/session", func(w http.ResponseWriter, _ *http.Request) {
		f.set(func() { f.session = false })
		w.WriteHeader(http.StatusNoContent)
	})
	limits := map[string]int{"connections": 100000, "channels_per_connection": 1000, "message_bytes": 65536, "publish_per_second": 5000, "subscribe_per_second": 100}
	f.answer(mux, "GET /v1/account", func() any { return map[string]any{"id": "acc_1", "name": "main"} })
	f.answer(mux, "GET /v1/apps", func() any {
		return map[string]any{"apps": []any{
			map[string]any{"id": "demo1", "name": "demo", "created": "2026-11-01T10:00:00Z", "limits": limits},
			map[string]any{"id": "shop2", "name": "<b>shop</b>", "created": "2026-11-02T10:00:00Z", "limits": limits},
		}}
	})
	f.answer(mux, "GET /v1/apps/{app}/keys", func() any { return map[string]any{"keys": f.keys} })
	f.answer(mux, "POST /v1/apps/{app}/keys", func() any {
		k := map[string]any{"id": "ffp_temporary0", "kind": "publishable", "name": "dashboard, temporary", "created": "2026-11-22T10:00:00Z", "expires": time.Now().Add(time.Hour),
			"grants": map[string]any{"subscribe": []string{"*"}, "publish": []string{"*"}}, "key": "ffp_temporary0klmnopqrstuvwxyz0123456789ABCDEFGHIJKL"}
		f.keys = append(f.keys, k)
		return k
	})
	mux.HandleFunc("POST /v1/messages", f.publish)
	mux.HandleFunc("GET /v1/sse", f.stream)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) signIn(w http.ResponseWriter, r *http.Request) {
	var in struct{ Code string }
	err := json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || in.Code != f.code {
		problem(w, 401, "link_invalid")
		return
	}
	f.code, f.session = "", true
	w.WriteHeader(http.StatusNoContent)
}

func (f *fake) answer(mux *http.ServeMux, pattern string, value func() any) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case f.odd:
			fmt.Fprint(w, "<html>A proxy's page</html>")
		case !f.session:
			problem(w, 401, "credential_missing")
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value())
		}
	})
}

func (f *fake) publish(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer ffp_temporary0klmnopqrstuvwxyz0123456789ABCDEFGHIJKL" {
		problem(w, 403, "not_granted")
		return
	}
	var m map[string]any
	if json.NewDecoder(r.Body).Decode(&m) != nil {
		problem(w, 400, "bad_json")
		return
	}
	m["type"], m["id"], m["time"] = "message", "m1", time.Now().UnixMilli()
	line, _ := json.Marshal(m)
	f.mu.Lock()
	defer f.mu.Unlock()
	for feed, ch := range f.feeds {
		if ch == m["channel"] {
			feed <- string(line)
		}
	}
	fmt.Fprint(w, `{"id":"m1","position":""}`)
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	feed := make(chan string, 16)
	f.set(func() { f.feeds[feed] = r.URL.Query().Get("channel") })
	defer f.set(func() { delete(f.feeds, feed) })
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	for {
		select {
		case line := <-feed:
			fmt.Fprintf(w, "data: %s\n\n", line)
			_ = rc.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"title":%q,"detail":"The fake says %s.","status":%d,"code":%q,"remedy":"Do better."}`, code, code, status, code)
}
