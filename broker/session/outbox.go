package session

import (
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
		o.signal()
	}
	o.mu.Unlock()
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
	return frames, o.ending
}

// subscription is a session's interest in one channel. It goes from starting
// (messages wait for the answer to go out first) to live to gone. The outbox's
// lock guards its state.
type subscription struct {
	out     *outbox
	session string
	waiting []*hub.Frame
	state   int
}

const (
	starting = iota
	live
	gone
)

// Deliver queues f for the client.
func (s *subscription) Deliver(f *hub.Frame) {
	if f.From != "" && f.From == s.session {
		return
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	switch s.state {
	case starting:
		s.waiting = append(s.waiting, f)
	case live:
		s.out.pushLocked(f)
	}
}

// start sends answer, if any, and then what came meanwhile and all that follows.
func (s *subscription) start(answer *hub.Frame) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if answer != nil {
		s.out.pushLocked(answer)
	}
	for _, f := range s.waiting {
		s.out.pushLocked(f)
	}
	s.waiting, s.state = nil, live
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
