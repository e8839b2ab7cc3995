package qrlogin

import (
	"container/heap"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Memory is a Store in the memory of one process, bounded and expiring. It is
// safe for concurrent use. What it holds is gone with the process: people who
// are half-way then scan once more.
type Memory struct {
	max int

	mu      sync.Mutex
	writes  uint64
	byID    map[string]Attempt
	tickets map[Hash]string
	ends    deadlines
}

// NewMemory makes a Memory of at most max attempts; 0 means 100,000 (about
// 100 MB when full).
func NewMemory(max int) *Memory {
	if max <= 0 {
		max = 100_000
	}
	return &Memory{max: max, byID: map[string]Attempt{}, tickets: map[Hash]string{}}
}

// Create is Store's.
func (m *Memory) Create(_ context.Context, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	if len(m.byID) >= m.max {
		return ErrFull
	}
	if _, ok := m.byID[a.ID]; ok {
		return ErrConflict
	}
	for _, h := range a.Lookups() {
		if _, taken := m.tickets[h]; taken {
			return ErrConflict
		}
	}
	m.put(Attempt{}, a)
	return nil
}

// Get is Store's.
func (m *Memory) Get(_ context.Context, id string) (Attempt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	a, ok := m.byID[id]
	if !ok {
		return Attempt{}, ErrNotFound
	}
	return a, nil
}

// ByTicket is Store's.
func (m *Memory) ByTicket(ctx context.Context, ticket Hash) (Attempt, error) {
	m.mu.Lock()
	id, ok := m.tickets[ticket]
	m.mu.Unlock()
	if !ok {
		return Attempt{}, ErrNotFound
	}
	return m.Get(ctx, id)
}

// Swap is Store's.
func (m *Memory) Swap(_ context.Context, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	old, ok := m.byID[a.ID]
	switch {
	case !ok:
		return ErrNotFound
	case old.Rev != a.Rev:
		return ErrConflict
	}
	m.put(old, a)
	return nil
}

// Len is how many attempts there are.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	return len(m.byID)
}

func (m *Memory) put(old, a Attempt) {
	m.writes++
	a.Rev = strconv.FormatUint(m.writes, 10)
	a.Others = slices.Clone(a.Others)
	for _, h := range old.Lookups() {
		delete(m.tickets, h)
	}
	for _, h := range a.Lookups() {
		m.tickets[h] = a.ID
	}
	m.byID[a.ID] = a
	if !a.Until().Equal(old.Until()) {
		heap.Push(&m.ends, deadline{a.Until(), a.ID})
	}
}

// forget drops what is over. An attempt whose end moved has a later entry too,
// or an earlier end than its entry; both come right when the entry is due.
func (m *Memory) forget(now time.Time) {
	for len(m.ends) > 0 && !m.ends[0].at.After(now) {
		d := heap.Pop(&m.ends).(deadline)
		if a, ok := m.byID[d.id]; ok && !a.Until().After(now) {
			for _, h := range a.Lookups() {
				delete(m.tickets, h)
			}
			delete(m.byID, d.id)
		}
	}
}

// deadline says that something is due for an attempt.
type deadline struct {
	at time.Time
	id string
}

// deadlines is a heap, soonest first. Its owner locks.
type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push is heap.Interface's.
func (d *deadlines) Push(x any) { *d = append(*d, x.(deadline)) }

// Pop is heap.Interface's.
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}
