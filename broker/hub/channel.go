package hub

// channel is one channel's subscribers on this node. Its shard's lock guards
// it; it lives while it has a subscriber.
//
// The fan-out reads a snapshot of subs without the lock. So a snapshot's
// elements never change: add appends behind all snapshots, and remove copies,
// but only when a snapshot may be in use and only once for each.
type channel struct {
	recent recent
	subs   []Subscriber
	index  map[Subscriber]int // where in subs
	shared bool               // a snapshot of subs was handed out since the last copy
}

func (c *channel) add(s Subscriber) bool {
	if _, ok := c.index[s]; ok {
		return false
	}
	c.index[s] = len(c.subs)
	c.subs = append(c.subs, s)
	return true
}

// remove swaps the last subscriber into s's place.
func (c *channel) remove(s Subscriber) bool {
	i, ok := c.index[s]
	if !ok {
		return false
	}
	if c.shared {
		c.subs = append(make([]Subscriber, 0, cap(c.subs)), c.subs...)
		c.shared = false
	}
	end := len(c.subs) - 1
	c.subs[i] = c.subs[end]
	c.index[c.subs[i]] = i
	c.subs[end] = nil
	c.subs = c.subs[:end]
	delete(c.index, s)
	return true
}

// snapshot is the subscribers of now, for reading without the lock.
func (c *channel) snapshot() []Subscriber {
	c.shared = true
	return c.subs
}
