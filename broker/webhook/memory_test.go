package webhook_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// memory is a bucket, a queue and a journal in memory. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	rev     uint64
	entries map[string]bus.Entry
	watch   func(bus.Entry)
	work    func(*bus.Task)
	jobs    map[string]bool // lane and id of what is in the queue
	log     map[string][]bus.Record
	fail    error // of pushing and putting off
}

func newMemory() *memory {
	return &memory{entries: map[string]bus.Entry{}, jobs: map[string]bool{}, log: map[string][]bus.Record{}}
}

// buckets, queues and journals have methods of the same names.
type (
	memKV      struct{ *memory }
	memQueue   struct{ *memory }
	memJournal struct{ *memory }
)

func (m memKV) write(key string, val []byte, want uint64, gone bool) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key].Revision != want {
		return 0, bus.ErrConflict
	}
	m.rev++
	e := bus.Entry{Key: key, Value: val, Revision: m.rev, Deleted: gone}
	if gone {
		delete(m.entries, key)
	} else {
		m.entries[key] = e
	}
	m.watch(e)
	return m.rev, nil
}

func (m memKV) Create(_ context.Context, key string, val []byte, _ time.Duration) (uint64, error) {
	return m.write(key, val, 0, false)
}
func (m memKV) Update(_ context.Context, key string, val []byte, rev uint64, _ time.Duration) (uint64, error) {
	return m.write(key, val, rev, false)
}
func (m memKV) Delete(_ context.Context, key string, rev uint64) error {
	_, err := m.write(key, nil, rev, true)
	return err
}
func (m memKV) Watch(fn func(bus.Entry)) (func(), error) { m.watch = fn; return func() {}, nil }

func (m memQueue) Push(_ context.Context, jobs ...bus.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, j := range jobs {
		m.jobs[j.Lane+j.ID] = true
		go m.give(j)
	}
	return nil
}

func (m memQueue) give(j bus.Job) {
	m.mu.Lock()
	work, there := m.work, m.jobs[j.Lane+j.ID]
	m.mu.Unlock()
	if !there || work == nil {
		return
	}
	work(&bus.Task{Job: j,
		Done: func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.jobs, j.Lane+j.ID)
			return nil
		},
		Later: func(_ context.Context, at time.Time, next bus.Job) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.fail != nil {
				return m.fail
			}
			next.Lane, next.ID = j.Lane, j.ID
			time.AfterFunc(time.Until(at), func() { m.give(next) })
			return nil
		},
		Release: func() error { return nil },
	})
}

func (m memQueue) Work(fn func(*bus.Task)) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.work = fn
	return func() { m.mu.Lock(); defer m.mu.Unlock(); m.work = nil }, nil
}
func (m memQueue) Waiting(context.Context) (map[string]int, error) { return nil, nil }
func (m memQueue) Drop(_ context.Context, lane string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.jobs {
		if strings.HasPrefix(k, lane) {
			delete(m.jobs, k)
		}
	}
	return nil
}

func (m memJournal) Append(_ context.Context, key string, val []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rev++
	m.log[key] = append(m.log[key], bus.Record{Seq: m.rev, Time: time.Now(), Value: bytes.Clone(val)})
	return m.rev, nil
}
func (m memJournal) Last(_ context.Context, key string) ([]bus.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.log[key])
	slices.Reverse(out)
	return out, nil
}
func (m memJournal) Get(context.Context, string, uint64) (bus.Record, error) {
	return bus.Record{}, bus.ErrNotFound
}
func (m memJournal) Drop(context.Context, string) error { return nil }

func (m *memory) queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.jobs)
}

func (m *memory) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}
