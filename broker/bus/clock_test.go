package bus_test

import (
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// brief keeps messages for so short that a test can wait for their end.
func brief() bus.Keep { return bus.Keep{Messages: 100, Age: 2 * time.Second} }

func (w *turning) put(keep bus.Keep, data string) protocol.Position {
	w.t.Helper()
	p := durable("c", data)
	p.Keep = keep
	return store(w.t, w.b, p)
}

// turning is a bus whose clock is about to be set back.
type turning struct {
	t *testing.T
	b *bus.Bus
}

// gone waits until the stream has let go of the messages behind after.
func (w *turning) gone(after protocol.Position) {
	w.t.Helper()
	for end := time.After(soon); ; {
		if len(read(w.t, w.b, bus.Query{Channel: "c", Keep: brief(), After: after}).Packets) == 0 {
			return
		}
		select {
		case <-end:
			w.t.Fatal("nothing grew too old")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (w *turning) gap(after protocol.Position, at time.Time) bus.Gap {
	w.t.Helper()
	return read(w.t, w.b, bus.Query{Channel: "c", Keep: brief(), After: after, At: at}).Gap
}

// TestClockSetBack sets the clock back by an hour, and by so little that the
// times of before come again within the test. Nobody may be told that nothing
// is missing when something is, and nobody of a gap who comes back at once.
func TestClockSetBack(t *testing.T) {
	for name, by := range map[string]time.Duration{"an hour": time.Hour, "a moment": 2500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := &turning{t, open(t, t.TempDir())}
			next := collect(t, w.b)
			// The stream is not told by holes of its own that nothing was lost.
			w.put(bus.Keep{Messages: 1, Age: time.Minute}, "0")
			after := w.put(brief(), "1")
			at := time.Now()
			next()
			next()

			bus.SetBack(w.b, by)
			w.put(brief(), "2")
			next()
			if gap := w.gap(after, at); gap != "" {
				t.Errorf("back at once: %s", gap)
			}
			page := read(t, w.b, bus.Query{Channel: "c", Keep: brief(), After: after, At: at})
			if data(t, page.Packets...) != "2" {
				t.Errorf("back at once: got %s", data(t, page.Packets...))
			}

			w.gone(after)
			if gap := w.gap(after, at); gap != bus.GapExpired {
				t.Errorf("a message grew too old: gap %q", gap)
			}
			last := w.put(brief(), "3")
			next()
			if gap := w.gap(after, at); gap != bus.GapExpired {
				t.Errorf("there is a newer one: gap %q", gap)
			}
			if gap := w.gap(last, time.Time{}); gap != "" {
				t.Errorf("a client of the clock as it is: gap %q", gap)
			}
		})
	}
}

// TestClockSetBackIsRemembered restarts a bus whose clock was set back: a time
// that is told twice is still not believed.
func TestClockSetBackIsRemembered(t *testing.T) {
	const by = 2500 * time.Millisecond
	dir := t.TempDir()
	w := &turning{t, open(t, dir)}
	next := collect(t, w.b)
	after := w.put(brief(), "1")
	next()
	at := time.Now()
	bus.SetBack(w.b, by)
	w.put(brief(), "2")
	next()
	if err := w.b.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bus.OpenSetBack(t.Context(), bus.Options{Dir: dir}, by)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	w.b = b
	w.gone(after)
	if gap := w.gap(after, at); gap != bus.GapExpired {
		t.Errorf("after a restart: gap %q", gap)
	}
}

// TestShorterRule has a message that outlives those behind it, because the
// rule kept for longer when it came.
func TestShorterRule(t *testing.T) {
	w := &turning{t, open(t, t.TempDir())}
	w.put(bus.Keep{Messages: 100, Age: time.Minute}, "0")
	after := w.put(bus.Keep{Messages: 100, Age: time.Minute}, "1")
	w.put(brief(), "2")
	w.gone(after)
	if gap := w.gap(after, time.Time{}); gap != bus.GapExpired {
		t.Errorf("a message grew too old: gap %q", gap)
	}
}
