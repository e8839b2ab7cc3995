package bench

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets that grow with them: 128 for each
// doubling, so that a value read back is wrong by less than 1 %. It covers
// 1 µs to an hour; what is outside counts at the edge. The zero value is
// empty and ready.
type histogram struct {
	counts []uint32
	n      uint64
	sum    time.Duration
	max    time.Duration
}

const (
	subBits = 7
	sub     = 1 << subBits
)

// bucket is the place of µ microseconds: exact below 2×sub, then sub places
// for each doubling.
func bucket(µ uint64) int {
	shift := max(0, bits.Len64(µ)-subBits-1)
	return shift*sub + int(µ>>shift)
}

// upper is the greatest number of microseconds in a bucket.
func upper(i int) uint64 {
	if i < 2*sub {
		return uint64(i)
	}
	shift := i/sub - 1
	return uint64(i-shift*sub+1)<<shift - 1
}

func (h *histogram) record(d time.Duration) {
	d = min(max(d, 0), time.Hour)
	if h.counts == nil {
		h.counts = make([]uint32, bucket(uint64(time.Hour.Microseconds()))+1)
	}
	h.counts[bucket(uint64(d.Microseconds()))]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// merge adds what other counted.
func (h *histogram) merge(other *histogram) {
	if other.n == 0 {
		return
	}
	if h.counts == nil {
		h.counts = make([]uint32, len(other.counts))
	}
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.n += other.n
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

func (h *histogram) reset() {
	clear(h.counts)
	h.n, h.sum, h.max = 0, 0, 0
}

// quantile returns the time within which the share q, 0 to 1, of all lies.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	var seen uint64
	for i, c := range h.counts {
		if seen += uint64(c); c > 0 && seen >= rank {
			return min(time.Duration(upper(i))*time.Microsecond+time.Microsecond-1, h.max)
		}
	}
	return 0
}

// Latency is a histogram in a report. Times are microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

func (h *histogram) latency() *Latency {
	if h.n == 0 {
		return nil
	}
	at := func(q float64) float64 { return micros(h.quantile(q)) }
	return &Latency{
		Count: h.n, Mean: round(micros(h.sum) / float64(h.n)),
		P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: micros(h.max),
	}
}

func micros(d time.Duration) float64 { return round(float64(d) / 1e3) }

// round and hundredths keep a figure to what is no noise.
func round(f float64) float64      { return math.Round(f*10) / 10 }
func hundredths(f float64) float64 { return math.Round(f*100) / 100 }
