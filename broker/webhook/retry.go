package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// pauses are the times between the tries of an event: with 8 tries it outlives
// a receiver that is away for a day.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour}
}

const (
	jitter       = 0.1 // of a pause, either way: what failed together does not come back together
	maxRetryWait = 24 * time.Hour
)

// pause is how long to wait after a number of tries (from 1) have failed; not
// ok where that was the last. asked is the receiver's Retry-After.
func pause(tries int, asked time.Duration) (d time.Duration, ok bool) {
	p := pauses()
	if tries > len(p) {
		return 0, false
	}
	d = p[max(tries, 1)-1]
	d = time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
	return max(d, min(asked, maxRetryWait)), true
}

// retryAfter reads the header of that name (RFC 9110, 10.2.3); 0 where there is
// none that can be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(s, 0), int(maxRetryWait/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(t.Sub(now), 0), maxRetryWait)
	}
	return 0
}
