package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHistogram holds the quantiles against those of a sorted list.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "list")
		var h histogram
		for _, d := range list {
			h.record(time.Duration(d))
		}
		slices.Sort(list)
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
			want := float64(list[int(math.Ceil(q*float64(len(list))))-1])
			got := float64(h.quantile(q))
			if got < want || got > want*1.01+1000 {
				t.Fatalf("quantile %v is %v, want %v", q, time.Duration(got), time.Duration(want))
			}
		}
		if l := h.latency(); l.Count != uint64(len(list)) || l.Max != micros(time.Duration(list[len(list)-1])) {
			t.Fatalf("%+v of %v", l, list)
		}
	})
}

func TestHistogramEdges(t *testing.T) {
	var h histogram
	if h.latency() != nil || h.quantile(0.5) != 0 {
		t.Error("an empty one has figures")
	}
	h.record(-time.Second)
	h.record(48 * time.Hour)
	if h.quantile(0.5) > time.Microsecond || h.quantile(1) != time.Hour {
		t.Errorf("%v and %v", h.quantile(0.5), h.quantile(1))
	}
	h.reset()
	if h.latency() != nil {
		t.Error("it is not empty after a reset")
	}
	for i := range bucket(1 << 32) {
		if bucket(upper(i)) != i || bucket(upper(i)+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d", i, upper(i), bucket(upper(i)))
		}
	}
}
