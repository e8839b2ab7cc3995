package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// load is people at login pages, and some of them signing in, at the real
// program as a process of its own. Each page is at an address of its own.
type load struct {
	pages  int
	logins int           // at most pages
	rate   int           // sign-ins begun in a second; 0 is eight at a time, as fast as it goes
	phones int           // on each one a user is signed in
	looks  time.Duration // how often a page asks whether it missed something
	codes  string        // --first-code: how long before codes begin to turn
}

// loaded is what came of it.
type loaded struct {
	took    []time.Duration // from the tap on yes until the browser is signed in, sorted
	heard   []time.Duration // from the tap until the page was told, sorted
	failed  []string        // why a sign-in was lost
	cut     int             // pages whose connection broke
	rotated int
	opening time.Duration
	perPage int // bytes of the program for each open page
}

func (l loaded) percentile(of []time.Duration, p int) time.Duration {
	return of[min(len(of)-1, len(of)*p/100)]
}

// visitor is one page. Its own goroutine is the page; who signs in there reads
// the ticket.
type visitor struct {
	*page
	conn *websocket.Conn
	ends time.Time
	last bool // no code follows this one

	mu     sync.Mutex
	tapped time.Time
	done   chan string // how the sign-in ended; "" is well
}

func (v *visitor) shown() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ticket
}

// crowd is a load under way.
type crowd struct {
	load
	tb       testing.TB
	p        *program
	visitors []atomic.Pointer[visitor] // who is at each page now
	out      loaded
	mu       sync.Mutex // of out
	opened   atomic.Int32
}

// bear puts the load on the program and says what came of it.
func (l load) bear(tb testing.TB) loaded {
	var users []string
	for i := range l.phones {
		users = append(users, fmt.Sprintf("user%d", i))
	}
	c := &crowd{load: l, tb: tb, p: startFor(tb, users, nil, "--digits", "never", "--first-code", l.codes), visitors: make([]atomic.Pointer[visitor], l.pages)}
	phones := make([]*agent, l.phones)
	for i := range phones {
		phones[i] = c.p.phoneOf(users[i])
	}
	before := c.p.memory()
	ctx, stop := context.WithCancel(context.Background())
	var living sync.WaitGroup
	defer living.Wait()
	defer stop()
	began := time.Now()
	tokens := make(chan struct{}, 48)
	for i := range c.visitors {
		tokens <- struct{}{}
		living.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				v, err := c.open(ctx)
				if first {
					<-tokens
				}
				if err != nil && ctx.Err() == nil {
					c.fail("a page did not open: " + err.Error())
				}
				c.visitors[i].Store(v)
				if first {
					c.opened.Add(1)
				}
				if v == nil || !c.live(ctx, v) {
					return
				}
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for int(c.opened.Load()) < l.pages {
		<-tick.C
	}
	c.out.opening = time.Since(began)
	c.out.perPage = (c.p.memory() - before) << 20 / l.pages
	if len(c.out.failed) == 0 {
		c.signInAll(phones)
	}
	slices.Sort(c.out.took)
	slices.Sort(c.out.heard)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out
}

func (c *crowd) fail(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.failed = append(c.out.failed, why)
}

// open is what a login page does first: it asks for an attempt, draws the code
// and listens.
func (c *crowd) open(ctx context.Context) (*visitor, error) {
	v := &visitor{page: &page{agent: c.p.agent(), verifier: strings.Repeat("v", 43)}, done: make(chan string, 1)}
	if v.begun = v.send("POST", "/qr/attempts", map[string]string{"code_challenge": pkceOf(v.verifier)}); v.begun.status != 201 {
		return nil, fmt.Errorf("begin: %d %s", v.begun.status, v.begun.text)
	}
	v.id = v.begun.str("attempt_id")
	v.draw(v.begun)
	conn, _, err := websocket.Dial(ctx, strings.Replace(c.p.url, "http", "ws", 1)+"/v1/ws", nil)
	if err != nil {
		return nil, err
	}
	v.conn = conn
	for _, frame := range []string{fmt.Sprintf(`{"type":"hello","token":%q}`, v.begun.str("channel_token")), fmt.Sprintf(`{"type":"subscribe","ref":1,"channel":%q}`, v.begun.str("channel"))} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame+"\n")); err != nil {
			return nil, err
		}
	}
	for {
		text, err := v.read(ctx)
		switch {
		case err != nil:
			return nil, err
		case strings.Contains(text, `"subscribed"`):
			return v, nil
		case strings.Contains(text, `"error"`):
			return nil, fmt.Errorf("subscribe: %s", text)
		}
	}
}

