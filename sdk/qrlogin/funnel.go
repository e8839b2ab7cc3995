package qrlogin

import (
	"slices"
	"sync"
	"time"
)

// Funnel says how many attempts came how far since the start, where the others
// went, and how long the steps took. It is this process's count.
type Funnel struct {
	Created, Shown, Scanned, Challenged, Approved, Consumed uint64

	Rejected, Cancelled, Expired          uint64
	SecondScans, WrongCodes, Refused      uint64
	CreatedToScanned, ScannedToApproved   Spread
	ApprovedToConsumed, CreatedToConsumed Spread
}

// Spread is how long something took: of the last thousand times.
type Spread struct {
	Count         uint64
	P50, P90, P99 time.Duration
}

// funnel counts. Safe for concurrent use.
type funnel struct {
	mu                           sync.Mutex
	f                            Funnel
	scan, approve, consume, full window
}

// window holds the last times of something. Its owner locks.
type window struct {
	n    uint64
	last []time.Duration
}

const windowSize = 1000

func (w *window) add(d time.Duration) {
	if len(w.last) < windowSize {
		w.last = append(w.last, d)
	} else {
		w.last[w.n%windowSize] = d
	}
	w.n++
}

func (w *window) spread() Spread {
	if w.n == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(w.last))
	at := func(p int) time.Duration { return sorted[min(len(sorted)-1, len(sorted)*p/100)] }
	return Spread{w.n, at(50), at(90), at(99)}
}

func (c *funnel) count(action string, a Attempt) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch action {
	case ActionCreated:
		c.f.Created++
	case ActionScanned:
		c.f.Scanned++
		c.scan.add(now.Sub(a.Created))
	case ActionSecondScan:
		c.f.SecondScans++
	case ActionChallenged:
		c.f.Challenged++
	case ActionApproved:
		c.f.Approved++
		c.approve.add(now.Sub(a.ScannedAt))
	case ActionWrongCode:
		c.f.WrongCodes++
	case ActionRejected:
		c.f.Rejected++
	case ActionCancelled:
		c.f.Cancelled++
	case ActionExpired:
		c.f.Expired++
	case ActionRefused:
		c.f.Refused++
	case ActionSignedIn:
		c.f.Consumed++
		c.consume.add(now.Sub(a.ApprovedAt))
		c.full.add(now.Sub(a.Created))
	}
}

// shown counts a code that a page has drawn for the first time.
func (c *funnel) shown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.f.Shown++
}

// Funnel is the count so far.
func (s *Server) Funnel() Funnel {
	c := &s.funnel
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.f
	f.CreatedToScanned, f.ScannedToApproved = c.scan.spread(), c.approve.spread()
	f.ApprovedToConsumed, f.CreatedToConsumed = c.consume.spread(), c.full.spread()
	return f
}
