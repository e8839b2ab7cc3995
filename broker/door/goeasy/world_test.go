package goeasy_test

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
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// patience is how long a test waits for what must come. It is no measure of
// speed: only a fault makes a test wait so long.
const patience = time.Minute

// wire is a network between browsers and a server: it can be cut, be down, and
// let no WebSocket through.
type wire struct {
	addr, target string

	mu     sync.Mutex
	conns  map[net.Conn]bool
	down   bool
	deaf   bool // WebSocket handshakes are hung up on
	sawWS  bool
	closed bool
	run    sync.WaitGroup
}

func startWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	w.run.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.run.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.set(func() { w.closed = true })
		w.cut()
		w.run.Wait()
	})
	return w
}

func (w *wire) set(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// keep takes note of c, to cut it; false if it is to be hung up on.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed && !w.down {
		w.conns[c] = true
	}
	return !w.closed && !w.down
}

// carry brings requests one by one, so that each is looked at.
func (w *wire) carry(c net.Conn) {
	defer c.Close()
	if !w.keep(c) {
		return
	}
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		isWS, deaf := req.URL.Query().Get("transport") == "websocket", false
		w.set(func() { deaf = w.deaf; w.sawWS = w.sawWS || isWS && !deaf })
		if isWS && deaf {
			return
		}
		s, err := net.Dial("tcp", w.target)
		if err != nil || !w.keep(s) {
			return
		}
		if err := req.Write(s); err != nil {
			s.Close()
			return
		}
		if isWS {
			defer s.Close()
			w.run.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, s) // it ends when either is closed
			})
			_, _ = io.Copy(s, r)
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(s), req)
		if err == nil {
			err = res.Write(c)
		}
		s.Close()
		if err != nil {
			return
		}
	}
}

// cut closes every connection that there is.
func (w *wire) cut() {
	w.set(func() {
		for c := range w.conns {
			c.Close()
		}
		clear(w.conns)
	})
}

// world is a server, and a browser that finds it under names of its own.
type world struct {
	*brokertest.Server
	t     *testing.T
	ctx   context.Context // the browser's
	site  string
	wires map[string]*wire
}

// openWorld starts a wire for each of the names.
func openWorld(t *testing.T, names []string, change ...func(*broker.Config)) *world {
	t.Helper()
	w := &world{Server: brokertest.Start(t, change...), t: t, wires: map[string]*wire{}}
	var rules []string
	for _, name := range names {
		w.wires[name] = startWire(t, strings.TrimPrefix(w.URL, "http://"))
		rules = append(rules, "MAP *"+name+".test "+w.wires[name].addr)
	}
	site := http.NewServeMux()
	site.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, "testdata/page.html") })
	site.HandleFunc("/lib/{file}", func(rw http.ResponseWriter, r *http.Request) {
		version := strings.TrimSuffix(r.PathValue("file"), ".js")
		file := "goeasy.min.js"
		if version == "1.2.1" {
			file = "index.js"
		}
		http.ServeFile(rw, r, "../../../interop/node_modules/goeasy-"+version+"/"+file)
	})
	if _, err := os.Stat("../../../interop/node_modules"); err != nil {
		t.Fatal("GoEasy's clients are not here: run .ci/tools")
	}
	pages := httptest.NewServer(site)
	t.Cleanup(pages.Close)
	w.site = pages.URL

	opts := slices.Clone(chromedp.DefaultExecAllocatorOptions[:])
	if path, err := exec.LookPath("chromium"); err == nil {
		opts = append(opts, chromedp.ExecPath(path))
	}
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's does not start for root
	}
	opts = append(opts, chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", err)
	}
	w.ctx = ctx
	return w
}

// key is one of the demo app's keys at this door.
func (w *world) key(name string) string { return w.Doors["FANFARE_GOEASY_"+name] }

// page is a page with one of GoEasy's clients.
type page struct {
	t   *testing.T
	ctx context.Context
}

// open opens a page with a version of the client that finds the server by
// name. more goes into its address.
func (w *world) open(t *testing.T, version, name, key string, more string) *page {
	t.Helper()
	ctx, stop := chromedp.NewContext(w.ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil { // without a limit in time, which would be the page's
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	t.Cleanup(cancel)
	p := &page{t, ctx}
	// Behind the digit that these clients put before a host, the two ways to
	// have one name: it is a user of the name, or a name below it.
	host := "@" + name + ".test"
	if more != "" {
		host = "." + name + ".test"
	}
	q := url.Values{"v": {version}, "host": {host}, "key": {key}}
	if err := chromedp.Do(ctx, chromedp.Navigate(w.site+"/?"+q.Encode()+more)); err != nil {
		t.Fatal(err)
	}
	return p
}

// do runs a script and returns what it gives, or its promise, as JSON; what
// fails as the message.
func (p *page) do(script string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`(async () => { try { return JSON.stringify(await (`+script+`)) || "null"; } catch (e) { return e.message; } })()`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// gives checks what a script gives.
func (p *page) gives(script, want string) {
	p.t.Helper()
	if got := p.do(script); got != want {
		p.t.Fatalf("%s gives %s, want %s", script, got, want)
	}
}

// comes waits until a condition holds.
func (p *page) comes(condition string) {
	p.t.Helper()
	if p.do(fmt.Sprintf(`new Promise((done) => { const end = Date.now() + %d; (async function look() { const ok = Boolean(await (%s)); if (ok || Date.now() > end) done(ok); else setTimeout(look, 10); })(); })`, patience.Milliseconds(), condition)) != "true" {
		p.t.Fatalf("%s never came: got %s, seen %s", condition, p.do("got"), p.do("seen"))
	}
}

// texts checks what the page got, in order, each once.
func (p *page) texts(want ...string) {
	p.t.Helper()
	p.comes(fmt.Sprintf("got.length >= %d", len(want)))
	var got []string
	if err := json.Unmarshal([]byte(p.do("got.map((m) => m.content)")), &got); err != nil || !slices.Equal(got, want) {
		p.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// call sends a request and returns its status and body.
func call(t *testing.T, method, address, kind, auth, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if auth != "" {
		req.Header.Set("Authorization", "Bearer "+auth)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(bytes.TrimSpace(text))
}

// publish publishes over this door's REST.
func (w *world) publish(t *testing.T, channel, content string, qos int) {
	t.Helper()
	body := fmt.Sprintf(`{"appkey":%q,"channel":%q,"content":%q,"qos":%d}`, w.key("REST_KEY"), channel, content, qos)
	if status, text := call(t, http.MethodPost, w.URL+"/v2/pubsub/publish", "application/json", "", body); status != 200 || text != `{"code":200,"content":"OK"}` {
		t.Fatalf("publish: %d %s", status, text)
	}
}
