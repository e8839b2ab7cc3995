package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// run is what a client got of a channel from one subscribe on.
type run struct {
	from protocol.Position // it has all up to there, or was told of a gap
	got  []frame
}

// walker is a client that comes and goes. Its reader is a goroutine of each
// connection; the rest belongs to the test.
type walker struct {
	ws   *wsClient // nil: not connected
	down chan struct{}

	mu   sync.Mutex
	subs map[string]bool
	runs map[string][]*run
	at   int64
	told chan frame // answers
}

func (w *walker) connect(t *testing.T, s *brokertest.Server) {
	w.ws, w.down, w.subs = dialWS(t, s, ""), make(chan struct{}), map[string]bool{}
	w.told = make(chan frame, 1)
	f := w.ws.hello(s.PublishableKey)
	if f.Type != protocol.TypeWelcome {
		t.Fatalf("hello: %s", f.raw)
	}
	if w.at == 0 {
		w.at = f.Time
	}
	go func(conn *websocket.Conn, down chan struct{}, told chan frame) {
		defer close(down)
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			for line := range strings.SplitSeq(string(b), "\n") {
				f := frame{raw: line}
				if json.Unmarshal([]byte(line), &f) == nil {
					w.take(f, told)
				}
			}
		}
	}(w.ws.conn, w.down, w.told)
}

func (w *walker) take(f frame, told chan frame) {
	w.mu.Lock()
	if f.Time > 0 {
		w.at = f.Time
	}
	runs := w.runs[string(f.Channel)]
	switch {
	case f.Type == protocol.TypeMessage && len(runs) > 0:
		last := runs[len(runs)-1]
		last.got = append(last.got, f)
	case f.Type == protocol.TypeSubscribed:
		r := &run{from: *f.Position}
		if f.Recovered != nil && *f.Recovered {
			r.from = w.where(string(f.Channel))
		}
		w.runs[string(f.Channel)] = append(runs, r)
	}
	w.mu.Unlock()
	if f.Type == protocol.TypeSubscribed || f.Type == protocol.TypeUnsubscribed || f.Type == protocol.TypeError {
		told <- f
	}
}

// where is the client's position on a channel (clause 3.9), "" where it never
// was on it. mu is held.
func (w *walker) where(ch string) protocol.Position {
	runs := w.runs[ch]
	if len(runs) == 0 {
		return ""
	}
	last := runs[len(runs)-1]
	if n := len(last.got); n > 0 {
		return *last.got[n-1].Position
	}
	return last.from
}

func (w *walker) drop() {
	if w.ws != nil {
		w.ws.close()
		<-w.down
		w.ws, w.subs = nil, map[string]bool{}
	}
}

// world is a node, its channels and what was published to them.
type world struct {
	t     *testing.T
	r     *rapid.T
	s     *brokertest.Server
	keep  map[string]int
	log   map[string][]protocol.Published
	peers []*walker
}

// command sends one and returns its answer.
func (w *world) command(c *walker, format string, args ...any) frame {
	c.ws.send(format, args...)
	select {
	case f := <-c.told:
		if f.Type == protocol.TypeError {
			w.r.Fatalf("%s", f.raw)
		}
		return f
	case <-time.After(patience):
		w.r.Fatalf("no answer to "+format, args...)
		return frame{}
	}
}

// publish publishes n messages in one request.
func (w *world) publish(ch string, n int) {
	var batch []string
	for range n {
		batch = append(batch, fmt.Sprintf(`{"channel":%q,"id":"%d","data":1}`, ch, len(w.log[ch])+len(batch)))
	}
	status, body := post(w.t, w.s, "/v1/messages", w.s.SecretKey, `{"messages":[`+strings.Join(batch, ",")+`]}`)
	var answer struct{ Messages []protocol.Published }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || len(answer.Messages) != n {
		w.r.Fatalf("publish: %d %s", status, body)
	}
	w.log[ch] = append(w.log[ch], answer.Messages...)
}

func (w *world) subscribe(c *walker, ch string, resume bool) {
	c.mu.Lock()
	since, at := c.where(ch), c.at
	c.mu.Unlock()
	c.subs[ch] = true
	if since == "" || !resume {
		w.command(c, `{"type":"subscribe","ref":1,"channel":%q}`, ch)
		return
	}
	f := w.command(c, `{"type":"subscribe","ref":1,"channel":%q,"since":%q,"at":%d}`, ch, since, at)
	if f.Recovered == nil {
		w.r.Fatalf("since was not answered: %s", f.raw)
	}
	missed := len(w.log[ch]) - w.after(ch, since)
	if !*f.Recovered && missed <= w.keep[ch] {
		w.r.Fatalf("told of a gap where %d messages were missed and %d are kept: %s", missed, w.keep[ch], f.raw)
	}
}

