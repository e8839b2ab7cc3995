package session

import (
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// subscription is a session's interest in one channel. While its past is being
// sent it holds back what comes live, a bounded number of bytes of it: past
// that it remembers only that there is more to read. Then it is live, and in
// the end gone. The outbox's lock guards its state.
//
// epoch and seq are the client's position: nothing at or before it goes out,
// so that nothing goes out twice.
type subscription struct {
	out     *outbox
	session string
	mute    func(f *hub.Frame) bool // what of the past is not sent; nil: nothing
	early   bool                    // the client takes copies, too

	state   int
	epoch   string
	seq     uint64
	waiting []*hub.Frame
	held    int               // bytes of waiting
	missed  protocol.Position // the newest that came live and was not held; "" if all was
}

const (
	catching = iota
	live
	gone
)

// maxHeld is what a subscription holds back while it catches up.
const maxHeld = 256 << 10

// Deliver sends f to the client.
func (s *subscription) Deliver(f *hub.Frame) {
	if f.Type == hub.TypeOverrun {
		s.out.end(protocol.Errorf(protocol.CodeOverloaded, "The channel %s is busier than this server can deliver.", f.Channel))
		return
	}
	if f.From != "" && f.From == s.session || f.Type == protocol.TypeEarly && !s.early {
		return
	}
	var now *hub.Frame
	var later bool
	s.out.mu.Lock()
	switch {
	case s.state == catching:
		s.holdBack(f)
	case s.state == live && s.whole(f):
		if s.moves(f) {
			now, later = s.out.put(f)
		}
	case s.state == live:
		s.pass(f)
		now = s.out.claim()
	}
	s.out.mu.Unlock()
	s.out.write(now, later)
}

func (s *subscription) holdBack(f *hub.Frame) {
	if f.Type == protocol.TypeEarly && s.held+len(f.Line) > maxHeld {
		return // the message itself comes
	}
	if f.Epoch != "" && (s.missed != "" || s.held+len(f.Line) > maxHeld) {
		s.waiting, s.held, s.missed = nil, 0, f.Position
		return
	}
	s.waiting = append(s.waiting, f)
	s.held += len(f.Line)
}

// whole reports whether the client has had all of f, or none.
func (s *subscription) whole(f *hub.Frame) bool {
	return f.Parts == nil || f.Epoch == "" || f.Epoch != s.epoch || f.Parts[0].Seq > s.seq || f.Seq <= s.seq
}

// moves moves the client's position to f's, unless it has had it.
func (s *subscription) moves(f *hub.Frame) bool {
	if f.Epoch == "" {
		return true
	}
	if f.Epoch == s.epoch && f.Seq <= s.seq {
		return false
	}
	s.epoch, s.seq = f.Epoch, f.Seq
	return true
}

// pass queues what the client has not had of f.
func (s *subscription) pass(f *hub.Frame) {
	if !s.whole(f) {
		for _, one := range f.Parts {
			s.pass(one)
		}
		return
	}
	if s.moves(f) {
		s.out.enqueue(f)
	}
}

// with calls fn with the lock held, and sends what it has queued.
func (s *subscription) with(fn func()) {
	s.out.mu.Lock()
	fn()
	now := s.out.claim()
	s.out.mu.Unlock()
	s.out.write(now, false)
}

// begin sends answer, if any, for a client at position p.
func (s *subscription) begin(answer *hub.Frame, p protocol.Position) {
	s.with(func() {
		s.setLocked(p)
		if answer != nil {
			s.out.enqueue(answer)
		}
	})
}

func (s *subscription) setLocked(p protocol.Position) {
	s.epoch, s.seq = "", 0
	if p != "" {
		s.epoch, s.seq, _ = p.Parse() // ours, or checked when it came
	}
}

// past sends what the client missed.
func (s *subscription) past(f *hub.Frame) {
	s.with(func() {
		parts := f.Parts
		if s.mute == nil || parts == nil {
			parts = []*hub.Frame{f}
		}
		for _, one := range parts {
			if s.mute != nil && s.mute(one) {
				s.moves(one)
			} else {
				s.pass(one)
			}
		}
	})
}

// join goes live with what was held back, unless not all of it was held: then
// there is more to read from position on, at least up to until.
func (s *subscription) join() (until protocol.Position, joined bool) {
	s.with(func() {
		if s.missed != "" {
			until, s.missed = s.missed, ""
			return
		}
		for _, f := range s.waiting {
			s.pass(f)
		}
		s.waiting, s.held, s.state, joined = nil, 0, live, true
	})
	return until, joined
}

// position is where the client is.
func (s *subscription) position() protocol.Position {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return protocol.NewPosition(s.epoch, s.seq)
}

// stop lets nothing more through; answer, if any, is the last word.
func (s *subscription) stop(answer *hub.Frame) {
	s.with(func() {
		s.state, s.waiting = gone, nil
		if answer != nil {
			s.out.enqueue(answer)
		}
	})
}
