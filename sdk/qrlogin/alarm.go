package qrlogin

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// alarms remember when attempts are due. Any goroutine may set one; run rings
// them in its own, one after the other.
type alarms struct {
	wake chan struct{} // has room for one: "look again"

	mu  sync.Mutex
	due deadlines
}

func newAlarms() *alarms { return &alarms{wake: make(chan struct{}, 1)} }

// setIfLive sets an alarm for the attempt's deadline unless it is over.
func (al *alarms) setIfLive(a Attempt) {
	if a.ID == "" || a.State.Terminal() {
		return
	}
	al.mu.Lock()
	heap.Push(&al.due, deadline{a.Deadline, a.ID})
	al.mu.Unlock()
	select {
	case al.wake <- struct{}{}:
	default:
	}
}

// run calls ring for each attempt that is due until ctx is done. A ring may be
// early or needless: the attempt may have moved on.
func (al *alarms) run(ctx context.Context, ring func(id string)) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ids, next := al.take(time.Now())
		for _, id := range ids {
			ring(id)
		}
		if len(ids) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return nil
		case <-al.wake:
		case <-timer.C:
		}
	}
}

// take removes what is due and says how long to wait for the next.
func (al *alarms) take(now time.Time) (ids []string, next time.Duration) {
	al.mu.Lock()
	defer al.mu.Unlock()
	for len(al.due) > 0 && !al.due[0].at.After(now) {
		ids = append(ids, heap.Pop(&al.due).(deadline).id)
	}
	if len(al.due) == 0 {
		return ids, time.Hour
	}
	return ids, al.due[0].at.Sub(now)
}
