package fanfare

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after the n-th failure in a row, from 0: a
// random time between 0 and min(30 s, 0.5 s · 2^n) (PROTOCOL.md, clause 6.6).
// The whole range is random, so that clients which lost one server together
// do not come back together.
func backoff(n int) time.Duration {
	const first, most = 500 * time.Millisecond, 30 * time.Second
	ceiling := most
	if n < 6 { // 0.5 s · 2^6 is past the most
		ceiling = first << max(n, 0)
	}
	return rand.N(ceiling + 1)
}
