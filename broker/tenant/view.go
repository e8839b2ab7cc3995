package tenant

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// view is this node's memory of all records. The watch's goroutine writes it;
// everybody reads. Keys have a lock-free index, for they are looked up at each
// request; the rest is under mu. States outlive updates of their records, since
// connections point at them.
type view struct {
	log   *slog.Logger
	stats *stats.Stats
	keys  sync.Map // key id → *keyState

	byDoor sync.Map // doorKeyAt → *hung

	mu       sync.RWMutex
	accounts map[protocol.AccountID]*accountState
	apps     map[protocol.AppID]*appState
	names    map[string]bus.Entry     // index key → its entry: which app has the name
	doorKeys map[string]*doorKeyState // by id
	last     uint64                   // newest revision seen
	news     chan struct{}            // closed at the next entry
}

type accountState struct {
	record Account
	rev    uint64
	apps   map[protocol.AppID]*appState
}

// appState is an app's live state on this node. It is safe for concurrent use.
type appState struct {
	id      protocol.AppID
	epoch   time.Time                 // what publish counts from
	record  atomic.Pointer[appRecord] // nil: no such app (yet, or any more)
	publish gcra
	meter   *stats.Meter // counts what it uses, for as long as the process lives

	// Of a cluster: what the other nodes told, and what was published here
	// since this one told it. parts is the nodes' number, as of then.
	published          atomic.Int64
	publishedElsewhere atomic.Int64
	parts              atomic.Int64
	keys               map[string]*keyState // under view.mu
}

// keyState is a key's live state on this node.
type keyState struct {
	app    *appState                 // nil for an account token
	record atomic.Pointer[keyRecord] // nil: no such key
}

func newView(log *slog.Logger, s *stats.Stats) *view {
	return &view{
		log:      log,
		stats:    s,
		accounts: make(map[protocol.AccountID]*accountState),
		apps:     make(map[protocol.AppID]*appState),
		names:    make(map[string]bus.Entry),
		doorKeys: make(map[string]*doorKeyState),
		news:     make(chan struct{}),
	}
}

// until waits until cond is true of v; it is called with mu held.
func (v *view) until(ctx context.Context, cond func(*view) bool) error {
	timeout := time.NewTimer(readBack)
	defer timeout.Stop()
	for {
		v.mu.RLock()
		ok, news := cond(v), v.news
		v.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return stored(ctx.Err())
		case <-timeout.C:
			return stored(errUnseen)
		}
	}
}

// changed reports whether the record key came to be (base 0), or is another
// than that of revision base or gone; mu is held.
func (v *view) changed(key string, base uint64) bool {
	sort, id, _ := strings.Cut(key, ".")
	var rev uint64
	switch sort {
	case "account":
		if a := v.accounts[protocol.AccountID(id)]; a != nil && a.record.ID != "" {
			rev = a.rev
		}
	case "app":
		if app := v.apps[protocol.AppID(id)]; app != nil {
			if r := app.record.Load(); r != nil {
				rev = r.rev
			}
		}
	case "key":
		if _, r := v.findKey(id); r != nil {
			rev = r.rev
		}
	case "door":
		if k := v.doorKeys[id]; k != nil {
			if r := k.record.Load(); r != nil {
				rev = r.rev
			}
		}
	}
	return rev > base || rev == 0 && base > 0
}

// apply takes one entry of the watch into memory, and says whether the record
// was known before. A record that cannot be read counts as deleted: what we do
// not understand grants nothing.
func (v *view) apply(e bus.Entry) (known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sort, id, _ := strings.Cut(e.Key, ".")
	var err error
	switch sort {
	case "account":
		err = v.applyAccount(protocol.AccountID(id), e)
	case "app":
		app := v.apps[protocol.AppID(id)]
		known = app != nil && app.record.Load() != nil
		err = v.applyApp(protocol.AppID(id), e)
	case "key":
		_, old := v.findKey(id)
		known = old != nil
		err = v.applyKey(id, e)
	case "door":
		known = v.doorKeys[id] != nil
		err = v.applyDoorKey(id, e)
	case "name":
		if e.Deleted {
			delete(v.names, e.Key)
		} else {
			v.names[e.Key] = e
		}
	}
	if err != nil {
		v.log.Error("a tenant record cannot be read and is ignored", "record", e.Key, "error", err)
	}
	v.last = max(v.last, e.Revision)
	close(v.news)
	v.news = make(chan struct{})
	return known
}

