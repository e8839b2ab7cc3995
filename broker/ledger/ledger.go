// Package ledger writes down what apps and accounts use: the meters of
// broker/stats, once a second, by minute, hour, day and month. Each process
// writes sheets of its own and reads those of all, so that what is told is the
// whole cluster's, and a restart begins new sheets beside the old ones.
package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Store is where the sheets are kept. A *bus.Bucket that is made with Listed
// is one.
type Store interface {
	Put(ctx context.Context, changes []bus.Change) error
	List(ctx context.Context, prefix string) ([]bus.Entry, error)
	Create(ctx context.Context, key string, val []byte, ttl time.Duration) (uint64, error)
}

// Options are what New needs. Clock may be left out.
type Options struct {
	Store Store
	Stats *stats.Stats
	Log   *slog.Logger

	// Apps are the apps of an account, and Stored is how many messages are kept
	// of one.
	Apps   func(account protocol.AccountID) []protocol.AppID
	Stored func(ctx context.Context, app protocol.AppID) (int64, error)

	// Warn is told once that an account has used four fifths of a quota, and
	// once more that it has used it up: in the month, or in the day where the
	// quota is not of a month. It may wait.
	Warn func(account protocol.AccountID, u stats.Use, percent int)

	// Peers is the way to the other nodes, which write, too; nil: there are none.
	Peers Peers

	Clock func() time.Time
}

const (
	flushPause   = time.Second // what a killed process may lose
	refreshPause = 5 * time.Second
	storedPause  = time.Minute
	closeTime    = 5 * time.Second
)

// Ledger writes what the meters count. All methods may be called concurrently;
// Run is called once. It lives from New to Close.
type Ledger struct {
	o       Options
	process string // in the keys of its sheets

	mu     sync.Mutex // held while writing, too: one flush at a time
	sheets map[string]*sheet
	latest [4]time.Time     // the newest period of each grain: clocks that are set back begin none
	seen   map[string]Count // of the meters, what is in the sheets
	others map[string]Count // what other processes wrote of the month, by @account
	month  time.Time        // that others is of
	warned map[string]bool  // what need not be told again
}

// New reads what was used this month, so that quotas hold from the first
// message on.
func New(ctx context.Context, o Options) (*Ledger, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	l := &Ledger{o: o, process: strings.ToLower(rand.Text()[:16]), sheets: map[string]*sheet{}, seen: map[string]Count{}, warned: map[string]bool{}}
	if err := l.refresh(ctx); err != nil {
		return nil, fmt.Errorf("ledger: read what was used: %w", err)
	}
	if o.Peers != nil {
		l.join(o.Peers)
	}
	return l, nil
}

// Run writes once a second until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(flushPause)
	defer tick.Stop()
	var refreshed, stored time.Time
	for {
		now := time.Now()
		if now.Sub(stored) >= storedPause {
			stored = now
			l.lookAtStored(ctx)
		}
		if l.o.Peers != nil && now.Sub(refreshed) >= refreshPause {
			refreshed = now
			l.trouble(ctx, "what the other nodes counted cannot be read", l.refresh(ctx))
		}
		l.trouble(ctx, "what apps use cannot be written down, and will be", l.Flush(ctx))
		l.warn(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (l *Ledger) trouble(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		l.o.Log.Warn(what, "error", err)
	}
}

// Close writes what was counted to the last. Call it when nothing counts any
// more.
func (l *Ledger) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return l.Flush(ctx)
}

// Flush writes what was counted since the last one. After an error it is
// written by the next.
func (l *Ledger) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Clock()
	for i, g := range grains() {
		if t := g.start(now); t.After(l.latest[i]) {
			l.latest[i] = t
		}
	}
	for id, m := range l.o.Stats.EachApp {
		l.count(string(id), m)
	}
	for id, m := range l.o.Stats.EachAccount {
		l.count("@"+string(id), m)
	}
	l.carry()
	return l.write(ctx, now)
}

