package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// frameOverhead is what a queued frame costs beside its bytes, which are
// shared with the other subscribers.
const frameOverhead = 64

// slowGrace is how long a slow client has to take the word that it is closed,
// before its connection is cut.
const slowGrace = time.Second

// outbox is what waits for one client: a queue of bounded size. All methods
// may be called concurrently and none blocks. After end nothing more goes in.
type outbox struct {
	wake chan struct{} // holds one token when there is work for the writer
	max  int
	cut  func() // ends a write that is stuck

	mu     sync.Mutex
	frames []*hub.Frame
	size   int
	ending *protocol.Error
	room   chan struct{} // closed when the queue is emptied; nil when nobody waits
}

func newOutbox(maxBytes int, cut func()) *outbox {
	return &outbox{wake: make(chan struct{}, 1), max: maxBytes, cut: cut}
}

// push queues f. A client whose queue is full is a slow one: its queue is
// thrown away and it is ended.
func (o *outbox) push(f *hub.Frame) {
	o.mu.Lock()
	o.pushLocked(f)
	o.mu.Unlock()
}

func (o *outbox) pushLocked(f *hub.Frame) {
	if o.ending != nil {
		return
	}
	if o.size > 0 && o.size+len(f.Line)+frameOverhead > o.max {
		o.frames, o.size = nil, 0
		o.ending = protocol.NewError(protocol.CodeSlowClient)
		o.roomLocked()
		time.AfterFunc(slowGrace, o.cut)
	} else {
		o.frames = append(o.frames, f)
		o.size += len(f.Line) + frameOverhead
	}
	o.signal()
}

// end lets what is queued go out and then e, as the last thing. The first end
// counts.
func (o *outbox) end(e *protocol.Error) {
	o.mu.Lock()
	if o.ending == nil {
		o.ending = e
		o.roomLocked()
		o.signal()
	}
	o.mu.Unlock()
}

func (o *outbox) roomLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take empties the queue into buf's place and says whether the session ends
// with it.
func (o *outbox) take(buf []*hub.Frame) ([]*hub.Frame, *protocol.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames := o.frames
	clear(buf)
	o.frames, o.size = buf[:0], 0
	o.roomLocked()
	return frames, o.ending
}

// wait returns when the queue is half empty, so that a replay never fills it.
func (o *outbox) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		room := o.size <= o.max/2
		ended := o.ending != nil
		if !room && !ended && o.room == nil {
			o.room = make(chan struct{})
		}
		ch := o.room
		o.mu.Unlock()
		if ended {
			return errEnding
		}
		if room {
			return nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errEnding = errors.New("session: the connection is ending")

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

// Deliver queues f for the client.
func (s *subscription) Deliver(f *hub.Frame) {
	if f.From != "" && f.From == s.session {
		return
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	switch s.state {
	case catching:
		if f.Epoch != "" && (s.missed != "" || s.held+len(f.Line) > maxHeld) {
			s.waiting, s.held, s.missed = nil, 0, f.Position
			return
		}
		s.waiting = append(s.waiting, f)
		s.held += len(f.Line)
	case live:
		s.passLocked(f)
	}
}

// passLocked queues f unless the client has had it.
func (s *subscription) passLocked(f *hub.Frame) {
	if f.Epoch != "" {
		if f.Epoch == s.epoch && f.Seq <= s.seq {
			return
		}
		s.epoch, s.seq = f.Epoch, f.Seq
	}
	s.out.pushLocked(f)
}

// begin sends answer, if any, for a client at position p.
func (s *subscription) begin(answer *hub.Frame, p protocol.Position) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.setLocked(p)
	if answer != nil {
		s.out.pushLocked(answer)
	}
}

func (s *subscription) setLocked(p protocol.Position) {
	s.epoch, s.seq = "", 0
	if p != "" {
		s.epoch, s.seq, _ = p.Parse() // ours, or checked when it came
	}
}

// past sends what the client missed.
func (s *subscription) past(frames []*hub.Frame) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	for _, f := range frames {
		s.passLocked(f)
	}
}

// join goes live with what was held back, unless not all of it was held: then
// there is more to read from position on, at least up to until.
func (s *subscription) join() (until protocol.Position, joined bool) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.missed != "" {
		until, s.missed = s.missed, ""
		return until, false
	}
	for _, f := range s.waiting {
		s.passLocked(f)
	}
	s.waiting, s.held, s.state = nil, 0, live
	return "", true
}

// position is where the client is.
func (s *subscription) position() protocol.Position {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return protocol.NewPosition(s.epoch, s.seq)
}

// stop lets nothing more through; answer, if any, is the last word.
func (s *subscription) stop(answer *hub.Frame) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.state, s.waiting = gone, nil
	if answer != nil {
		s.out.pushLocked(answer)
	}
}
