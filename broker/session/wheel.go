package session

import (
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	wheelTurn  = 50 // steps of a ping interval
	wheelSlots = 64 // more than the steps of the longest wait
)

// wheel is when each session of a set is looked after next: one timer for all
// of them. All methods may be called concurrently. It turns while there are
// sessions and needs no end.
type wheel struct {
	step time.Duration

	mu     sync.Mutex
	began  time.Time // of the first step
	turned int       // steps since
	slots  [wheelSlots]*Session
	n      int // sessions in slots
	moving bool
}

// spoke is a session's place in a slot: they are lists. The wheel's lock
// guards it.
type spoke struct {
	next, prev *Session
	slot       int
	on         bool
	off        bool // it has left for good
	pingAt     time.Time
}

func newWheel(step time.Duration) *wheel { return &wheel{step: step} }

// add begins to look after s: its first ping is due after interval.
func (w *wheel) add(s *Session, interval time.Duration) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	s.spoke.pingAt = now.Add(interval)
	w.put(s, now.Add(min(interval, s.set.o.HelloTimeout)), now)
}

// put places s into the slot of the time at, or as near as the wheel reaches.
func (w *wheel) put(s *Session, at, now time.Time) {
	if s.spoke.off {
		return
	}
	if !w.moving {
		w.moving, w.began, w.turned = true, now, 0
		time.AfterFunc(w.step, w.turn)
	}
	steps := int((at.Sub(w.began) + w.step - 1) / w.step)
	steps = min(max(steps, w.turned+1), w.turned+wheelSlots-1)
	sp := &s.spoke
	sp.slot, sp.on = steps%wheelSlots, true
	sp.prev, sp.next = nil, w.slots[sp.slot]
	if sp.next != nil {
		sp.next.spoke.prev = s
	}
	w.slots[sp.slot] = s
	w.n++
}

// remove looks after s no more.
func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.spoke.off = true
	if s.spoke.on {
		w.take(s)
	}
}

func (w *wheel) take(s *Session) {
	sp := &s.spoke
	if sp.prev != nil {
		sp.prev.spoke.next = sp.next
	} else {
		w.slots[sp.slot] = sp.next
	}
	if sp.next != nil {
		sp.next.spoke.prev = sp.prev
	}
	sp.next, sp.prev, sp.on = nil, nil, false
	w.n--
}

// turn is one step: it looks after all in the slot that has come.
func (w *wheel) turn() {
	now := time.Now()
	var due []*Session
	w.mu.Lock()
	for w.turned++; ; w.turned++ {
		for s := w.slots[w.turned%wheelSlots]; s != nil; s = w.slots[w.turned%wheelSlots] {
			w.take(s)
			due = append(due, s)
		}
		if now.Before(w.began.Add(time.Duration(w.turned+1) * w.step)) {
			break
		}
	}
	w.mu.Unlock()

	var ping *hub.Frame // one for all
	for _, s := range due {
		at := s.look(now, &ping)
		w.mu.Lock()
		w.put(s, at, now)
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		w.moving = false
		return
	}
	time.AfterFunc(time.Until(w.began.Add(time.Duration(w.turned+1)*w.step)), w.turn)
}

// look ends the session of a client that has said nothing for too long, and
// pings others when it is time. It says when to look again.
func (s *Session) look(now time.Time, ping **hub.Frame) time.Time {
	o, interval := &s.set.o, s.pingInterval()
	began := s.spoke.pingAt.Add(-interval)
	if hello := began.Add(o.HelloTimeout); s.lives.Load() == nil {
		if !now.Before(hello) {
			s.End(protocol.NewError(protocol.CodeHelloTimeout))
			return now.Add(interval)
		}
		return hello
	}
	if now.Before(s.spoke.pingAt) {
		return s.spoke.pingAt
	}
	s.spoke.pingAt = now.Add(interval)
	if silent := s.set.clock() - time.Duration(s.heard.Load()); s.traits.Pongs && silent >= 2*o.PingInterval {
		s.End(protocol.NewError(protocol.CodePingTimeout))
		return s.spoke.pingAt
	}
	if *ping == nil {
		*ping = encode(protocol.Reply{Type: protocol.TypePing, Time: now.UnixMilli()})
	}
	s.out.push(*ping)
	return s.spoke.pingAt
}
