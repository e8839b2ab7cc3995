package pusher

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	clockSkew = 600 * time.Second // how far a request's time may be from ours
	maxSpent  = 1 << 20           // signatures that are remembered; about 40 MiB

	// sameSecond is for how long the same signature may come again: two equal
	// requests of one second are signed alike, and both are meant.
	sameSecond = 2 * time.Second
)

// spent is the signatures of requests that were taken, so that one which was
// recorded cannot be sent again. They are remembered for as long as their time
// is believed; where there are too many, the oldest times are believed no
// longer. It is safe for concurrent use and needs no end. Each node has its
// own.
type spent struct {
	most int
	seed maphash.Seed

	mu    sync.Mutex
	at    map[int64]map[uint64]time.Time // by the second that was signed: when it came first
	n     int
	floor int64 // seconds before it are not believed
}

func newSpent(most int) *spent {
	return &spent{most: most, seed: maphash.MakeSeed(), at: map[int64]map[uint64]time.Time{}}
}

// take notes a signature made at the second signed, and says whether it is new.
func (s *spent) take(signature string, signed int64, now time.Time) bool {
	sum := maphash.String(s.seed, signature)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if signed < s.floor {
		return false
	}
	if first, known := s.at[signed][sum]; known {
		return now.Sub(first) < sameSecond
	}
	if s.at[signed] == nil {
		s.at[signed] = map[uint64]time.Time{}
	}
	s.at[signed][sum] = now
	s.n++
	return true
}

// forget drops what is believed no longer by its time, and more where there is
// too much.
func (s *spent) forget(now time.Time) {
	oldest := now.Add(-clockSkew).Unix()
	if oldest > s.floor {
		for second, all := range s.at {
			if second < oldest {
				s.n -= len(all)
				delete(s.at, second)
			}
		}
		s.floor = oldest
	}
	for s.n >= s.most {
		first := int64(1<<63 - 1)
		for second := range s.at {
			first = min(first, second)
		}
		s.n -= len(s.at[first])
		delete(s.at, first)
		s.floor = first + 1
	}
}
