package tenant_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// memory is a bucket in memory that keeps the contract of *bus.Bucket. The
// contract tests run on both. Its watch is a goroutine of its own, as the real
// one, so that a writer which does not wait for its write is found out.
type memory struct {
	mu      sync.Mutex
	entries map[string]*held
	rev     uint64
	log     []bus.Entry // every change, for watches
	news    chan struct{}
	fail    func(op, key string) error // answers an operation before it happens
	before  func(op, key string)       // runs before an operation, without the lock
}

type held struct {
	bus.Entry
	until time.Time // zero: for ever
}

func newMemory() *memory {
	return &memory{entries: make(map[string]*held), news: make(chan struct{})}
}

// enter begins an operation: it runs the hooks and takes the lock.
func (m *memory) enter(op, key string) error {
	m.mu.Lock()
	before, fail := m.before, m.fail
	m.mu.Unlock()
	if before != nil {
		before(op, key)
	}
	if fail != nil {
		if err := fail(op, key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	return nil
}

func (m *memory) setHooks(before func(op, key string), fail func(op, key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.fail = before, fail
}

// revision is that of a key that is there, or 0; mu is held.
func (m *memory) revision(key string) uint64 {
	if e := m.entries[key]; e != nil && (e.until.IsZero() || time.Now().Before(e.until)) {
		return e.Revision
	}
	return 0
}

// put writes or deletes; mu is held.
func (m *memory) put(key string, val []byte, ttl time.Duration, deleted bool) uint64 {
	m.rev++
	h := &held{Entry: bus.Entry{Key: key, Value: bytes.Clone(val), Revision: m.rev, Deleted: deleted}}
	if ttl > 0 {
		h.until = time.Now().Add(ttl)
	}
	if deleted {
		delete(m.entries, key)
	} else {
		m.entries[key] = h
	}
	m.log = append(m.log, h.Entry)
	close(m.news)
	m.news = make(chan struct{})
	return m.rev
}

func (m *memory) Get(_ context.Context, key string) (bus.Entry, error) {
	if err := m.enter("get", key); err != nil {
		return bus.Entry{}, err
	}
	defer m.mu.Unlock()
	if m.revision(key) == 0 {
		return bus.Entry{}, bus.ErrNotFound
	}
	return m.entries[key].Entry, nil
}

func (m *memory) Create(_ context.Context, key string, val []byte, ttl time.Duration) (uint64, error) {
	if err := m.enter("create", key); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if m.revision(key) != 0 {
		return 0, bus.ErrConflict
	}
	return m.put(key, val, ttl, false), nil
}

func (m *memory) Update(_ context.Context, key string, val []byte, rev uint64, ttl time.Duration) (uint64, error) {
	if err := m.enter("update", key); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if rev == 0 || m.revision(key) != rev {
		return 0, bus.ErrConflict
	}
	return m.put(key, val, ttl, false), nil
}

func (m *memory) Delete(_ context.Context, key string, rev uint64) error {
	if err := m.enter("delete", key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if rev != 0 && m.revision(key) != rev {
		return bus.ErrConflict
	}
	m.put(key, nil, 0, true)
	return nil
}

func (m *memory) Apply(_ context.Context, changes []bus.Change) error {
	if err := m.enter("apply", changes[len(changes)-1].Key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, c := range changes {
		if c.Delete && c.Revision == 0 {
			continue
		}
		if m.revision(c.Key) != c.Revision {
			return bus.ErrConflict
		}
	}
	for _, c := range changes {
		m.put(c.Key, c.Value, 0, c.Delete)
	}
	return nil
}

func (m *memory) Watch(fn func(bus.Entry)) (func(), error) {
	if err := m.enter("watch", ""); err != nil {
		return nil, err
	}
	present := slices.SortedFunc(maps.Values(m.entries), func(a, b *held) int { return cmp.Compare(a.Revision, b.Revision) })
	next := len(m.log)
	m.mu.Unlock()
	for _, h := range present {
		fn(h.Entry)
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m.mu.Lock()
			fresh, news := slices.Clone(m.log[next:]), m.news
			m.mu.Unlock()
			for _, e := range fresh {
				fn(e)
			}
			next += len(fresh)
			select {
			case <-news:
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-ended }, nil
}

// bytes is all that was ever written, as a thief of the disk would find it.
func (m *memory) bytes() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b bytes.Buffer
	for _, e := range m.log {
		b.WriteString(e.Key)
		b.WriteByte('\n')
		b.Write(e.Value)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
