package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func keep() bus.Keep { return bus.Keep{Messages: 100, Age: 5 * time.Minute} }

// durable is a packet of a durable channel.
func durable(ch protocol.Channel, data string) bus.Packet {
	p := packet("app0000001", ch, data)
	p.Keep = keep()
	return p
}

func store(t testing.TB, b *bus.Bus, p bus.Packet) protocol.Position {
	t.Helper()
	r, err := b.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

func read(t testing.TB, b *bus.Bus, q bus.Query) bus.Page {
	t.Helper()
	if q.App == "" {
		q.App = "app0000001"
	}
	if q.Keep.Messages == 0 {
		q.Keep = keep()
	}
	if q.Limit == 0 {
		q.Limit = 1000
	}
	page, err := b.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func data(t testing.TB, ps ...bus.Packet) string {
	t.Helper()
	var all []string
	for _, p := range ps {
		var m protocol.Message
		if err := json.Unmarshal(p.Body, &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(m.Data))
	}
	return strings.Join(all, " ")
}

func TestDurableMessagesHavePositions(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	var last protocol.Position
	for i := range 3 {
		pos := store(t, b, durable("c", fmt.Sprint(i)))
		store(t, b, durable("other", "9"))
		p := next()
		for p.Channel != "c" {
			p = next()
		}
		if p.Position != pos || p.Previous != last || data(t, p) != fmt.Sprint(i) || p.Time.IsZero() {
			t.Fatalf("got %+v, published at %s behind %s", p, pos, last)
		}
		last = pos
	}
	if got := b.Last("app0000001", "c", keep()); got < last {
		t.Errorf("Last is %s", got)
	}
	if got := b.Last("app0000001", "c", bus.Keep{}); got != "" {
		t.Errorf("Last of an ephemeral channel is %s", got)
	}
}

func TestASecondPublishOfAnIDIsTheFirst(t *testing.T) {
	b := open(t, t.TempDir())
	p := durable("c", "1")
	p.ID = "id"
	first := store(t, b, p)
	r, err := b.Publish(t.Context(), p)
	if err != nil || r.Position != first || !r.Duplicate {
		t.Fatalf("got %+v, %v; the first was %s", r, err, first)
	}
	p.Channel = "d" // an id is its channel's
	if r, err := b.Publish(t.Context(), p); err != nil || r.Duplicate {
		t.Fatalf("got %+v, %v", r, err)
	}
	if got := data(t, read(t, b, bus.Query{Channel: "c"}).Packets...); got != "1" {
		t.Errorf("stored %s", got)
	}
}

func TestPublishUnderACondition(t *testing.T) {
	b := open(t, t.TempDir())
	none := protocol.Position("")
	p := durable("c", "1")
	p.After = &none
	first := store(t, b, p)
	var wrong *bus.PositionError
	if _, err := b.Publish(t.Context(), p); !errors.As(err, &wrong) || wrong.Actual != first {
		t.Fatalf("got %v, want the position %s", err, first)
	}
	p.ID = "once"
	p.After = &first
	second := store(t, b, p)
	if r, err := b.Publish(t.Context(), p); err != nil || r.Position != second || !r.Duplicate {
		t.Errorf("the same again: %+v, %v, want a duplicate of %s", r, err, second)
	}
	p.ID = "other"
	if _, err := b.Publish(t.Context(), p); !errors.As(err, &wrong) || wrong.Actual == first {
		t.Fatalf("got %v", err)
	}
}

func TestHistory(t *testing.T) {
	b := open(t, t.TempDir())
	var at []protocol.Position
	for i := range 10 {
		at = append(at, store(t, b, durable("c", fmt.Sprint(i))))
		store(t, b, durable("d", "99"))
	}
	for _, c := range []struct {
		name string
		q    bus.Query
		want string
		more bool
	}{
		{"all", bus.Query{}, "0 1 2 3 4 5 6 7 8 9", false},
		{"first", bus.Query{Limit: 3}, "0 1 2", true},
		{"newest", bus.Query{Limit: 3, Newest: true}, "7 8 9", true},
		{"after", bus.Query{After: at[7]}, "8 9", false},
		{"after, first", bus.Query{After: at[2], Limit: 2}, "3 4", true},
		{"before", bus.Query{Before: at[2]}, "0 1", false},
		{"newest before", bus.Query{Before: at[5], Newest: true, Limit: 2}, "3 4", true},
		{"until", bus.Query{Until: at[2]}, "0 1 2", false},
		{"between", bus.Query{After: at[2], Until: at[4]}, "3 4", false},
		{"behind the end", bus.Query{After: at[9]}, "", false},
		{"before, by a rule that keeps 4", bus.Query{Keep: bus.Keep{Messages: 4, Age: time.Minute}, Before: at[8]}, "6 7", false},
		{"a rule that keeps 4", bus.Query{Keep: bus.Keep{Messages: 4, Age: time.Minute}}, "6 7 8 9", false},
	} {
		c.q.Channel = "c"
		page := read(t, b, c.q)
		if got := data(t, page.Packets...); got != c.want || page.More != c.more || page.Gap != "" {
			t.Errorf("%s: got %s, more %v, gap %q", c.name, got, page.More, page.Gap)
		}
	}
	if err := b.Purge(t.Context(), "app0000001", "c", keep()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, bus.Query{Channel: "c"}); len(got.Packets) != 0 {
		t.Errorf("after the purge: %s", data(t, got.Packets...))
	}
	if got := read(t, b, bus.Query{Channel: "d"}); len(got.Packets) != 10 {
		t.Errorf("the purge took another channel's: %d are left", len(got.Packets))
	}
}

func TestGaps(t *testing.T) {
	b := open(t, t.TempDir())
	attached := b.Last("app0000001", "c", keep())
	first := store(t, b, durable("c", "0"))
	if page := read(t, b, bus.Query{Channel: "c", After: attached}); page.Gap != "" || data(t, page.Packets...) != "0" {
		t.Errorf("a stream that has lost nothing yet: %+v", page)
	}
	if page := read(t, b, bus.Query{Channel: "c", After: attached, At: time.Now()}); page.Gap != "" || data(t, page.Packets...) != "0" {
		t.Errorf("attached before the first message: %+v", page)
	}
	for i := range 100 {
		store(t, b, durable("c", fmt.Sprint(i+1)))
	}
	if page := read(t, b, bus.Query{Channel: "c", After: first}); page.Gap != "" || len(page.Packets) != 100 {
		t.Errorf("exactly as many behind as are kept: gap %q, %d messages", page.Gap, len(page.Packets))
	}
	store(t, b, durable("c", "101"))
	if page := read(t, b, bus.Query{Channel: "c", After: first}); page.Gap != bus.GapEvicted {
		t.Errorf("the one behind was pushed out: gap %q", page.Gap)
	}
	store(t, b, durable("other", "1"))
	quiet := store(t, b, durable("unrelated", "1"))
	if page := read(t, b, bus.Query{Channel: "c", After: quiet}); page.Gap != "" || len(page.Packets) != 0 {
		t.Errorf("a full but quiet channel: gap %q, %d messages", page.Gap, len(page.Packets))
	}
	if page := read(t, b, bus.Query{Channel: "c", After: "zzzzzzzz:1"}); page.Gap != bus.GapEpoch {
		t.Errorf("another epoch: gap %q", page.Gap)
	}
	epoch, seq, err := quiet.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if page := read(t, b, bus.Query{Channel: "unrelated", After: protocol.NewPosition(epoch, seq+1000)}); page.Gap != bus.GapEpoch {
		t.Errorf("a position of the future: gap %q", page.Gap)
	}
	if page := read(t, b, bus.Query{Channel: "never", After: b.Last("app0000001", "never", keep()), At: time.Now().Add(-time.Hour)}); page.Gap != "" && page.Gap != bus.GapExpired {
		t.Errorf("gap %q", page.Gap)
	}
	if page := read(t, b, bus.Query{Channel: "c", After: quiet, Keep: bus.Keep{Messages: 1, Age: time.Second}}); page.Gap != "" {
		t.Errorf("nothing came since, and the rule keeps 1: gap %q", page.Gap)
	}
	if _, err := b.Read(t.Context(), bus.Query{App: "a", Channel: "c", Keep: keep(), After: "nonsense", Limit: 1}); protocol.AsError(err).Code != protocol.CodePositionInvalid {
		t.Errorf("got %v", err)
	}
	if page := read(t, b, bus.Query{Channel: "c", Keep: bus.Keep{Messages: -1}}); page.Gap != bus.GapEphemeral {
		t.Errorf("ephemeral: gap %q", page.Gap)
	}
}

// A batch is stored in order, on many channels, and ids count in it too.
func TestPublishAll(t *testing.T) {
	b := open(t, t.TempDir())
	var ps []bus.Packet
	for i := range 1000 {
		p := durable(protocol.Channel(fmt.Sprint("c", i%7)), fmt.Sprint(i))
		p.ID = fmt.Sprint("id", i/2*2) // each id twice, in another channel
		ps = append(ps, p)
	}
	receipts, err := b.PublishAll(t.Context(), ps)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 7 {
		page := read(t, b, bus.Query{Channel: protocol.Channel(fmt.Sprint("c", c)), Newest: true, Limit: 100})
		for i, p := range page.Packets {
			n := (1000-c+6)/7 - len(page.Packets) + i
			if want := n*7 + c; data(t, p) != fmt.Sprint(want) || p.Position != receipts[want].Position {
				t.Fatalf("channel %d, message %d: got %s at %s, want %d at %s", c, i, data(t, p), p.Position, want, receipts[want].Position)
			}
		}
	}
	bad := append([]bus.Packet{}, ps[:3]...)
	bad[2].App = "not valid!"
	var at *bus.BatchError
	if _, err := b.PublishAll(t.Context(), bad); !errors.As(err, &at) || at.Index != 2 {
		t.Errorf("got %v", err)
	}
}

// Whatever the server does not republish, or the feed drops, is fetched.
func TestFeedHealsHoles(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	store(t, b, durable("c", "0"))
	if got := data(t, next()); got != "0" {
		t.Fatal(got)
	}
	bus.Republish(t, b, "app0000001", "c", false) // stored, but nobody is told
	for i := range 90 {
		store(t, b, durable("c", fmt.Sprint(i+1)))
	}
	bus.Republish(t, b, "app0000001", "c", true)
	store(t, b, durable("c", "91"))
	for i := range 91 {
		if got := data(t, next()); got != fmt.Sprint(i+1) {
			t.Fatalf("got %s, want %d", got, i+1)
		}
	}
	bus.Republish(t, b, "app0000001", "c", false) // the last ones, with nothing behind them
	store(t, b, durable("c", `"tail"`))
	if got := data(t, next()); got != `"tail"` {
		t.Fatal(got)
	}
}

func TestHolesOfExpiredMessagesAreSkipped(t *testing.T) {
	b := open(t, t.TempDir())
	next := collect(t, b)
	bus.Republish(t, b, "app0000001", "c", false)
	for i := range 150 { // the first 50 are pushed out
		store(t, b, durable("c", fmt.Sprint(i)))
	}
	bus.Republish(t, b, "app0000001", "c", true)
	store(t, b, durable("c", "150"))
	for i := range 100 { // 51 to 150; 50 itself went when 150 came, or just before
		got := data(t, next())
		if i == 0 && got == "50" {
			got = data(t, next())
		}
		if got != fmt.Sprint(i+51) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
}

func TestDurableFeedsUnderLoad(t *testing.T) {
	b := open(t, t.TempDir())
	const publishers, each = 8, 250
	var mu sync.Mutex
	seen := map[protocol.Channel][]string{}
	all := make(chan struct{}, publishers*each)
	stop, err := b.Feed(func(p bus.Packet) {
		var m protocol.Message
		_ = json.Unmarshal(p.Body, &m)
		mu.Lock()
		seen[p.Channel] = append(seen[p.Channel], string(m.Data))
		mu.Unlock()
		all <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var wg sync.WaitGroup
	for n := range publishers {
		wg.Go(func() {
			for i := range each {
				if _, err := b.Publish(context.Background(), durable(protocol.Channel(fmt.Sprint("c", n)), fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range publishers * each {
		<-all
	}
	mu.Lock()
	defer mu.Unlock()
	for ch, got := range seen {
		for i := range each {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("%s: message %d is %s", ch, i, got[i])
			}
		}
	}
}

func TestReopenGoesOn(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	first := store(t, b, durable("c", "0"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	next := collect(t, b)
	second := store(t, b, durable("c", "1"))
	if p := next(); p.Previous != first || p.Position != second {
		t.Errorf("got %+v, want it behind %s", p, first)
	}
	if page := read(t, b, bus.Query{Channel: "c", After: first}); data(t, page.Packets...) != "1" || page.Gap != "" {
		t.Errorf("got %+v", page)
	}
}

func BenchmarkDurablePublish(b *testing.B) {
	for _, always := range []bool{false, true} {
		x, err := bus.Open(b.Context(), bus.Options{Dir: b.TempDir(), SyncAlways: always})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("sync=%v/one", always), func(b *testing.B) {
			for b.Loop() {
				store(b, x, durable("c", "1"))
			}
		})
		b.Run(fmt.Sprintf("sync=%v/64", always), func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					store(b, x, durable("c", "1"))
				}
			})
		})
		b.Run(fmt.Sprintf("sync=%v/batch100", always), func(b *testing.B) {
			ps := make([]bus.Packet, 100)
			for i := range ps {
				ps[i] = durable(protocol.Channel(fmt.Sprint(i)), "1")
			}
			for b.Loop() {
				if _, err := x.PublishAll(b.Context(), ps); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
		})
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
