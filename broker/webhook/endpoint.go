package webhook

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// endpoint is the live state of one endpoint on this node. It is safe for
// concurrent use and outlives changes of its record.
type endpoint struct {
	id      string
	app     protocol.AppID
	record  atomic.Pointer[record] // nil: deleted
	waiting atomic.Int64           // its jobs in the queue
	dropped atomic.Int64
	manual  atomic.Int32 // tests and re-sends under way
	lane    lane
}

// record is an endpoint as it is kept. It is never changed once made.
type record struct {
	ID       string         `json:"id"`
	App      protocol.AppID `json:"app"`
	URL      string         `json:"url"`
	Events   []string       `json:"events"`
	Secrets  []sealed       `json:"secrets"` // the newest first, two at most
	Disabled bool           `json:"disabled,omitempty"`
	Reason   string         `json:"disabled_reason,omitempty"`
	Created  time.Time      `json:"created"`

	key  string // of the bucket
	rev  uint64
	open [][]byte // the secrets; nil where they cannot be opened
}

// sealed is a secret as it is kept.
type sealed struct {
	Sealed []byte     `json:"sealed"`
	Until  *time.Time `json:"until,omitempty"` // nil: for ever
}

func readRecord(e bus.Entry, aead cipher.AEAD) (*record, error) {
	r := &record{key: e.Key, rev: e.Revision}
	if err := json.Unmarshal(e.Value, r); err != nil {
		return nil, err
	}
	if app, _, ok := strings.Cut(e.Key, "."); !ok || app != string(r.App) || r.ID == "" {
		return nil, errors.New("the record is not that of its key")
	}
	for _, s := range r.Secrets {
		secret, err := unseal(aead, r.ID, s.Sealed)
		if err != nil {
			return nil, err
		}
		r.open = append(r.open, secret)
	}
	return r, nil
}

// live are the secrets that sign at a time.
func (r *record) live(now time.Time) (out [][]byte) {
	for i, s := range r.Secrets {
		if s.Until == nil || now.Before(*s.Until) {
			out = append(out, r.open[i])
		}
	}
	return out
}

// wants reports whether the endpoint is to be told of that type.
func (e *endpoint) wants(event string) bool {
	r := e.record.Load()
	return r != nil && !r.Disabled && slices.Contains(r.Events, event)
}

// settle takes n jobs off the count, which never goes below zero: jobs that
// were dropped may be finished all the same.
func (e *endpoint) settle() {
	for {
		n := e.waiting.Load()
		if n <= 0 || e.waiting.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// public is the endpoint as callers get it.
func (e *endpoint) public(r *record) protocol.Webhook {
	out := protocol.Webhook{
		ID: r.ID, App: r.App, URL: r.URL, Events: slices.Clone(r.Events), Disabled: r.Disabled, DisabledReason: r.Reason, Created: r.Created,
		Waiting: int(e.waiting.Load()), Dropped: int(e.dropped.Load()),
	}
	if len(r.Secrets) > 1 && r.Secrets[1].Until != nil && time.Now().Before(*r.Secrets[1].Until) {
		until := *r.Secrets[1].Until
		out.OldSecretUntil = &until
	}
	return out
}

// view is this node's memory of all endpoints. The watch's goroutine writes
// it; everybody reads.
type view struct {
	log  *slog.Logger
	aead cipher.AEAD
	apps sync.Map // app → []*endpoint, which is never changed: Emit reads it without a lock

	mu   sync.RWMutex
	ids  map[string]*endpoint
	keys map[string]*endpoint // by the bucket's key
	last uint64               // newest revision seen
	news chan struct{}        // closed at the next entry
}

func newView(log *slog.Logger, aead cipher.AEAD) *view {
	return &view{log: log, aead: aead, ids: map[string]*endpoint{}, keys: map[string]*endpoint{}, news: make(chan struct{})}
}

// of are the app's endpoints, in the order of their slots.
func (v *view) of(app protocol.AppID) []*endpoint {
	if list, ok := v.apps.Load(app); ok {
		return list.([]*endpoint)
	}
	return nil
}

// find is the endpoint of that id, nil where there is none.
func (v *view) find(id string) *endpoint {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.ids[id]
}

// count is how many events wait for all endpoints, and how many of those are
// disabled.
func (v *view) count() (waiting, disabled int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, e := range v.ids {
		waiting += int(e.waiting.Load())
		if r := e.record.Load(); r != nil && r.Disabled {
			disabled++
		}
	}
	return waiting, disabled
}

// all are the endpoints of all apps.
func (v *view) all() []*endpoint {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]*endpoint, 0, len(v.ids))
	for _, e := range v.ids {
		out = append(out, e)
	}
	return out
}

// apply takes one entry of the watch into memory. A record that cannot be read
// counts as deleted.
func (v *view) apply(e bus.Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var r *record
	if !e.Deleted {
		var err error
		if r, err = readRecord(e, v.aead); err != nil {
			v.log.Error("a webhook's record cannot be read and is ignored", "record", e.Key, "error", err)
		}
	}
	if old := v.keys[e.Key]; old != nil && (r == nil || old.id != r.ID) { // deleted, and perhaps another one in its slot
		old.record.Store(nil)
		delete(v.ids, old.id)
		delete(v.keys, e.Key)
	}
	if r != nil {
		p := v.keys[e.Key]
		if p == nil {
			p = &endpoint{id: r.ID, app: r.App}
			v.keys[e.Key], v.ids[r.ID] = p, p
		}
		p.record.Store(r)
	}
	app, _, _ := strings.Cut(e.Key, ".")
	v.index(protocol.AppID(app))
	v.last = max(v.last, e.Revision)
	close(v.news)
	v.news = make(chan struct{})
}

// index makes the app's list anew; mu is held.
func (v *view) index(app protocol.AppID) {
	var list []*endpoint
	for slot := range MaxPerApp {
		if p := v.keys[slotKey(app, slot)]; p != nil {
			list = append(list, p)
		}
	}
	if list == nil {
		v.apps.Delete(app)
		return
	}
	v.apps.Store(app, list)
}
