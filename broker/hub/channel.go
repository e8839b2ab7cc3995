package hub

import (
	"time"

	"github.com/fanfarehq/fanfare/broker/stats"
)

// channel is one channel's subscribers on this node. Its shard's lock guards
// it; it lives while it has a subscriber.
//
// The fan-out reads a snapshot of subs without the lock. So a snapshot's
// elements never change: add appends behind all snapshots, and remove copies,
// but only when a snapshot may be in use and only once for each.
type channel struct {
	recent recent
	subs   []Subscriber
	index  map[Subscriber]int // where in subs; nil while they are few
	shared bool               // a snapshot of subs was handed out since the last copy
	meter  *stats.Meter       // of its app

	pending []*Frame      // came while a round was under way or due
	size    int           // bytes of pending
	busy    bool          // a round is under way or due
	began   time.Duration // the last round of the crew's, since the hub's start
	took    time.Duration // how long that was
}

// few is how many subscribers are looked through without an index: most
// channels have one or two, and are many.
const few = 8

// find is where s is in subs, or -1.
func (c *channel) find(s Subscriber) int {
	if c.index != nil {
		if i, ok := c.index[s]; ok {
			return i
		}
		return -1
	}
	for i, one := range c.subs {
		if one == s {
			return i
		}
	}
	return -1
}

func (c *channel) add(s Subscriber) bool {
	if c.find(s) >= 0 {
		return false
	}
	c.subs = append(c.subs, s)
	switch {
	case c.index != nil:
		c.index[s] = len(c.subs) - 1
	case len(c.subs) > few:
		c.index = make(map[Subscriber]int, 2*few)
		for i, one := range c.subs {
			c.index[one] = i
		}
	}
	return true
}

// remove swaps the last subscriber into s's place.
func (c *channel) remove(s Subscriber) bool {
	i := c.find(s)
	if i < 0 {
		return false
	}
	if c.shared {
		c.subs = append(make([]Subscriber, 0, cap(c.subs)), c.subs...)
		c.shared = false
	}
	end := len(c.subs) - 1
	c.subs[i] = c.subs[end]
	c.subs[end] = nil
	c.subs = c.subs[:end]
	if c.index != nil {
		if i < end {
			c.index[c.subs[i]] = i
		}
		delete(c.index, s)
	}
	return true
}

// snapshot is the subscribers of now, for reading without the lock.
func (c *channel) snapshot() []Subscriber {
	c.shared = true
	return c.subs
}

// take empties pending.
func (c *channel) take() []*Frame {
	frames := c.pending
	c.pending, c.size = nil, 0
	return frames
}