// after is the place in the channel's log of the first message behind p.
func (w *world) after(ch string, p protocol.Position) int {
	epoch, seq, err := p.Parse()
	if err != nil {
		w.r.Fatalf("position %q: %v", p, err)
	}
	i := slices.IndexFunc(w.log[ch], func(m protocol.Published) bool {
		e, s, err := m.Position.Parse()
		return err == nil && e == epoch && s > seq
	})
	if i < 0 {
		return len(w.log[ch])
	}
	return i
}

// check holds each run against the log: no hole, nothing twice, in order.
func (w *world) check() {
	for n, c := range w.peers {
		for ch, live := range c.subs {
			if !live {
				continue
			}
			end := time.Now().Add(patience)
			for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
				c.mu.Lock()
				at := c.where(ch)
				c.mu.Unlock()
				if w.after(ch, at) == len(w.log[ch]) {
					tick.Stop()
					break
				}
				if time.Now().After(end) {
					w.r.Fatalf("client %d is at %s of %s, and nothing more comes", n, at, ch)
				}
			}
		}
		c.mu.Lock()
		for ch, runs := range c.runs {
			for _, r := range runs {
				begin := w.after(ch, r.from)
				for i, f := range r.got {
					if begin+i >= len(w.log[ch]) || w.log[ch][begin+i].ID != f.ID || w.log[ch][begin+i].Position != *f.Position {
						w.r.Errorf("client %d, %s from %s: message %d is %s at %s, which is not the next one", n, ch, r.from, i, f.ID, *f.Position)
						break
					}
				}
			}
		}
		c.mu.Unlock()
	}
}

// TestResumeProperty lets clients, publishers and restarts meet at random.
//
// claims: 3.2 3.3 3.5 3.9 4.2 4.6
func TestResumeProperty(t *testing.T) {
	const budget = 30 * time.Second
	dir := filepath.Join(t.TempDir(), "data")
	start := func() *brokertest.Server {
		return brokertest.Start(t, func(c *broker.Config) { c.Data = dir })
	}
	s := start()
	setRules(t, s, `[{"namespace":"small","history":{"messages":5,"age":300}},{"namespace":"large","history":{"messages":20,"age":3600}}]`)
	began, rounds, gaps, resumed := time.Now(), 0, 0, 0
	rapid.Check(t, func(r *rapid.T) {
		if time.Since(began) > budget {
			return
		}
		rounds++
		w := &world{t: t, r: r, s: s, keep: map[string]int{}, log: map[string][]protocol.Published{}}
		var names []string
		for i, ns := range []string{"small", "large", "large"} {
			name := fmt.Sprintf("%s:%d:%d", ns, rounds, i)
			names, w.keep[name] = append(names, name), map[string]int{"small": 5, "large": 20}[ns]
		}
		for range 2 {
			c := &walker{runs: map[string][]*run{}}
			w.peers = append(w.peers, c)
			defer c.drop()
		}
		for range rapid.IntRange(30, 60).Draw(r, "steps") {
			c, ch := w.peers[rapid.IntRange(0, 1).Draw(r, "client")], rapid.SampledFrom(names).Draw(r, "channel")
			switch what := rapid.SampledFrom([]string{"back", "publish", "drop", "back", "publish", "toggle", "publish", "restart"}).Draw(r, "what"); {
			case what == "publish":
				w.publish(ch, rapid.SampledFrom([]int{1, 2, 5, 6, 20, 21, 40}).Draw(r, "many"))
			case what == "drop":
				c.drop()
			case what == "restart":
				if rapid.IntRange(0, 2).Draw(r, "really") > 0 {
					continue
				}
				if err := s.Stop(); err != nil {
					t.Fatal(err)
				}
				for _, c := range w.peers {
					c.drop()
				}
				s = start()
				w.s = s
			case c.ws == nil:
				c.connect(t, w.s)
				for _, ch := range names { // a client that comes back resumes what it had
					c.mu.Lock()
					was := c.where(ch)
					c.mu.Unlock()
					if was != "" {
						w.subscribe(c, ch, true)
					}
				}
			case what == "back":
			default:
				if c.subs[ch] {
					w.command(c, `{"type":"unsubscribe","ref":1,"channel":%q}`, ch)
					delete(c.subs, ch)
					continue
				}
				w.subscribe(c, ch, rapid.IntRange(0, 4).Draw(r, "resume") > 0)
			}
		}
		w.check()
		for _, c := range w.peers {
			for _, runs := range c.runs {
				for i, run := range runs[min(1, len(runs)):] {
					before := runs[i]
					last := before.from
					if n := len(before.got); n > 0 {
						last = *before.got[n-1].Position
					}
					if run.from == last {
						resumed++
					} else {
						gaps++
					}
				}
			}
		}
	})
	t.Logf("%d rounds: %d times gone on without a gap, %d times begun anew", rounds, resumed, gaps)
	if rounds > 5 && (resumed == 0 || gaps == 0) {
		t.Error("the test met no gap, or nothing but gaps")
	}
}
