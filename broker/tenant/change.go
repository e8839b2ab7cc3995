package tenant

import (
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// changes tells listeners what is good no longer, or is not what it was. It is
// safe for concurrent use. Its goroutine, which waits for the keys that expire,
// lives from start to stop.
type changes struct {
	view *view
	wake chan struct{} // a key's end may be nearer than the one waited for
	quit chan struct{}
	done sync.WaitGroup

	mu        sync.Mutex
	listeners []*listener // replaced, never changed
}

type listener struct {
	fn func(app protocol.AppID, keyID string)
}

// recheck is the longest wait for a key's end, so that a clock which is set
// forward delays it by no more.
const recheck = time.Minute

func newChanges(v *view) *changes {
	return &changes{view: v, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

// start begins to wait for keys that expire; those that have are not told.
func (c *changes) start() {
	at := time.Now()
	c.done.Go(func() { c.expire(at) })
}

func (c *changes) stop() {
	close(c.quit)
	c.done.Wait()
}

// tell calls all listeners; no lock may be held.
func (c *changes) tell(app protocol.AppID, keyID string) {
	c.mu.Lock()
	all := c.listeners
	c.mu.Unlock()
	for _, l := range all {
		l.fn(app, keyID)
	}
}

// soon has the goroutine look again when the next key expires.
func (c *changes) soon() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// expire tells of each key that expires after told, when it does.
func (c *changes) expire(told time.Time) {
	for {
		at, next := time.Now(), time.Time{}
		for _, e := range c.view.ends() {
			switch {
			case !e.at.After(told):
			case !e.at.After(at):
				c.tell(e.app, e.id)
			case next.IsZero() || e.at.Before(next):
				next = e.at
			}
		}
		told = at
		var timer <-chan time.Time // without a key that expires: only wake
		if !next.IsZero() {
			timer = time.After(min(time.Until(next), recheck))
		}
		select {
		case <-timer:
		case <-c.wake:
		case <-c.quit:
			return
		}
	}
}

// end is when a key of an app ends.
type end struct {
	app protocol.AppID
	id  string
	at  time.Time
}

// ends are those of all keys and door keys that have one and live.
func (v *view) ends() (all []end) {
	for r := range v.keyRecords {
		if r.Expires != nil && r.Revoked == nil {
			all = append(all, end{r.App, r.ID, *r.Expires})
		}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, k := range v.doorKeys {
		if r := k.record.Load(); r != nil && r.Expires != nil && r.Revoked == nil {
			all = append(all, end{r.App, r.ID, *r.Expires})
		}
	}
	return all
}

// OnChange has fn called after an app was changed or deleted (keyID is "") or
// one of its keys was changed, revoked or expired: whoever holds a principal of
// it asks Principal.Check again, and for tokens their keyID is that of the key
// that signed them. Account tokens have no app: "". What is new is not told.
//
// fn is called from one goroutine or another of the register's own, which
// nothing else gets past meanwhile: it must not block, and must not call what
// writes. After stop no call begins, but one may still be under way.
func (t *Tenants) OnChange(fn func(app protocol.AppID, keyID string)) (stop func()) {
	c, l := t.changes, &listener{fn}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(slices.Clip(c.listeners), l)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.listeners = slices.DeleteFunc(slices.Clone(c.listeners), func(o *listener) bool { return o == l })
	}
}
