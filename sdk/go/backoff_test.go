package fanfare

import (
	"testing"
	"time"
)

// claims: 6.6
func TestBackoffHasFullJitter(t *testing.T) {
	for n, ceiling := range map[int]time.Duration{
		0: 500 * time.Millisecond, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 8 * time.Second,
		5: 16 * time.Second, 6: 30 * time.Second, 7: 30 * time.Second, 1 << 40: 30 * time.Second,
	} {
		low, high := 0, 0
		for range 2000 {
			d := backoff(n)
			if d < 0 || d > ceiling {
				t.Fatalf("backoff(%d) = %v, outside 0 to %v", n, d, ceiling)
			}
			if d < ceiling/4 {
				low++
			}
			if d > ceiling*3/4 {
				high++
			}
		}
		// A quarter each is 500; below 300 is 10 standard deviations away.
		if low < 300 || high < 300 {
			t.Errorf("backoff(%d): %d of 2000 in the lowest quarter, %d in the highest", n, low, high)
		}
	}
}
