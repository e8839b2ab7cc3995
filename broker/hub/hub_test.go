package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"pgregory.net/rapid"
)

// loop is a bus of one node: what is published comes back through one
// goroutine, as over the real one.
type loop struct {
	in   chan bus.Packet
	fail error
}

func (l *loop) PublishAll(_ context.Context, ps []bus.Packet) ([]bus.Receipt, error) {
	if l.fail != nil {
		return nil, l.fail
	}
	for _, p := range ps {
		l.in <- p
	}
	return make([]bus.Receipt, len(ps)), nil
}

func (l *loop) Last(protocol.AppID, protocol.Channel, bus.Keep) protocol.Position { return "" }
func (l *loop) Read(context.Context, bus.Query) (bus.Page, error)                 { return bus.Page{}, l.fail }
func (l *loop) Purge(context.Context, protocol.AppID, protocol.Channel, bus.Keep) error {
	return l.fail
}

func (l *loop) Feed(fn func(bus.Packet)) (func(), error) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range l.in {
			fn(p)
		}
	})
	return func() { close(l.in); wg.Wait() }, nil
}

// anyone may publish everything in app.
type anyone struct {
	app    protocol.AppID
	denied string // a channel
	rate   error
}

func (a anyone) AppID() protocol.AppID { return a.app }
func (a anyone) UserID() string        { return "" }
func (a anyone) MaxData() int          { return 100 }
func (a anyone) Keep(protocol.Channel) (int, time.Duration) {
	return 0, 0
}
func (a anyone) AllowPublish(int) error {
	return a.rate
}
func (a anyone) May(_ protocol.Action, ch protocol.Channel) error {
	if string(ch) == a.denied {
		return protocol.NewError(protocol.CodeNotGranted)
	}
	return nil
}

// reader collects the data of what is delivered to it.
type reader struct {
	mu  sync.Mutex
	got []string
	n   chan struct{}
}

func newReader() *reader { return &reader{n: make(chan struct{}, 1<<16)} }

func (r *reader) Deliver(f *Frame) {
	for _, one := range f.Parts {
		r.Deliver(one)
	}
	if f.Parts != nil {
		return
	}
	var m protocol.Message
	if err := json.Unmarshal(f.Line, &m); err != nil {
		m.Data = json.RawMessage(err.Error())
	}
	r.mu.Lock()
	r.got = append(r.got, string(m.Data))
	r.mu.Unlock()
	r.n <- struct{}{}
}

