package js_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// wire is a network between browsers and a server that can be cut.
type wire struct {
	url    string
	target string

	mu     sync.Mutex
	conns  map[net.Conn]bool
	deaf   bool // WebSocket handshakes are hung up on
	closed bool
	wg     sync.WaitGroup
}

func startWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + l.Addr().String(), target: strings.TrimPrefix(server, "http://"), conns: map[net.Conn]bool{}}
	w.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.cut()
		w.wg.Wait()
	})
	return w
}

// keep takes note of c, to cut it; false if it is too late.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.conns[c] = true
	}
	return !w.closed
}

func (w *wire) carry(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if !w.keep(c) {
		return
	}
	head, err := r.Peek(len("GET /v1/ws"))
	w.mu.Lock()
	deaf := w.deaf
	w.mu.Unlock()
	if err != nil || deaf && string(head) == "GET /v1/ws" {
		return
	}
	s, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer s.Close()
	if !w.keep(s) {
		return
	}
	w.wg.Go(func() {
		defer c.Close()
		_, _ = io.Copy(c, s) // it ends when either is closed
	})
	_, _ = io.Copy(s, r)
}

// cut closes every connection that there is.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

const page = `<!doctype html><title>page</title><script src="%s/sdk/fanfare.js"></script><script>
Math.random = () => 0.02; // the back-off has jitter: no test waits for it
const got = [], gaps = [], states = [];
const ff = new Fanfare({ token: %q, persist: true, onGap: (gap) => gaps.push(gap) });
ff.on("state", ({ current }) => states.push(current));
const subscribed = ff.subscribe("c", (m) => got.push(m.data));
</script>`

// tab is a page with a client that is subscribed to c, in real Chromium,
// behind a wire to a real server.
type tab struct {
	t      *testing.T
	ctx    context.Context
	wire   *wire
	server *brokertest.Server
	site   string
	sent   int
}

func openTab(t *testing.T, deaf bool) *tab {
	t.Helper()
	b := &tab{t: t, server: brokertest.Start(t)}
	b.wire = startWire(t, b.server.URL)
	b.wire.deaf = deaf
	var token struct{ Token string }
	b.post("/v1/tokens", `{"user":"u","grants":{"subscribe":["*"],"publish":["*"],"history":["*"]}}`, &token)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, page, b.wire.url, token.Token)
	}))
	t.Cleanup(site.Close)
	b.site = site.URL

	opts := slices.Clone(chromedp.DefaultExecAllocatorOptions[:])
	if path, err := exec.LookPath("chromium"); err == nil {
		opts = append(opts, chromedp.ExecPath(path))
	}
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's does not start for root
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", err)
	}
	b.ctx, stop = context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(stop)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(b.site)); err != nil {
		t.Fatal(err)
	}
	value[string](b, `subscribed.then((s) => s.channel)`)
	return b
}

// value is what an expression, or its promise, gives.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// comes waits until condition holds.
func (b *tab) comes(condition string) {
	b.t.Helper()
	if value[bool](b, `new Promise((done) => { const end = Date.now() + 30000; (function look() { const ok = Boolean(`+condition+`); if (ok || Date.now() > end) done(ok); else setTimeout(look, 10); })(); })`) {
		return
	}
	b.t.Fatalf("%s never came: got %s, gaps %s, states %s", condition, value[string](b, `JSON.stringify(got)`), value[string](b, `JSON.stringify(gaps)`), value[string](b, `states.join()`))
}

func (b *tab) post(path, body string, answer any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.server.SecretKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode > 299 {
		b.t.Fatalf("POST %s: %s", path, text)
	}
	if answer != nil {
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(answer); err != nil {
			b.t.Fatal(err)
		}
	}
}

// publish sends the next n numbers.
func (b *tab) publish(n int) {
	b.t.Helper()
	for range n {
		b.sent++
		b.post("/v1/messages", fmt.Sprintf(`{"channel":"c","data":%d}`, b.sent), nil)
	}
}

// all checks that the page got every number from first on, once and in order,
// and was told of no gap.
func (b *tab) all(first int) {
	b.t.Helper()
	b.comes(fmt.Sprintf("got.at(-1) === %d", b.sent))
	var want []int
	for n := first; n <= b.sent; n++ {
		want = append(want, n)
	}
	if got := value[[]int](b, `got`); !slices.Equal(got, want) {
		b.t.Fatalf("got %v, want %v", got, want)
	}
	if gaps := value[string](b, `JSON.stringify(gaps)`); gaps != "[]" {
		b.t.Fatalf("gaps: %s", gaps)
	}
}

// claims: 3.3 3.9 3.11 7.7 9.12 9.13
func TestNothingIsLostInChromium(t *testing.T) {
	for _, c := range []struct {
		name string
		deaf bool
	}{{"WebSocket", false}, {"server-sent events", true}} {
		t.Run(c.name, func(t *testing.T) {
			b := openTab(t, c.deaf)
			for range 4 { // cut while messages come
				b.publish(3)
				b.wire.cut()
				b.publish(3)
				b.comes(`ff.state === "connected"`)
			}
			b.all(1)

			// What the page publishes under a cut is published once.
			value[bool](b, `(globalThis.done = Promise.all([1, 2, 3].map((n) => ff.publish("mine", n))), true)`)
			b.wire.cut()
			value[int](b, `done.then((all) => all.length)`)
			mine := value[[]int](b, `(async () => { const all = []; for await (const m of Fanfare.history(ff, "mine")) all.push(m.data); return all.sort(); })()`)
			if !slices.Equal(mine, []int{1, 2, 3}) {
				t.Fatalf("published under a cut: %v", mine)
			}

			// History until a subscription, and the subscription, mesh.
			b.publish(2)
			value[string](b, `ff.subscribe("c", () => {}).then((s) => (globalThis.sub = s).position)`)
			b.publish(2)
			b.all(1)
			past := value[int](b, `(async () => { let n = 0; for await (const m of Fanfare.history(ff, "c", { until: sub.position })) n = m.data; return n; })()`)
			if past < b.sent-4 || past > b.sent-2 {
				t.Fatalf("history until the subscription ends with %d; %d were published before", past, b.sent-2)
			}

			// The page is loaded again.
			seen := b.sent
			if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil {
				t.Fatal(err)
			}
			b.publish(3)
			if err := chromedp.Do(b.ctx, chromedp.Navigate(b.site)); err != nil {
				t.Fatal(err)
			}
			value[string](b, `subscribed.then((s) => s.channel)`)
			b.publish(1)
			b.all(seen + 1)
		})
	}
}
