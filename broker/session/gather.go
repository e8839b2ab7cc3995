package session

import (
	"runtime"
	"sync"
	"time"
)

const (
	// gatherTime is how long frames for a busy connection gather, so that one
	// write carries several. It is counted in slots of that length: the first
	// gatherAfter writes of a connection in a slot go at once, so that a lone
	// message never waits.
	gatherTime  = 5 * time.Millisecond
	gatherAfter = 2
)

// gather is the connections of a set that wait for the next slot. All methods
// may be called concurrently; it needs no end.
type gather struct {
	began time.Time

	mu   sync.Mutex
	list []*outbox
}

func newGather() *gather { return &gather{began: time.Now()} }

// often reports whether o has written often enough in this slot, and counts a
// write otherwise. o's lock must be held.
func (g *gather) often(o *outbox) bool {
	slot := int64(time.Since(g.began)/gatherTime) + 1
	if o.slot != slot {
		o.slot, o.writes = slot, 0
	}
	if o.writes >= gatherAfter {
		return true
	}
	o.writes++
	return false
}

// add lets o's writer go on in the next slot.
func (g *gather) add(o *outbox) {
	g.mu.Lock()
	g.list = append(g.list, o)
	first := len(g.list) == 1
	g.mu.Unlock()
	if first {
		gone := time.Since(g.began) % gatherTime
		time.AfterFunc(gatherTime-gone, g.release)
	}
}

// release lets all go on, several at once where there are many.
func (g *gather) release() {
	g.mu.Lock()
	list := g.list
	g.list = nil
	g.mu.Unlock()
	const each = 64
	var run sync.WaitGroup
	for n := min(len(list)/each, runtime.GOMAXPROCS(0)) - 1; n > 0; n-- {
		part := list[:len(list)/(n+1)]
		list = list[len(part):]
		run.Go(func() { goOn(part) })
	}
	goOn(list)
	run.Wait()
}

func goOn(list []*outbox) {
	for _, o := range list {
		o.mu.Lock()
		f := o.next()
		o.mu.Unlock()
		o.write(f, false)
	}
}
