package hub

import (
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
)

const (
	// atOnce is how many subscribers are served by the goroutine that brings
	// the message. More would hold up the other channels of its feed.
	atOnce = 16

	// A channel whose rounds take long gathers what comes, so that one write
	// carries several messages: the next round begins when rest times as long
	// as the last one took have gone by since it began, or restMost. A message
	// that comes alone never waits.
	rest     = 4
	restMost = 5 * time.Millisecond

	// pendingBytes is what may gather in a channel. Who brings more, helps.
	pendingBytes = 1 << 20

	// overrunBytes is when helping did not help: the channel is more than this
	// node can deliver. Its subscribers are told so and come back, to where they
	// were, rather than that the other channels of the feed wait for it.
	overrunBytes = 16 << 20
)

// TypeOverrun is the type of the frame, without a line, that ends a
// subscriber's connection. It is not for the client.
const TypeOverrun = "overrun"

// fanOut hands one packet of the feed to the local subscribers of its channel.
// Messages of one channel come from one goroutine at a time.
func (h *Hub) fanOut(p bus.Packet) {
	k := key{p.App, p.Channel}
	sh := h.shard(k)
	sh.mu.Lock()
	c := sh.channels[k]
	if c == nil {
		sh.mu.Unlock()
		return
	}
	f := newFrame(&p)
	c.recent.add(f)
	if c.busy {
		c.pending = append(c.pending, f)
		c.size += len(f.Line)
		full := c.size > pendingBytes
		if c.size > overrunBytes {
			c.take()
			c.pending = append(c.pending, &Frame{Type: TypeOverrun, Channel: k.ch, Epoch: f.Epoch, Seq: f.Seq})
			h.log.Warn("a channel is too busy for this node: its subscribers are sent away to come back", "app", k.app, "channel", k.ch, "subscribers", len(c.subs))
		}
		sh.mu.Unlock()
		if full {
			h.crew.help()
		}
		return
	}
	c.busy = true
	subs := c.snapshot()
	if len(subs) > atOnce {
		c.pending = append(c.pending, f)
		c.size += len(f.Line)
		sh.mu.Unlock()
		h.begin(k, c)
		return
	}
	sh.mu.Unlock()
	for {
		for _, s := range subs {
			s.Deliver(f)
		}
		h.stats.Delivered(len(subs))
		c.meter.Deliver(int64(len(subs)))

		// Nothing came meanwhile, unless the channel moved to another stream,
		// whose feed is another goroutine.
		sh.mu.Lock()
		if len(c.pending) == 0 {
			c.busy = false
			sh.mu.Unlock()
			return
		}
		subs, f = c.snapshot(), c.pending[0]
		c.pending = c.pending[1:]
		c.size -= len(f.Line)
		sh.mu.Unlock()
	}
}

// begin lets the crew make a round of c with what is pending, now or after its
// rest. c must be busy.
func (h *Hub) begin(k key, c *channel) {
	now := h.crew.now()
	sh := h.shard(k)
	sh.mu.Lock()
	wait := c.began + min(rest*c.took, restMost) - now
	if wait > 0 {
		sh.mu.Unlock()
		h.crew.later(wait, func() { h.begin(k, c) })
		return
	}
	r := &round{k: k, c: c, subs: c.snapshot()}
	frames := c.take()
	c.began = now
	sh.mu.Unlock()
	r.frames, r.messages = joinRuns(frames), len(frames)
	h.crew.add(r)
}

// finished takes note of a round's end and begins the next one if there is
// anything for it.
func (h *Hub) finished(r *round) {
	h.stats.Delivered(len(r.subs) * r.messages)
	r.c.meter.Deliver(int64(len(r.subs) * r.messages))
	sh := h.shard(r.k)
	sh.mu.Lock()
	r.c.took = h.crew.now() - r.c.began
	more := len(r.c.pending) > 0
	r.c.busy = more
	sh.mu.Unlock()
	if more {
		h.begin(r.k, r.c)
	}
}