func (r *reader) wait(n int) []string {
	for range n {
		<-r.n
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

func start(t interface {
	Fatal(...any)
	Cleanup(func())
}) (*Hub, *loop) {
	l := &loop{in: make(chan bus.Packet, 1024)}
	h, err := New(Options{Bus: l, Stats: stats.New(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, l
}

func out(ch, data string) protocol.Outgoing {
	return protocol.Outgoing{Channel: protocol.Channel(ch), Data: json.RawMessage(data)}
}

// Many publishers, many subscribers: each sees every message once, and all in
// one order.
//
// claims: 4.2
func TestEverybodySeesAllInOneOrder(t *testing.T) {
	const publishers, subscribers, messages = 8, 32, 200
	h, _ := start(t)
	readers := make([]*reader, subscribers)
	for i := range readers {
		readers[i] = newReader()
		h.Subscribe(anyone{app: "app"}, "room", readers[i])
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for m := range messages {
				if _, err := h.Publish(t.Context(), anyone{app: "app"}, Origin{}, []protocol.Outgoing{out("room", fmt.Sprintf("[%d,%d]", p, m))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() { // others come and go meanwhile
		for range 500 {
			r := newReader()
			h.Subscribe(anyone{app: "app"}, "room", r)
			h.Unsubscribe("app", "room", r)
		}
	})
	wg.Wait()
	first := readers[0].wait(publishers * messages)
	next := make([]int, publishers)
	for _, d := range first {
		var pm [2]int
		if err := json.Unmarshal([]byte(d), &pm); err != nil {
			t.Fatal(err)
		}
		if next[pm[0]] != pm[1] {
			t.Fatalf("publisher %d: message %d came instead of %d", pm[0], pm[1], next[pm[0]])
		}
		next[pm[0]]++
	}
	for i, r := range readers[1:] {
		if got := r.wait(publishers * messages); strings.Join(got, " ") != strings.Join(first, " ") {
			t.Fatalf("subscriber %d saw another order than subscriber 0", i+1)
		}
	}
}

func TestOtherAppsAndChannelsSeeNothing(t *testing.T) {
	h, _ := start(t)
	mine, other := newReader(), newReader()
	h.Subscribe(anyone{app: "app1"}, "room", mine)
	h.Subscribe(anyone{app: "app2"}, "room", other)
	h.Subscribe(anyone{app: "app1"}, "room2", other)
	h.Subscribe(anyone{app: "app1"}, "*", other)
	h.Subscribe(anyone{app: "app1"}, ">", other)
	if _, err := h.Publish(t.Context(), anyone{app: "app1"}, Origin{}, []protocol.Outgoing{out("room", "1")}); err != nil {
		t.Fatal(err)
	}
	mine.wait(1)
	if len(other.n) != 0 {
		t.Fatalf("others saw %q", other.got)
	}
}

func TestPublishChecksAllBeforeAny(t *testing.T) {
	h, _ := start(t)
	r := newReader()
	h.Subscribe(anyone{app: "app"}, "good", r)
	for _, c := range []struct {
		name string
		by   anyone
		bad  protocol.Outgoing
		code protocol.Code
	}{
		{"channel", anyone{app: "app"}, out("a\nb", "1"), protocol.CodeChannelInvalid},
		{"no channel", anyone{app: "app"}, out("", "1"), protocol.CodeChannelInvalid},
		{"grant", anyone{app: "app", denied: "no"}, out("no", "1"), protocol.CodeNotGranted},
		{"json", anyone{app: "app"}, out("good", "{"), protocol.CodeBadJSON},
		{"utf-8", anyone{app: "app"}, out("good", "\"\xff\""), protocol.CodeBadJSON},
		{"no data", anyone{app: "app"}, out("good", ""), protocol.CodeDataMissing},
		{"size", anyone{app: "app"}, out("good", `"`+strings.Repeat("x", 100)+`"`), protocol.CodeMessageTooLarge},
		{"id", anyone{app: "app"}, protocol.Outgoing{Channel: "good", Data: json.RawMessage("1"), ID: "a b"}, protocol.CodeIDInvalid},
		{"event", anyone{app: "app"}, protocol.Outgoing{Channel: "good", Data: json.RawMessage("1"), Event: "a\tb"}, protocol.CodeEventInvalid},
		{"condition", anyone{app: "app"}, protocol.Outgoing{Channel: "good", Data: json.RawMessage("1"), IfPosition: new(protocol.Position)}, protocol.CodeBadRequest},
		{"rate", anyone{app: "app", rate: protocol.NewError(protocol.CodePublishRate)}, out("good", "1"), protocol.CodePublishRate},
	} {
		_, err := h.Publish(t.Context(), c.by, Origin{}, []protocol.Outgoing{out("good", "1"), c.bad})
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Code != c.code {
			t.Errorf("%s: got %v, want %s", c.name, err, c.code)
			continue
		}
		if c.code != protocol.CodePublishRate && e.Index != 1 {
			t.Errorf("%s: index %d, want 1", c.name, e.Index)
		}
	}
	if _, err := h.Publish(t.Context(), anyone{app: "app"}, Origin{}, []protocol.Outgoing{out("good", "2")}); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(1); len(got) != 1 || got[0] != "2" {
		t.Fatalf("delivered %q, want only 2", got)
	}
}

func TestPublishTellsThatTheBusFailed(t *testing.T) {
	h, l := start(t)
	l.fail = errors.New("secret detail")
	_, err := h.Publish(t.Context(), anyone{app: "app"}, Origin{}, []protocol.Outgoing{out("a", "1")})
	if e := protocol.AsError(err); e.Code != protocol.CodeUnavailable || e.RetryAfter == 0 || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v", err)
	}
}

// The index of a channel against a plain set, over random steps with
// snapshots in flight: a snapshot never changes.
func TestChannelIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &channel{index: map[Subscriber]int{}}
		all := make([]*reader, 12)
		for i := range all {
			all[i] = newReader()
		}
		want := map[Subscriber]bool{}
		type shot struct{ got, copy []Subscriber }
		var shots []shot
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s := Subscriber(all[rapid.IntRange(0, len(all)-1).Draw(t, "who")])
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				if c.add(s) == want[s] {
					t.Fatal("add told the wrong thing")
				}
				want[s] = true
			case 1:
				if c.remove(s) != want[s] {
					t.Fatal("remove told the wrong thing")
				}
				delete(want, s)
			case 2:
				got := c.snapshot()
				shots = append(shots, shot{got, append([]Subscriber(nil), got...)})
			}
		}
		if got := c.snapshot(); len(got) != len(want) {
			t.Fatalf("%d subscribers, want %d", len(got), len(want))
		}
		for _, s := range c.snapshot() {
			if !want[s] {
				t.Fatal("a subscriber that was removed is still there")
			}
		}
		for _, s := range shots {
			for i := range s.got {
				if s.got[i] != s.copy[i] {
					t.Fatal("a snapshot changed")
				}
			}
		}
	})
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			h, _ := start(b)
			for range n {
				h.Subscribe(anyone{app: "app"}, "room", &counter{})
			}
			m := protocol.Message{Channel: "room", ID: "id", Time: 1, Data: json.RawMessage(`{"n":1}`)}
			p := bus.Packet{App: "app", Channel: "room", Body: m.AppendBody(nil)}
			b.ReportAllocs()
			for b.Loop() {
				h.fanOut(p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

type counter struct{ n int }

func (c *counter) Deliver(*Frame) { c.n++ }
