package hub

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// tally counts what all its subscribers get.
type tally struct{ n *atomic.Int64 }

func (c *tally) Deliver(f *Frame) { c.n.Add(int64(max(1, len(f.Parts)))) }

// One message in a room of 100,000.
func BenchmarkBigRoom(b *testing.B) {
	const room = 100_000
	h, l := start(b)
	var n atomic.Int64
	for range room {
		h.Subscribe(anyone{app: "a"}, "room", &tally{&n})
	}
	b.ResetTimer()
	for i := range b.N {
		l.in <- bus.Packet{App: "a", Channel: "room", Body: []byte(`{"data":1}`)}
		for n.Load() < int64(i+1)*room {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/room, "ns/delivery")
}

// What a channel with one subscriber takes of memory, with 200,000 of them.
func BenchmarkManyChannels(b *testing.B) {
	const channels = 200_000
	for range b.N {
		b.StopTimer()
		h, _ := start(b)
		one := &tally{&atomic.Int64{}}
		names := make([]protocol.Channel, channels)
		for i := range names {
			names[i] = protocol.Channel(fmt.Sprintf("orders:%d", i))
		}
		before := heapBytes()
		b.StartTimer()
		for _, ch := range names {
			h.Subscribe(anyone{app: "a"}, ch, one)
		}
		b.StopTimer()
		b.ReportMetric(float64(heapBytes()-before)/channels, "B/channel")
		for _, ch := range names {
			h.Unsubscribe("a", ch, one)
		}
	}
}

// Subscribing to a room of 100,000 and leaving it while messages come.
func BenchmarkChurnInBigRoom(b *testing.B) {
	h, l := start(b)
	var n atomic.Int64
	for range 100_000 {
		h.Subscribe(anyone{app: "a"}, "room", &tally{&n})
	}
	b.ResetTimer()
	for i := range b.N {
		if i%1000 == 0 {
			l.in <- bus.Packet{App: "a", Channel: "room", Body: []byte(`{"data":1}`)}
		}
		one := &tally{&n}
		h.Subscribe(anyone{app: "a"}, "room", one)
		h.Unsubscribe("a", "room", one)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
