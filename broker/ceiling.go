package broker

import (
	"context"
	"log/slog"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// ceilingPause is how often the memory is looked at: a storm of connections
// takes some 20 MB in that time.
const ceilingPause = 250 * time.Millisecond

// ceiling knows whether the process uses as much memory as it may. full may be
// called concurrently; run once.
type ceiling struct {
	most uint64 // bytes; 0: any
	log  *slog.Logger
	is   atomic.Bool
}

func (c *ceiling) full() bool { return c.is.Load() }

// run looks until ctx ends.
func (c *ceiling) run(ctx context.Context) {
	if c.most == 0 {
		return
	}
	tick := time.NewTicker(ceilingPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.look(memoryInUse())
		}
	}
}

// look takes note of what is in use. It is full from the ceiling on until a
// tenth below.
func (c *ceiling) look(used uint64) {
	was := c.is.Load()
	is := used >= c.most || was && used >= c.most-c.most/10
	if is != was {
		c.is.Store(is)
		c.log.Warn("memory ceiling", "reached", is, "bytes", used, "ceiling", c.most)
	}
}

// memoryInUse is what Go's runtime has of the system and has not given back.
func memoryInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
