package tenant

import (
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// gcra is a rate limiter, the generic cell rate algorithm (ITU-T I.371): one
// atomic number, the time at which all that was let through is paid for. It is
// safe for concurrent use; the zero value is full.
type gcra struct {
	paid atomic.Int64 // nanoseconds since the process's epoch
}

// allow takes n cells at once, or none and says how long to wait for them. At
// most burst pass at once and rate per second in the long run; both are at
// least 1. The rate may differ from call to call.
func (g *gcra) allow(at time.Duration, n, rate, burst int) (wait time.Duration, ok bool) {
	each := int64(time.Second) / int64(rate)
	for {
		old := g.paid.Load()
		paid := max(old, int64(at)) + each*int64(n)
		if over := paid - int64(at) - each*int64(burst); over > 0 {
			return time.Duration(over), false
		}
		if g.paid.CompareAndSwap(old, paid) {
			return 0, true
		}
	}
}

// Meter counts the subscribes of one connection. It is safe for concurrent
// use, and lives as long as the connection.
type Meter struct {
	limits Limits
	epoch  time.Time
	g      gcra
}

// NewMeter makes a Meter for a connection of an app with limits l.
func NewMeter(l Limits) *Meter {
	return &Meter{limits: l.filled(), epoch: time.Now()}
}

// AllowSubscribe returns subscribe_rate when the connection subscribes faster
// than subscribe_per_second. As many as it may have channels pass at once, so
// that a client which comes back is not slowed down.
func (m *Meter) AllowSubscribe() error {
	rate := m.limits.SubscribePerSecond
	if wait, ok := m.g.allow(time.Since(m.epoch), 1, rate, max(rate, m.limits.ChannelsPerConnection)); !ok {
		return protocol.Errorf(protocol.CodeSubscribeRate, "The connection subscribes faster than the app's subscribe_per_second limit of %d.", rate).After(wait)
	}
	return nil
}
