package qrlogin

import (
	"sync"
	"time"
)

// strikes count faults by key within a window, and lock whoever has too many
// until the window is over. Safe for concurrent use, bounded: when it is full it
// forgets some, in their favour.
type strikes struct {
	most   int
	window time.Duration

	mu sync.Mutex
	m  map[string]strike
}

type strike struct {
	n     int
	until time.Time
}

const maxStruck = 20_000

func newStrikes(most int, window time.Duration) *strikes {
	return &strikes{most: most, window: window, m: map[string]strike{}}
}

// locked is how long the key has to wait, 0 for not at all.
func (s *strikes) locked(key string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.m[key]; k.n >= s.most {
		return max(0, time.Until(k.until))
	}
	return 0
}

// add counts one fault.
func (s *strikes) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.m) >= maxStruck {
		for k, v := range s.m {
			if !v.until.After(now) {
				delete(s.m, k)
			}
		}
		for k := range s.m {
			if len(s.m) < maxStruck*9/10 {
				break
			}
			delete(s.m, k)
		}
	}
	k := s.m[key]
	if !k.until.After(now) {
		k = strike{until: now.Add(s.window)}
	}
	k.n++
	s.m[key] = k
}

// forgive takes one fault back.
func (s *strikes) forgive(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.m[key]; ok && k.n > 0 {
		k.n--
		s.m[key] = k
	}
}

// crowd remembers which users scanned codes that were drawn at an address: one
// computer that many people's phones let in is a shop's, or a thief's. Safe for
// concurrent use, bounded.
type crowd struct {
	mu sync.Mutex
	m  map[string]map[Hash]time.Time
}

const (
	crowdWindow = time.Hour
	maxCrowds   = 10_000
	maxInCrowd  = 32
)

func newCrowd() *crowd { return &crowd{m: map[string]map[Hash]time.Time{}} }

// others notes that user scanned a code of that address, and says how many
// other users did within the hour.
func (c *crowd) others(address, user string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, who := time.Now(), HashOf(user)
	for key := range c.m {
		if len(c.m) < maxCrowds {
			break
		}
		delete(c.m, key)
	}
	in := c.m[address]
	if in == nil {
		in = map[Hash]time.Time{}
		c.m[address] = in
	}
	for h, at := range in {
		switch {
		case now.Sub(at) > crowdWindow:
			delete(in, h)
		case h != who:
			n++
		}
	}
	if len(in) < maxInCrowd {
		in[who] = now
	}
	return n
}
