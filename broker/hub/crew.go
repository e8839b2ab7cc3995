package hub

import (
	"runtime"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// chunk is how many subscribers one of the crew serves before it looks who
// else is waiting: half a millisecond's work.
const chunk = 64

// round is one delivery of what was pending in a channel to those who were
// subscribed at its beginning. The crew's lock guards next and under.
type round struct {
	k        key
	c        *channel
	frames   []*Frame
	messages int // in frames
	subs     []Subscriber

	next  int // the first of subs that nobody serves or has served
	under int // chunks being served
}

// lane is the rounds of one app.
type lane struct {
	app    protocol.AppID
	rounds []*round
}

// crew is the goroutines that make rounds: chunk by chunk, turn about between
// apps and between the channels of an app, so that a big room of one keeps
// nobody else waiting. All methods may be called concurrently. It lives from
// newCrew to close.
type crew struct {
	done    func(*round) // called when all of a round's subscribers were served
	started time.Time
	run     sync.WaitGroup

	mu     sync.Mutex
	work   *sync.Cond
	lanes  map[protocol.AppID]*lane
	ring   []*lane // those with rounds, whose turn is next first
	due    int     // rounds that rest
	closed bool
}

func newCrew(hands int, done func(*round)) *crew {
	w := &crew{done: done, started: time.Now(), lanes: map[protocol.AppID]*lane{}}
	w.work = sync.NewCond(&w.mu)
	for range hands {
		w.run.Go(w.serve)
	}
	return w
}

// now is the time since the crew began: one clock, without the calendar's.
func (w *crew) now() time.Duration { return time.Since(w.started) }

// add puts a round at the end of its app's.
func (w *crew) add(r *round) {
	if len(r.subs) == 0 {
		w.done(r)
		return
	}
	w.mu.Lock()
	l := w.lanes[r.k.app]
	if l == nil {
		l = &lane{app: r.k.app}
		w.lanes[r.k.app] = l
	}
	l.rounds = append(l.rounds, r)
	if len(l.rounds) == 1 {
		w.ring = append(w.ring, l)
	}
	w.mu.Unlock()
	for n := len(r.subs); n > 0; n -= chunk {
		w.work.Signal()
	}
}

// later calls begin after wait, unless the crew has been closed by then; close
// waits for it.
func (w *crew) later(wait time.Duration, begin func()) {
	w.mu.Lock()
	w.due++
	w.mu.Unlock()
	time.AfterFunc(wait, func() {
		begin()
		w.mu.Lock()
		w.due--
		w.mu.Unlock()
		w.work.Broadcast()
	})
}

// take is the next chunk, nil where there is none. The lock must be held.
func (w *crew) take() (r *round, from, to int) {
	if len(w.ring) == 0 {
		return nil, 0, 0
	}
	l := w.ring[0]
	w.ring = w.ring[1:]
	r = l.rounds[0]
	l.rounds = l.rounds[1:]
	from, to = r.next, min(r.next+chunk, len(r.subs))
	r.next = to
	r.under++
	if to < len(r.subs) {
		l.rounds = append(l.rounds, r)
	}
	if len(l.rounds) > 0 {
		w.ring = append(w.ring, l)
	} else {
		delete(w.lanes, l.app)
	}
	return r, from, to
}

// deliver serves one chunk.
func (w *crew) deliver(r *round, from, to int) {
	for _, s := range r.subs[from:to] {
		for _, f := range r.frames {
			s.Deliver(f)
		}
	}
	w.mu.Lock()
	r.under--
	last := r.under == 0 && r.next == len(r.subs)
	w.mu.Unlock()
	if last {
		w.done(r)
	}
}

// help serves one chunk of whoever's turn it is, and reports whether there was
// one.
func (w *crew) help() bool {
	w.mu.Lock()
	r, from, to := w.take()
	w.mu.Unlock()
	if r != nil {
		w.deliver(r, from, to)
	}
	return r != nil
}

func (w *crew) serve() {
	for {
		w.mu.Lock()
		r, from, to := w.take()
		for r == nil {
			if w.closed && w.due == 0 {
				w.mu.Unlock()
				return
			}
			w.work.Wait()
			r, from, to = w.take()
		}
		w.mu.Unlock()
		w.deliver(r, from, to)
		runtime.Gosched() // the feeds and the sessions have their turn too
	}
}

// close returns when all rounds are made. Nothing may be added by others from
// now on.
func (w *crew) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.work.Broadcast()
	w.run.Wait()
}
