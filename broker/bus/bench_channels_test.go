package bus_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// BenchmarkShortLivedChannels is many channels of one message each that is
// kept for a short time, as logins make them: what a channel costs in memory
// and on the disk while it lives, and what is left when all have expired. One
// operation is one channel; run it with -benchtime=1000000x.
func BenchmarkShortLivedChannels(b *testing.B) {
	dir := b.TempDir()
	x, err := bus.Open(b.Context(), bus.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	stop, err := x.Feed(func(bus.Packet) {})
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	const ttl = 90 * time.Second
	heap0, disk0 := heap(), disk(b, dir)
	b.ResetTimer()
	ps := make([]bus.Packet, 0, 1000)
	flush := func() {
		if _, err := x.PublishAll(b.Context(), ps); err != nil {
			b.Fatal(err)
		}
		ps = ps[:0]
	}
	for i := range b.N {
		p := durable(protocol.Channel(fmt.Sprintf("qr:%026d", i)), `{"state":"approved"}`)
		p.Keep = bus.Keep{Messages: 2, Age: ttl}
		if ps = append(ps, p); len(ps) == cap(ps) {
			flush()
		}
	}
	if len(ps) > 0 {
		flush()
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64(heap()-heap0)/n, "heapB/channel")
	b.ReportMetric(float64(disk(b, dir)-disk0)/n, "diskB/channel")
	// The store's own clock decides, and ids are remembered for two minutes;
	// nothing tells when that is done.
	<-time.After(2*time.Minute + 10*time.Second)
	b.ReportMetric(float64(heap()-heap0)/n, "heapB-after")
	b.ReportMetric(float64(disk(b, dir)-disk0)/n, "diskB-after")
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func disk(b *testing.B, dir string) (total int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files come and go
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}