func (v *view) applyAccount(id protocol.AccountID, e bus.Entry) error {
	a := v.accounts[id]
	if a == nil {
		a = &accountState{apps: make(map[protocol.AppID]*appState)}
		v.accounts[id] = a
	}
	a.record = Account{}
	var err error
	if !e.Deleted {
		err = json.Unmarshal(e.Value, &a.record)
	}
	v.stats.Account(id).SetQuotas(a.record.quotas())
	a.rev = e.Revision
	return err
}

func (v *view) applyApp(id protocol.AppID, e bus.Entry) error {
	app := v.app(id)
	old := app.record.Load()
	if e.Deleted {
		app.record.Store(nil)
		if old != nil {
			delete(v.account(old.Account).apps, id)
		}
		if len(app.keys) == 0 {
			delete(v.apps, id)
		}
		return nil
	}
	r, err := readApp(e, old)
	app.record.Store(r) // nil if it cannot be read
	if r != nil {
		v.account(r.Account).apps[id] = app
		app.meter.Join(v.stats.Account(r.Account))
	}
	return err
}

func (v *view) applyKey(id string, e bus.Entry) error {
	found, _ := v.keys.Load(id)
	key, _ := found.(*keyState)
	if e.Deleted {
		if key != nil {
			key.record.Store(nil)
			v.keys.Delete(id)
			if app := key.app; app != nil {
				if delete(app.keys, id); len(app.keys) == 0 && app.record.Load() == nil {
					delete(v.apps, app.id)
				}
			}
		}
		return nil
	}
	r, err := readKey(e)
	if err != nil {
		if key != nil {
			key.record.Store(nil)
		}
		return err
	}
	if key == nil {
		key = &keyState{}
		if r.App != "" {
			key.app = v.app(r.App)
			key.app.keys[id] = key
		}
	}
	key.record.Store(r)
	v.keys.Store(id, key)
	return nil
}

// app finds or makes the state of an app; mu is held. A key may be seen before
// its app, since the watch brings each record at its newest revision.
func (v *view) app(id protocol.AppID) *appState {
	app := v.apps[id]
	if app == nil {
		app = &appState{id: id, epoch: time.Now(), meter: v.stats.App(id), keys: make(map[string]*keyState)}
		v.apps[id] = app
	}
	return app
}

// account finds or makes the state of an account; mu is held.
func (v *view) account(id protocol.AccountID) *accountState {
	a := v.accounts[id]
	if a == nil {
		a = &accountState{apps: make(map[protocol.AppID]*appState)}
		v.accounts[id] = a
	}
	return a
}

// findApp is the app id, whatever its account; nil if there is none.
func (v *view) findApp(id protocol.AppID) *appState {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if app := v.apps[id]; app != nil && app.record.Load() != nil {
		return app
	}
	return nil
}

// findKey is the key id; nil if there is none. It takes no lock.
func (v *view) findKey(id string) (*keyState, *keyRecord) {
	if found, ok := v.keys.Load(id); ok {
		key := found.(*keyState)
		if r := key.record.Load(); r != nil {
			return key, r
		}
	}
	return nil, nil
}

// appOf is the app of the key id; "" for account tokens and keys unknown.
func (v *view) appOf(id string) protocol.AppID {
	if _, r := v.findKey(id); r != nil {
		return r.App
	}
	return ""
}

// keyRecords yields all keys' records.
func (v *view) keyRecords(yield func(*keyRecord) bool) {
	v.keys.Range(func(_, found any) bool {
		r := found.(*keyState).record.Load()
		return r == nil || yield(r)
	})
}

// keysOf is a copy of an app's records of keys, in no order.
func (v *view) keysOf(app *appState) []*keyRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]*keyRecord, 0, len(app.keys))
	for _, k := range app.keys {
		if r := k.record.Load(); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// nameOwner is the entry that says which app has a name.
func (v *view) nameOwner(key string) (bus.Entry, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	e, ok := v.names[key]
	return e, ok
}