// count puts into the sheets what a meter counted since it was last seen. mu
// is held.
func (l *Ledger) count(id string, m *stats.Meter) {
	is := Count{m.Messages.Load(), m.Bytes.Load(), m.Delivered.Load(), m.Refused.Load(), m.Peak()}
	more := is.minus(l.seen[id])
	l.seen[id] = is
	if more == (Count{}) {
		return
	}
	part := partOf(id)
	for i, g := range grains() {
		s := &sheet{grain: g, start: l.latest[i], part: part}
		key := s.key(l.process)
		if have := l.sheets[key]; have != nil {
			s = have
		} else {
			s.rows = map[string]Count{}
			l.sheets[key] = s
		}
		if sum := s.rows[id].plus(more); sum != s.rows[id] {
			s.rows[id], s.dirty = sum, true
		}
	}
}

// write writes the sheets that changed, and forgets those of periods that are
// over. mu is held.
func (l *Ledger) write(ctx context.Context, now time.Time) error {
	var changes []bus.Change
	for key, s := range l.sheets {
		if !s.dirty {
			continue
		}
		val, err := s.encode()
		if err != nil {
			return err
		}
		changes = append(changes, bus.Change{Key: key, Value: val, TTL: s.ttl(now)})
	}
	if err := l.o.Store.Put(ctx, changes); err != nil {
		return err
	}
	for key, s := range l.sheets {
		s.dirty = false
		for i, g := range grains() {
			if g.by == s.grain.by && s.start.Before(l.latest[i]) {
				delete(l.sheets, key)
			}
		}
	}
	return nil
}

// refresh reads what other processes wrote of this month.
func (l *Ledger) refresh(ctx context.Context) error {
	g, err := grainOf(Month)
	if err != nil {
		return err
	}
	month, others := g.start(l.o.Clock()), map[string]Count{}
	for part := range parts {
		err := l.each(ctx, g, month, part, func(start time.Time, process, id string, c Count) {
			if start.Equal(month) && process != l.process && strings.HasPrefix(id, "@") {
				others[id] = others[id].plus(c)
			}
		})
		if err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others, l.month = others, month
	l.carry()
	return nil
}

// carry tells the accounts' meters what the month had before what they count
// now. mu is held.
func (l *Ledger) carry() {
	month := l.latest[3]
	for id, m := range l.o.Stats.EachAccount {
		name := "@" + string(id)
		var had Count
		if month.IsZero() || l.month.Equal(month) {
			had = l.others[name]
		}
		own := sheet{grain: grains()[3], start: month, part: partOf(name)}
		if s := l.sheets[own.key(l.process)]; s != nil {
			had = had.plus(s.rows[name])
		}
		had = had.minus(l.seen[name])
		m.MonthMessages.Store(had.Messages)
		m.MonthBytes.Store(had.Bytes)
	}
}

// lookAtStored counts the history of the accounts that have a quota of it.
func (l *Ledger) lookAtStored(ctx context.Context) {
	for id, m := range l.o.Stats.EachAccount {
		for _, u := range m.Uses() {
			if u.Quota != "stored" {
				continue
			}
			n, err := l.Stored(ctx, l.o.Apps(id)...)
			if err != nil {
				l.trouble(ctx, "what apps keep cannot be counted", err)
				return
			}
			m.Stored.Store(n)
		}
	}
}

// Stored is how many messages are kept as history of apps.
func (l *Ledger) Stored(ctx context.Context, apps ...protocol.AppID) (sum int64, err error) {
	for _, app := range apps {
		n, err := l.o.Stored(ctx, app)
		if err != nil {
			return 0, unread(err)
		}
		sum += n
	}
	return sum, nil
}

// unread is err for people; the cause stays in the chain for logs.
func unread(err error) error {
	if _, told := errors.AsType[*protocol.Error](err); told {
		return err
	}
	return fmt.Errorf("ledger: %w: %w", protocol.NewError(protocol.CodeUnavailable), err)
}
