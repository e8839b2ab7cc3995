package main

import (
	"sync"
	"time"
)

// tries count failed sign-ins by account and by address, so that passwords
// cannot be guessed at speed. Safe for concurrent use, bounded.
type tries struct {
	mu sync.Mutex
	m  map[string]failed
}

type failed struct {
	n     int
	until time.Time
}

const (
	maxTries    = 10
	triesWindow = 10 * time.Minute
	maxTracked  = 10_000
)

func newTries() *tries { return &tries{m: map[string]failed{}} }

// blocked is how long all of keys have to wait, 0 for not at all.
func (t *tries) blocked(keys ...string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait time.Duration
	for _, k := range keys {
		if f := t.m[k]; f.n >= maxTries {
			wait = max(wait, time.Until(f.until))
		}
	}
	return wait
}

// fail counts a failure for each key.
func (t *tries) fail(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if len(t.m) >= maxTracked {
		for k, f := range t.m {
			if !f.until.After(now) {
				delete(t.m, k)
			}
		}
		for k := range t.m {
			if len(t.m) < maxTracked*9/10 {
				break
			}
			delete(t.m, k)
		}
	}
	for _, k := range keys {
		f := t.m[k]
		if !f.until.After(now) {
			f = failed{until: now.Add(triesWindow)}
		}
		f.n++
		t.m[k] = f
	}
}

// forgive forgets the failures of a key.
func (t *tries) forgive(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, key)
}
