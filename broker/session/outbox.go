package session

import (
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

// outbox is what goes to one client, and in what order. All methods but wait
// may be called concurrently, and none but wait, write and quit blocks. After
// end nothing more goes in. It lives as long as its session.
//
// Whoever brings a frame to an idle outbox writes it at once, without waiting
// for the socket (write). What comes meanwhile is queued, and the writer takes
// it too. Where the socket does not take a frame, a goroutine carries on that
// may wait (drain), until the queue is empty: so a silent client costs none.
type outbox struct {
	sock   Socket
	max    int
	gather *gather

	mu     sync.Mutex
	busy   bool // somebody writes, or will
	over   bool // the socket is closed
	queue  []*hub.Frame
	size   int
	ending *protocol.Error
	room   chan struct{} // closed when the queue is emptied; nil when nobody waits
	quiet  chan struct{} // closed when nobody writes any more; nil when nobody waits

	slot   int64 // of time, see gather
	writes int   // in slot
}

// push queues f. A client whose queue is full is a slow one: its queue is
// thrown away and it is ended.
func (o *outbox) push(f *hub.Frame) {
	o.mu.Lock()
	now, later := o.put(f)
	o.mu.Unlock()
	o.write(now, later)
}

// put is push with the lock held. The caller hands what it returns to write
// when it has let go of the lock.
func (o *outbox) put(f *hub.Frame) (now *hub.Frame, later bool) {
	if o.busy || o.ending != nil || o.over || len(o.queue) > 0 {
		o.enqueue(f)
		return o.claim(), false
	}
	o.busy = true
	if o.gather.often(o) {
		o.enqueue(f)
		return nil, true
	}
	return f, false
}

// enqueue puts f behind what waits. The lock must be held; claim comes after.
func (o *outbox) enqueue(f *hub.Frame) {
	switch {
	case o.ending != nil || o.over:
	case o.size > 0 && o.size+cost(f) > o.max:
		o.queue, o.size = nil, 0
		o.ending = protocol.NewError(protocol.CodeSlowClient)
		o.roomLocked()
		time.AfterFunc(slowGrace, func() { o.sock.Close(nil) })
	default:
		o.queue = append(o.queue, f)
		o.size += cost(f)
	}
}

func cost(f *hub.Frame) int { return len(f.Line) + frameOverhead*max(1, len(f.Parts)) }

// claim makes the caller the writer, if there is something to write and
// nobody else does. The lock must be held.
func (o *outbox) claim() *hub.Frame {
	if o.busy || len(o.queue) == 0 && o.ending == nil {
		return nil
	}
	o.busy = true
	return o.next()
}

// next is what the writer writes next: nil where somebody else carries on, or
// nobody. The lock must be held, by the writer.
func (o *outbox) next() *hub.Frame {
	switch {
	case o.over:
		o.rest()
	case o.ending != nil:
		go o.drain(nil)
	case len(o.queue) == 0:
		o.rest()
	default:
		joined := hub.Join(o.queue)
		o.queue, o.size = joined[1:], 0
		for _, f := range o.queue {
			o.size += cost(f)
		}
		if len(o.queue) == 0 {
			o.queue = nil
		}
		o.roomLocked()
		return joined[0]
	}
	return nil
}

// rest ends the writer's part.
func (o *outbox) rest() {
	o.busy = false
	if o.quiet != nil {
		close(o.quiet)
		o.quiet = nil
	}
}

// write writes f and then what has been queued meanwhile; later, it is not
// time yet. The caller is the writer, unless f is nil and later is false.
func (o *outbox) write(f *hub.Frame, later bool) {
	if later {
		o.gather.add(o)
		return
	}
	for f != nil {
		switch o.sock.Try(f) {
		case Sent:
			o.mu.Lock()
			f = o.next()
			o.mu.Unlock()
		case Kept:
			go o.drain(nil)
			return
		case Refused:
			go o.drain(f)
			return
		}
	}
}

// drain writes first, what the socket has kept and the queue, and waits for
// the socket as long as it takes.
func (o *outbox) drain(first *hub.Frame) {
	var buf []*hub.Frame
	if first != nil {
		buf = append(buf, first)
	}
	for {
		o.mu.Lock()
		frames := append(buf, o.queue...)
		clear(o.queue)
		o.queue, o.size = o.queue[:0], 0
		end := o.ending
		o.roomLocked()
		o.mu.Unlock()

		if end != nil {
			frames = append(frames, encode(protocol.ErrorReply(end, 0, true)))
		}
		err := o.sock.Write(frames)
		switch {
		case err != nil:
			o.sock.Close(nil)
		case end != nil:
			o.sock.Close(end)
		}
		clear(frames)
		buf = frames[:0]

		o.mu.Lock()
		if o.over = o.over || err != nil || end != nil; o.over || len(o.queue) == 0 && o.ending == nil {
			o.queue, o.size = nil, 0 // its array may be large
			o.roomLocked()
			o.rest()
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// end lets what is queued go out and then e, as the last thing. The first end
// counts.
func (o *outbox) end(e *protocol.Error) {
	o.mu.Lock()
	var f *hub.Frame
	if o.ending == nil && !o.over {
		o.ending = e
		o.roomLocked()
		f = o.claim()
	}
	o.mu.Unlock()
	o.write(f, false)
}

// quit returns when nobody writes any more: after an end, or else after the
// socket was closed. It says how it ended, nil where the client went away.
func (o *outbox) quit(clientGone bool) *protocol.Error {
	if clientGone {
		o.sock.Close(nil)
	}
	o.mu.Lock()
	o.over = o.over || clientGone
	var quiet chan struct{}
	if o.busy {
		quiet = make(chan struct{})
		o.quiet = quiet
	}
	o.mu.Unlock()
	if quiet != nil {
		<-quiet
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over, o.queue = true, nil
	o.roomLocked()
	return o.ending
}

func (o *outbox) roomLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// wait returns when the queue is half empty, so that a replay never fills it,
// or with errEnding.
func (o *outbox) wait() error {
	for {
		o.mu.Lock()
		room := o.size <= o.max/2
		ended := o.ending != nil || o.over
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
		<-ch
	}
}

var errEnding = errors.New("session: the connection is ending")
