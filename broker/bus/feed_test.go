package bus_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// collect starts a feed that hands its packets to the returned function, which
// waits for the next one.
func collect(t *testing.T, b *bus.Bus) (next func() bus.Packet) {
	t.Helper()
	packets := make(chan bus.Packet, 1<<16)
	stop, err := b.Feed(func(p bus.Packet) { packets <- p })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() bus.Packet {
		t.Helper()
		select {
		case p := <-packets:
			return p
		case <-time.After(soon):
			t.Fatal("no packet came")
			return bus.Packet{}
		}
	}
}

func publish(t *testing.T, b *bus.Bus, p bus.Packet) {
	t.Helper()
	if r, err := b.Publish(t.Context(), p); err != nil || r != (bus.Receipt{}) {
		t.Fatalf("Publish: %v, %v", r, err)
	}
}

func TestFeedBringsWhatWasPublished(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	for i, ch := range []protocol.Channel{
		"plain", "chat:eu:1", "a.b.*.>", "with space", "日本語", "$SYS.x", "=2E", "~tilde", " ", "nbsp\u00a0x",
		protocol.Channel(strings.Repeat("日", 66)), protocol.Channel(strings.Repeat("x", 200)),
		protocol.Channel(strings.Repeat("x", 120)), protocol.Channel(strings.Repeat("x", 121)),
	} {
		p := packet("app0000001", ch, fmt.Sprint(i))
		if i%2 == 0 {
			p.From = fmt.Sprintf("session-%d", i)
		}
		publish(t, b, p)
		got := next()
		if got.App != p.App || got.Channel != ch || string(got.Body) != string(p.Body) || got.From != p.From || got.Position != "" {
			t.Errorf("published %+v, got %+v", p, got)
		}
	}
	if n := b.Dropped(); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

func TestFeedKeepsEachPublishersOrder(t *testing.T) {
	const publishers, each = 8, 2000
	b := open(t, t.TempDir())
	next := collect(t, b)
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for n := range each {
				p := packet("app0000001", protocol.Channel(fmt.Sprintf("c%d", n%3)), fmt.Sprintf("[%d,%d]", i, n))
				if _, err := b.Publish(t.Context(), p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var seen [publishers]int
	for range publishers * each {
		var m struct{ Data [2]int }
		if err := json.Unmarshal(next().Body, &m); err != nil {
			t.Fatal(err)
		}
		if who, n := m.Data[0], m.Data[1]; seen[who] != n {
			t.Fatalf("publisher %d: got its packet %d, want %d", who, n, seen[who])
		}
		seen[m.Data[0]]++
	}
	wg.Wait()
}

func TestTwoFeedsSeeOneOrder(t *testing.T) {
	b := open(t, t.TempDir())
	first, second := collect(t, b), collect(t, b)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 500 {
				if _, err := b.Publish(t.Context(), packet("app0000001", "c", fmt.Sprintf("[%d,%d]", i, n))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 * 500 {
		if x, y := first(), second(); string(x.Body) != string(y.Body) {
			t.Fatalf("one feed has %s where the other has %s", x.Body, y.Body)
		}
	}
	wg.Wait()
}

func TestStoppedFeedIsSilent(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	running := make(chan struct{}, 1)
	var after bool // written by the feed's goroutine, read when stop has returned
	stop, err := b.Feed(func(bus.Packet) { running <- struct{}{}; after = true })
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, packet("app0000001", "c", "1"))
	next()
	<-running
	stop() // waits for the function, which the race detector sees
	if !after {
		t.Fatal("stop returned while the function ran")
	}
	publish(t, b, packet("app0000001", "c", "2"))
	next()
	stop()
	select {
	case <-running:
		t.Fatal("the stopped feed was called")
	default:
	}
}

func TestPublishRefuses(t *testing.T) {
	b := open(t, t.TempDir())
	good := packet("app0000001", "c", "1")
	for name, change := range map[string]func(*bus.Packet){
		"app with a dot":     func(p *bus.Packet) { p.App = "a.b" },
		"wildcard app":       func(p *bus.Packet) { p.App = ">" },
		"no app":             func(p *bus.Packet) { p.App = "" },
		"no channel":         func(p *bus.Packet) { p.Channel = "" },
		"body too large":     func(p *bus.Packet) { p.Body = make([]byte, bus.MaxBody+1) },
		"From breaks a line": func(p *bus.Packet) { p.From = "a\r\nNats-TTL: 1" },
	} {
		p := good
		change(&p)
		if _, err := b.Publish(t.Context(), p); err == nil {
			t.Errorf("%s: published", name)
		}
	}
	next := collect(t, b)
	p := packet("app0000001", "big", `"`+strings.Repeat("x", bus.MaxBody-200)+`"`)
	publish(t, b, p)
	if got := next(); len(got.Body) != len(p.Body) {
		t.Errorf("a large body came with %d of %d bytes", len(got.Body), len(p.Body))
	}
}

func TestFeedLeavesOutAndCountsWhatItCannotRead(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	p := packet("app0000001", protocol.Channel(strings.Repeat("x", 150)), "1")
	p.Body = packet("app0000001", "another", "1").Body // its subject has a hash of a name that is not in the body
	publish(t, b, p)
	publish(t, b, packet("app0000001", "c", "2"))
	if got := next(); got.Channel != "c" {
		t.Fatalf("got a packet of %q", got.Channel)
	}
	if n := b.Dropped(); n != 1 {
		t.Errorf("Dropped = %d, want 1", n)
	}
}

func TestSlowFeedDropsAndSaysSo(t *testing.T) {
	const lag, sent = 100, 1000
	var logged lines
	b, err := bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	quick := collect(t, b)
	bus.SetLag(b, lag)
	release := make(chan struct{})
	var got int
	stop, err := b.Feed(func(bus.Packet) { <-release; got++ })
	if err != nil {
		t.Fatal(err)
	}
	for i := range sent {
		publish(t, b, packet("app0000001", "c", fmt.Sprint(i)))
	}
	for range sent {
		quick() // a slow feed harms itself only
	}
	dropped := b.Dropped()
	if dropped < sent-lag-2 || dropped > sent {
		t.Errorf("Dropped = %d of %d with room for %d", dropped, sent, lag)
	}
	close(release)
	stop()
	if b.Dropped() != dropped {
		t.Errorf("Dropped = %d after the feed ended, was %d", b.Dropped(), dropped)
	}
	if uint64(got) > sent-dropped {
		t.Errorf("%d came and %d were dropped, of %d", got, dropped, sent)
	}
	for end := time.After(soon); !strings.Contains(logged.String(), "dropped"); {
		select {
		case <-end:
			t.Fatalf("log: %s", logged.String())
		case <-time.Tick(time.Millisecond):
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLogHasNoContents(t *testing.T) {
	var logged lines
	b, err := bus.Open(t.Context(), bus.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.Level(-100)})),
	})
	if err != nil {
		t.Fatal(err)
	}
	next := collect(t, b)
	k := bucket(t, b, bus.BucketOptions{})
	publish(t, b, packet("app0000001", "c", `"plum-secret"`))
	next()
	odd := packet("app0000001", protocol.Channel(strings.Repeat("x", 150)), `"plum-secret"`)
	odd.Body = packet("app0000001", "another", `"plum-secret"`).Body
	publish(t, b, odd)
	publish(t, b, packet("app0000001", "c", "1"))
	next()
	create(t, k, "key", "plum-secret", 0)
	if _, err := k.Create(t.Context(), "key", []byte("plum-secret"), 0); err == nil || strings.Contains(err.Error(), "plum") {
		t.Errorf("error %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if s := logged.String(); !strings.Contains(s, "message server") || strings.Contains(s, "plum") {
		t.Errorf("log: %s", s)
	}
}

func BenchmarkPublishToFeed(b *testing.B) {
	x := open(b, b.TempDir())
	done := make(chan struct{})
	var n, want int
	stop, err := x.Feed(func(bus.Packet) {
		if n++; n == want {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	p := packet("app0000001", "chat:1", `"`+strings.Repeat("x", 128)+`"`)
	b.ReportAllocs()
	want = b.N
	b.ResetTimer()
	for range b.N {
		if _, err := x.Publish(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

func BenchmarkPublishToFeedAlone(b *testing.B) {
	x := open(b, b.TempDir())
	came := make(chan struct{}, 1)
	stop, err := x.Feed(func(bus.Packet) { came <- struct{}{} })
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	p := packet("app0000001", "chat:1", `"`+strings.Repeat("x", 128)+`"`)
	for b.Loop() {
		if _, err := x.Publish(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		<-came
	}
}