func (v *visitor) read(ctx context.Context) (string, error) {
	_, text, err := v.conn.Read(ctx)
	return string(text), err
}

// draw fetches the picture of a new code.
func (v *visitor) draw(g got) {
	v.mu.Lock()
	v.ticket = lastOf(g.str("qr_url"))
	v.mu.Unlock()
	v.ends, _ = time.Parse(time.RFC3339, g.str("code_ends_at"))
	v.last, _ = g.body["last_code"].(bool)
	if pic := v.send("GET", g.str("qr_svg_path"), nil); pic.status != 200 && pic.status != 404 { // 404: scanned meanwhile
		v.p.t.Errorf("the code: %d %s", pic.status, pic.text)
	}
}

// live is an open page until it is signed in or ctx is done: it turns its code,
// looks now and then whether it missed something, and listens. It is again
// true where the codes have run out, and the person asks for new ones.
func (c *crowd) live(ctx context.Context, v *visitor) (again bool) {
	defer func() { _ = v.conn.CloseNow() }()
	events := make(chan string)
	ctx, leave := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer leave()
	reading.Go(func() {
		defer close(events)
		for {
			text, err := v.read(ctx)
			if err != nil {
				return
			}
			if strings.Contains(text, `"type":"ping"`) {
				_ = v.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`+"\n")) // a cut shows at the next read
			}
			select {
			case events <- text:
			case <-ctx.Done():
				return
			}
		}
	})
	look := time.NewTicker(c.looks)
	defer look.Stop()
	turn := time.NewTimer(time.Until(v.ends))
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case text, ok := <-events:
			switch {
			case !ok:
				if ctx.Err() == nil {
					c.mu.Lock()
					c.out.cut++
					c.mu.Unlock()
				}
				return false
			case strings.Contains(text, `"event":"approved"`):
				c.signedIn(v)
				return false
			}
		case <-look.C:
			if g := v.send("GET", v.path(""), nil); g.status != 200 && g.status != 404 {
				c.fail(fmt.Sprintf("a look: %d %s", g.status, g.text))
			} else if g.str("state") == "approved" {
				c.signedIn(v) // the push is late or lost; the page is not
				return false
			}
		case <-turn.C:
			if v.last {
				return true
			}
			if g := v.send("POST", v.path("/rotate"), map[string]string{}); g.status == 200 {
				v.draw(g)
				turn.Reset(time.Until(v.ends))
				c.mu.Lock()
				c.out.rotated++
				c.mu.Unlock()
			}
		}
	}
}

// signedIn is the page that was told of a yes.
func (c *crowd) signedIn(v *visitor) {
	heard := time.Now()
	g := v.exchange()
	at := time.Now()
	if g.status != 200 || v.cookies["session"] == "" {
		v.done <- fmt.Sprintf("exchange: %d %s", g.status, g.text)
		return
	}
	v.mu.Lock()
	tapped := v.tapped
	v.mu.Unlock()
	c.mu.Lock()
	c.out.took = append(c.out.took, at.Sub(tapped))
	c.out.heard = append(c.out.heard, heard.Sub(tapped))
	c.mu.Unlock()
	v.done <- ""
}

// signInAll has people scan and say yes, at the rate.
func (c *crowd) signInAll(phones []*agent) {
	var under sync.WaitGroup
	defer under.Wait()
	gate := make(chan struct{}, 8)
	every := time.Nanosecond
	if c.rate > 0 {
		every, gate = time.Second/time.Duration(c.rate), make(chan struct{}, c.logins)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range c.logins {
		<-tick.C
		gate <- struct{}{}
		under.Go(func() {
			defer func() { <-gate }()
			if why := c.signIn(&c.visitors[i*len(c.visitors)/c.logins], phones[i%len(phones)].twin()); why != "" {
				c.fail(why)
			}
		})
	}
}

func (c *crowd) signIn(at *atomic.Pointer[visitor], phone *agent) string {
	var v *visitor
	var asked got
	for range 3 {
		v = at.Load()
		phone.ip = v.ip // the phone is in the same network
		if asked = phone.scan(v.shown()); asked.status != 404 {
			break // else the code has turned just now
		}
	}
	if asked.status != 200 {
		return fmt.Sprintf("scan: %d %s", asked.status, asked.text)
	}
	v.mu.Lock()
	v.tapped = time.Now()
	v.mu.Unlock()
	if g := phone.decide(v.id, "approve", asked.str("decision_nonce")); g.status != 200 {
		return fmt.Sprintf("approve: %d %s", g.status, g.text)
	}
	select {
	case why := <-v.done:
		return why
	case <-time.After(50 * time.Second):
		return "the page was never told"
	}
}

// TestNoLoginIsLost: hundreds of open pages, hundreds of sign-ins at once, and
// each one arrives. BenchmarkLogins says how fast.
func TestNoLoginIsLost(t *testing.T) {
	t.Parallel()
	out := load{pages: 400, logins: 200, phones: 16, looks: 30 * time.Second, codes: "10m"}.bear(t)
	if len(out.failed) > 0 || out.cut > 0 || len(out.took) != 200 {
		t.Errorf("%d of 200 sign-ins arrived, %d connections broke: %v", len(out.took), out.cut, out.failed)
	}
}

// BenchmarkLogins is 10,000 open login pages and 100 sign-ins a second for a
// minute, program and people on the same machine. QRLOGIN_BENCH changes it:
// {"pages":1000,"rate":100,"seconds":10}.
//
//	go test -run '^$' -bench Logins -benchtime 1x ./cmd/qrlogin
func BenchmarkLogins(b *testing.B) {
	size := struct{ Pages, Rate, Seconds int }{10_000, 100, 60}
	if text := os.Getenv("QRLOGIN_BENCH"); text != "" {
		if err := json.Unmarshal([]byte(text), &size); err != nil {
			b.Fatalf("QRLOGIN_BENCH: %v", err)
		}
	}
	for range b.N {
		l := load{pages: size.Pages, logins: min(size.Pages, size.Rate*size.Seconds), rate: size.Rate, phones: 200, looks: 10 * time.Second, codes: "1m"}
		out := l.bear(b)
		if len(out.failed) > 0 || len(out.took) != l.logins {
			why := map[string]int{}
			for _, text := range out.failed {
				why[text]++
			}
			b.Fatalf("%d of %d sign-ins arrived, %d connections broke, all pages were open after %v: %v", len(out.took), l.logins, out.cut, out.opening, why)
		}
		ms := func(name string, d time.Duration) { b.ReportMetric(float64(d.Microseconds())/1000, name) }
		ms("approve→page-p50-ms", out.percentile(out.took, 50))
		ms("approve→page-p99-ms", out.percentile(out.took, 99))
		ms("approve→told-p50-ms", out.percentile(out.heard, 50))
		ms("approve→told-p99-ms", out.percentile(out.heard, 99))
		b.ReportMetric(float64(out.perPage)/1024, "KiB/page")
		b.ReportMetric(float64(out.cut), "cut")
		b.ReportMetric(float64(out.rotated), "rotations")
		b.ReportMetric(out.opening.Seconds(), "s-to-open")
	}
}

// memory is the resident set of the program in MiB.
func (p *program) memory() int {
	p.t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return n / 1024
}

// many is how callers reach the program: many at once, each connection kept.
func many() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 512, 512
	return t
}
