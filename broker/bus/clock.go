package bus

import (
	"sync"
	"sync/atomic"
	"time"
)

// clock tells the time, and whether it was set back. The machine's clock may
// be: then later messages have earlier times, and grow too old before those
// that came first. It may be used concurrently; it lives as long as its bus.
type clock struct {
	tells atomic.Pointer[func(time.Time) time.Time] // what it says at a moment; nil but in tests, which set it back
	began time.Time                                 // of the process's own clock, which nobody sets

	mu   sync.Mutex
	own  time.Duration // at the last look
	wall time.Time     // at the last look
	back *setback
}

// setback is a time that the clock told twice: a time behind To, up to Before,
// may be of before or of after it was set back. It is never changed.
type setback struct {
	Before time.Time `json:"before"` // it was this, or less
	To     time.Time `json:"to"`     // it is this, or more
}

// clockSlack is what the clock may go back by without being noticed: less than
// the second by which messages are taken to be older than they are.
const clockSlack = 500 * time.Millisecond

func newClock() *clock {
	c := &clock{began: time.Now()}
	c.wall = c.began.Round(0)
	return c
}

// said is what the machine's clock said at t.
func (c *clock) said(t time.Time) time.Time {
	if f := c.tells.Load(); f != nil {
		return (*f)(t)
	}
	return t
}

// look is the time. news says that it was set back since the last look.
func (c *clock) look() (now time.Time, back *setback, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	own, wall := t.Sub(c.began), c.said(t.Round(0))
	passed := own - c.own
	if should := c.wall.Add(passed); should.Sub(wall) > clockSlack {
		c.addLocked(setback{Before: should, To: wall.Add(-passed)})
		news = true
	}
	c.own, c.wall = own, wall
	return wall, c.back, news
}

// add takes note of a setback that was found otherwise.
func (c *clock) add(s setback) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLocked(s)
}

func (c *clock) addLocked(s setback) {
	if was := c.back; was != nil && was.Before.After(s.To) { // the same time may be told a third time
		if was.Before.After(s.Before) {
			s.Before = was.Before
		}
		if was.To.Before(s.To) {
			s.To = was.To
		}
	}
	c.back = &s
}

// look is the time, and the last time that the clock was set back, nil if it
// never was. All messages that are stored by now came before that.
func (b *Bus) look() (now time.Time, back *setback) {
	now, back, news := b.clock.look()
	if news {
		b.log.Warn("bus: the clock was set back: who comes back after a while may be told of a gap where there is none",
			"before", back.Before, "to", back.To)
		for s := range b.eachShard() {
			if s != nil {
				s.turned.Store(s.last.Load())
			}
		}
	}
	return now, back
}

// surely is t as a time of the clock as it goes now, or an earlier one where
// that is not known. seq is the message that was stored at t, 0 if none was.
func (s *shard) surely(seq uint64, t time.Time, back *setback) time.Time {
	switch {
	case back == nil, !t.After(back.To), seq > s.turned.Load(), seq == 0 && t.After(back.Before):
		return t
	}
	return back.To
}

// early takes note of a message that was stored before the clock was set back,
// and came to the feed only now.
func (s *shard) early(seq uint64, at, now time.Time) {
	if at.After(now.Add(time.Second)) && seq > s.turned.Load() {
		s.turned.Store(seq)
	}
}

// overtaken finds out, at the start, whether the clock was set back before.
func (b *Bus) overtaken(s *shard, last uint64, at time.Time) {
	if was := b.lives.before.Streams[s.stream]; was != nil && b.lives.before.Back != nil {
		b.clock.add(*b.lives.before.Back)
		s.turned.Store(was.Turned)
	}
	if now, _ := b.look(); b.clock.said(at).After(now.Add(time.Second)) {
		b.clock.add(setback{Before: b.clock.said(at), To: now})
		s.turned.Store(last)
	}
}
