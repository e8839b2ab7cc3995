package session_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// wire is a client at the other end of channels instead of a network.
type wire struct {
	in     chan string // what the client says; closed: it went away
	pongs  bool
	stuck  chan struct{} // while not nil, writing waits for it
	waits  bool          // it cannot write without waiting
	fickle *rand.Rand    // what Try answers; nil: that it is sent
	kept   *hub.Frame
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	writes int
	got    []protocol.Reply
	data   []string // of got
	at     []time.Time
	why    *protocol.Error
}

func newWire() *wire {
	return &wire{in: make(chan string, 100), pongs: true, closed: make(chan struct{})}
}

func (w *wire) Traits() session.Traits { return session.Traits{Door: "test", Pongs: w.pongs} }

func (w *wire) Read(int) ([]byte, error) {
	select {
	case line, ok := <-w.in:
		if !ok {
			return nil, errors.New("gone")
		}
		return []byte(line), nil
	case <-w.closed:
		return nil, errors.New("closed")
	}
}

func (w *wire) Try(f *hub.Frame) session.Tried {
	if w.stuck != nil || w.waits {
		return session.Refused
	}
	if w.fickle != nil {
		w.mu.Lock()
		how := session.Tried(w.fickle.IntN(3))
		if w.kept != nil {
			how = session.Refused
		}
		if how == session.Kept {
			w.kept = f
		}
		w.mu.Unlock()
		if how != session.Sent {
			return how
		}
	}
	if w.Write([]*hub.Frame{f}) != nil {
		return session.Refused
	}
	return session.Sent
}

func (w *wire) Write(frames []*hub.Frame) error {
	if w.stuck != nil {
		select {
		case <-w.stuck:
		case <-w.closed:
			return errors.New("closed")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if w.kept != nil {
		frames, w.kept = append([]*hub.Frame{w.kept}, frames...), nil
	}
	for _, f := range frames {
		for line := range protocol.Lines(f.Line) { // TypeLive has none
			var r protocol.Reply
			if err := json.Unmarshal(line, &r); err != nil {
				return err
			}
			var m protocol.Message
			if err := json.Unmarshal(line, &m); err != nil {
				return err
			}
			w.got, w.data = append(w.got, r), append(w.data, string(m.Data))
			w.at = append(w.at, time.Now())
		}
	}
	return nil
}

func (w *wire) Close(why *protocol.Error) {
	w.once.Do(func() { w.why = why; close(w.closed) })
}

// heard is what the client got so far, with when.
func (w *wire) heard() ([]protocol.Reply, []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]protocol.Reply(nil), w.got...), append([]time.Time(nil), w.at...)
}

// count is how many writes there were.
func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

func (w *wire) last() protocol.Reply {
	got, _ := w.heard()
	if len(got) == 0 {
		return protocol.Reply{}
	}
	return got[len(got)-1]
}
