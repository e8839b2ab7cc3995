package webhook

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
)

// Bounds of what one endpoint may have in memory beside its running tries. The
// rest waits in the queue, put off, so that it is in nobody's way.
const (
	laneLeast  = 16 // jobs it may always have
	laneMost   = 4096
	laneBytes  = 512 << 10
	heldBytes  = 64 << 20 // of all endpoints; beyond, each has laneLeast jobs
	leastWait  = 250 * time.Millisecond
	mostWait   = 5 * time.Minute      // or less where tries are quick, lest a moment's slowness be believed for long:
	quickWait  = 10 * time.Second     // this at least,
	paceWait   = 256                  // and so many tries' time
	firstPace  = 4 * time.Millisecond // of a try, before any was made: jobs that come back too early are put off again
	maxPutOffs = 256                  // under way at a time
)

// lane is the way to one endpoint: so many tries at a time, some jobs that wait
// for them. It is safe for concurrent use.
type lane struct {
	mu    sync.Mutex
	busy  int
	queue []*bus.Task
	bytes int
	pace  time.Duration       // how long a try takes of late
	off   map[string]struct{} // the ids of the jobs that are put off
}

// verdict is what becomes of a job that comes.
type verdict int

const (
	tryNow verdict = iota
	kept           // a running try will take it
	putOff
)

// take decides on a job. With putOff it says for how long: about as long as the
// endpoint needs for those before it.
func (l *lane) take(t *bus.Task, roomy bool) (verdict, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.off, t.ID)
	if l.busy < perEndpoint {
		l.busy++
		return tryNow, 0
	}
	n := len(l.queue)
	if n < laneLeast || roomy && n < laneMost && l.bytes < laneBytes {
		l.queue = append(l.queue, t)
		l.bytes += len(t.Body)
		return kept, 0
	}
	pace := cmp.Or(l.pace, firstPace)
	wait := pace / perEndpoint * time.Duration(n+len(l.off))
	wait = min(wait, mostWait, max(quickWait, paceWait*pace))
	if l.off == nil {
		l.off = map[string]struct{}{}
	}
	l.off[t.ID] = struct{}{}
	return putOff, max(wait, leastWait)
}

// next ends a try that took so long, and is the job to go on with; nil where
// there is none, and then the try's place is free.
func (l *lane) next(took time.Duration) *bus.Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == 0 {
		l.pace = took
	}
	l.pace += (took - l.pace) / 8
	if len(l.queue) == 0 {
		l.busy--
		return nil
	}
	t := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.bytes -= len(t.Body)
	return t
}

// clear forgets what was put off.
func (l *lane) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = nil
}

// runner is one Run. Its methods may be called concurrently.
type runner struct {
	*Webhooks
	ctx   context.Context // ends when the node stops
	last  context.Context // ends when running tries are cut off
	tries sync.WaitGroup
	offs  chan struct{}
}

// dispatch gives a job to its endpoint. It is the queue's worker and waits for
// no receiver.
func (r *runner) dispatch(t *bus.Task) {
	e := r.view.find(t.Lane)
	if e == nil {
		r.drop(t)
		return
	}
	what, wait := e.lane.take(t, r.held.Load() < heldBytes)
	switch what {
	case tryNow:
		r.tries.Go(func() { r.work(e, t) })
	case kept:
		r.held.Add(int64(len(t.Body)))
	case putOff:
		r.offs <- struct{}{}
		r.tries.Go(func() {
			defer func() { <-r.offs }()
			r.later(t, time.Now().Add(wait), t.Attempt)
		})
	}
}

// work makes tries until no job waits.
func (r *runner) work(e *endpoint, t *bus.Task) {
	for {
		begin := time.Now()
		r.attempt(e, t)
		if t = e.lane.next(time.Since(begin)); t == nil {
			return
		}
		r.held.Add(-int64(len(t.Body)))
	}
}

// attempt makes one try and sees to what follows from it.
func (r *runner) attempt(e *endpoint, t *bus.Task) {
	rec := e.record.Load()
	p, body, err := unwrap(t.Body)
	switch {
	case r.ctx.Err() != nil:
		r.release(t)
		return
	case err != nil || rec == nil || rec.Disabled:
		if err != nil {
			r.log.Error("a queued webhook event cannot be read and is thrown away", "app", e.app, "webhook", e.id, "error", err)
		}
		e.settle()
		r.drop(t)
		return
	}
	d, asked := r.try(r.last, rec, p, body)
	if !d.OK && r.last.Err() != nil { // it was us who cut it off
		r.release(t)
		return
	}
	d.Attempt = t.Attempt + 1
	wait, again := pause(d.Attempt, asked)
	switch {
	case d.OK:
		r.stats.WebhookEvent(stats.WebhookDelivered)
	case d.Status == statusGone:
		r.stats.WebhookEvent(stats.WebhookGivenUp)
		d.Error += "; the webhook is disabled"
	case again:
		r.stats.WebhookEvent(stats.WebhookRetried)
		next := time.Now().Add(wait)
		d.Next = &next
	default:
		r.stats.WebhookEvent(stats.WebhookGivenUp)
		d.Error += "; given up"
	}
	if _, err := r.note(r.last, e, p, d, body); err != nil {
		r.log.Warn("a webhook's try cannot be logged", "app", e.app, "webhook", e.id, "error", err)
	}
	if d.Next != nil {
		r.later(t, *d.Next, d.Attempt)
		return
	}
	e.settle()
	r.drop(t)
	if d.Status == statusGone {
		r.disable(e, rec, "The receiver answered 410 Gone at "+d.Time.UTC().Format(time.RFC3339)+".")
	}
}

// later puts the job off. Where that cannot be stored it tries until it can.
func (r *runner) later(t *bus.Task, at time.Time, attempt int) {
	for said := false; ; said = true {
		err := t.Later(r.last, at, bus.Job{Attempt: attempt, Body: t.Body})
		if err == nil {
			return
		}
		if !said {
			r.log.Error("a webhook event cannot be put off", "webhook", t.Lane, "error", err)
		}
		select {
		case <-r.ctx.Done():
			r.release(t)
			return
		case <-time.After(pushPause):
		}
	}
}

func (r *runner) drop(t *bus.Task) {
	if err := t.Done(); err != nil { // it will come again
		r.log.Warn("a webhook event cannot be taken off the queue", "webhook", t.Lane, "error", err)
	}
}

func (r *runner) release(t *bus.Task) {
	if err := t.Release(); err != nil { // the next start finds it
		r.log.Debug("a webhook event cannot be given back", "webhook", t.Lane, "error", err)
	}
}

// disable stops an endpoint that does not want to be told any more.
func (r *runner) disable(e *endpoint, rec *record, reason string) {
	ctx, cancel := context.WithTimeout(r.last, tryLimit)
	defer cancel()
	_, err := r.change(ctx, e.app, e.id, func(c *record) error {
		if c.URL == rec.URL { // else it has moved meanwhile
			c.Disabled, c.Reason = true, reason
		}
		return nil
	})
	if err != nil {
		r.log.Error("a webhook that answered 410 cannot be disabled", "app", e.app, "webhook", e.id, "error", err)
		return
	}
	r.log.Info("webhook disabled: its receiver answered 410", "app", e.app, "webhook", e.id)
}
