package hub

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// task is something to do for a channel later.
type task struct {
	at    time.Time
	k     key
	do    todo
	ghost *ghost // doLay
	node  string // doBury
}

type todo int

const (
	doFlush  todo = iota // tell the watchers who came and went
	doLay                // end a connection's grace
	doCount              // tell how many there are
	doOccupy             // tell that the channel has a subscriber, or none
	doBury               // members on a node that is gone leave
)

// agenda is what is to be done when, for the one goroutine of a hub that does
// it: there is no timer for each member. add may be called concurrently.
type agenda struct {
	mu    *sync.Mutex
	tasks *taskHeap
	wake  chan struct{} // holds a token when the first task is another one
}

func newAgenda() agenda {
	return agenda{mu: &sync.Mutex{}, tasks: &taskHeap{}, wake: make(chan struct{}, 1)}
}

func (a agenda) add(t task) {
	a.mu.Lock()
	heap.Push(a.tasks, t)
	first := !t.at.After((*a.tasks)[0].at)
	a.mu.Unlock()
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// due takes the next task that is due at now, or says when one will be; the
// zero time: there is none.
func (a agenda) due(now time.Time) (t task, ok bool, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(*a.tasks) == 0 {
		return t, false, next
	}
	if first := (*a.tasks)[0]; first.at.After(now) {
		return t, false, first.at
	}
	return heap.Pop(a.tasks).(task), true, next
}

// sweep does what is on the agenda until quit.
func (h *Hub) sweep(quit <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, ok, next := h.agenda.due(time.Now())
		if ok {
			h.perform(t)
			continue
		}
		if next.IsZero() {
			next = time.Now().Add(time.Hour)
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-h.agenda.wake:
		case <-quit:
			return
		}
	}
}

func (h *Hub) perform(t task) {
	switch t.do {
	case doFlush:
		h.flush(t.k)
	case doLay:
		h.with(t.k, func(r *room) { r.lay(t.ghost) })
	case doCount:
		h.tellNumbers(t.k)
	case doOccupy:
		if h.peers == nil {
			h.tellOccupied(t.k, nil)
		} else {
			h.peering.later(func(ctx context.Context) { h.occupy(ctx, t.k) })
		}
	case doBury:
		h.bury(t.node)
	}
}

// flush tells who came and went since the last time. Only the sweeper calls
// it, so that all watchers hear of all in one order.
func (h *Hub) flush(k key) {
	var d delta
	var watchers []Subscriber
	h.with(k, func(r *room) {
		d = r.flush(time.Now(), h.numbering())
		watchers = r.watchers.snapshot()
	})
	if len(watchers) > 0 {
		frames := leaveFrames(k.ch, byUser(d.leave))
		frames = append(frames, presenceFrames(k.ch, protocol.PresenceEnter, byUser(d.enter))...)
		frames = append(frames, presenceFrames(k.ch, protocol.PresenceUpdate, byUser(d.update))...)
		for _, w := range watchers {
			for _, f := range frames {
				w.Deliver(f)
			}
		}
	}
	h.tellPeers(k, d.own)
	if h.events == nil || !h.speaks() {
		return
	}
	for _, m := range d.enter {
		h.events(k.app, protocol.WebhookEvent{Type: protocol.WebhookMemberJoined, Channel: k.ch, User: m.User, Presence: m.Data})
	}
	for _, m := range d.leave {
		h.events(k.app, protocol.WebhookEvent{Type: protocol.WebhookMemberLeft, Channel: k.ch, User: m.User, Presence: m.Data})
	}
}

// leaveFrames tells of members who are gone. What they said is not in the
// lines, but doors that need it find it in the replies.
func leaveFrames(ch protocol.Channel, gone []protocol.Member) []*Frame {
	frames := presenceFrames(ch, protocol.PresenceLeave, names(gone))
	for _, f := range frames {
		for i := range f.Reply.Members {
			f.Reply.Members[i].Data, gone = gone[0].Data, gone[1:]
		}
	}
	return frames
}

// names is members without what they said: they are gone.
func names(members []protocol.Member) []protocol.Member {
	out := make([]protocol.Member, len(members))
	for i, m := range members {
		out[i].User = m.User
	}
	return out
}

// taskHeap is a heap of tasks, the earliest first.
type taskHeap []task

func (t taskHeap) Len() int           { return len(t) }
func (t taskHeap) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t taskHeap) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *taskHeap) Push(x any)        { *t = append(*t, x.(task)) }
func (t *taskHeap) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = task{}
	*t = old[:len(old)-1]
	return last
}
