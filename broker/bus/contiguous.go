package bus

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// What a contiguous feed waits for.
const (
	probeFirst  = 500 * time.Millisecond // without a message, until it asks the stream for its end
	probeMost   = 5 * time.Second        // between such questions when nothing changes
	healPause   = 25 * time.Millisecond  // until it asks again for what the stream could not give
	healChunk   = 256                    // messages of one question
	healBytes   = 1 << 20                // bytes of one answer
	feedBacklog = 1 << 16                // messages that may wait; more are fetched from the stream
)

// contiguous is the feed of one stream of messages. What the stream republishes
// may be lost on the way, even what it has acknowledged, and may come twice.
// The stream's own sequence has no holes, so each message that comes says
// whether something is missing: that is fetched from the stream first.
//
// run is its one goroutine; the rest may be called concurrently. It lives from
// start to stop.
type contiguous struct {
	bus   *Bus
	shard *shard
	last  uint64 // the newest sequence that was delivered or is known to be gone; of run
	asked uint64 // the stream's end at the last probe; of run
	js    jetstream.JetStream
	fn    func(Packet)
	log   *slog.Logger
	in    chan *nats.Msg
	anew  chan renewal
	times [rememberTimes]stamp // of the newest messages, by sequence; of run
	short int                  // probes that found the stream shorter than it was
	sub   *nats.Subscription
	ctx   context.Context
	end   context.CancelFunc
	done  sync.WaitGroup
	leave func() // of the cluster's life; may be nil
	alien atomic.Uint64
	holes atomic.Uint64 // messages that were fetched because they had not come
}

// startContiguous begins to call fn with all that comes after now.
func startContiguous(b *Bus, s *shard, fn func(Packet)) (*contiguous, error) {
	c := &contiguous{bus: b, shard: s, js: b.hist, fn: fn, log: b.log.With("stream", s.stream), in: make(chan *nats.Msg, feedBacklog), anew: make(chan renewal)}
	c.ctx, c.end = context.WithCancel(context.Background())
	sub, err := b.feeds.ChanSubscribe(s.delivery()+">", c.in)
	if err != nil {
		return nil, err
	}
	c.sub = sub
	ctx, cancel := context.WithTimeout(c.ctx, startLimit)
	defer cancel()
	err = b.feeds.FlushWithContext(ctx)
	if err == nil {
		// What is stored from here on reaches the subscription, or leaves a hole
		// behind this sequence.
		var info *jetstream.StreamInfo
		if info, err = b.info(ctx, s); err == nil {
			c.move(info.State.LastSeq)
		}
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	c.done.Go(c.run)
	if b.life != nil {
		c.leave = b.life.follow(c)
	}
	return c, nil
}

func (c *contiguous) run() {
	wait := probeFirst
	idle := time.NewTimer(wait)
	defer idle.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case m := <-c.in:
			c.take(m)
			wait = probeFirst
		case r := <-c.anew:
			c.renew(r)
			wait = probeFirst
		case <-idle.C:
			if c.probe() {
				wait = probeFirst
			} else {
				wait = min(2*wait, probeMost)
			}
		}
		idle.Reset(wait)
	}
}

// take handles a message that came by itself.
func (c *contiguous) take(m *nats.Msg) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		c.strange(err)
		return
	}
	t, terr := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if seq <= c.last {
		if terr == nil && c.another(seq, t) {
			c.rewritten("a stream gave a sequence to a second message")
		}
		return // seen already
	}
	if seq > c.last+1 && !c.heal(seq-1) {
		return
	}
	p, err := c.packet(m.Subject, m.Header, m.Data, seq)
	if prev, perr := strconv.ParseUint(m.Header.Get(jetstream.LastSequenceHeader), 10, 64); perr == nil && prev > 0 {
		p.Previous = c.shard.position(prev)
	}
	if terr == nil {
		p.Time = t
	}
	c.deliver(p, err, seq)
}

// deliver moves on to seq and hands p over. The order matters: who subscribes
// in between takes seq for its beginning and must still not miss it (hub).
func (c *contiguous) deliver(p Packet, err error, seq uint64) {
	c.times[seq%rememberTimes] = stamp{seq, p.Time}
	now, _ := c.bus.look()
	c.shard.early(seq, c.bus.clock.said(p.Time), now)
	c.move(seq)
	if err != nil {
		c.strange(err)
		return
	}
	c.fn(p)
}

func (c *contiguous) move(seq uint64) {
	c.last = seq
	c.shard.last.Store(seq)
	c.shard.moved.Store(time.Now().UnixNano())
}

// stamp is when a message was stored.
type stamp struct {
	seq uint64
	at  time.Time
}

// rememberTimes is of how many messages a feed knows that: as many as may come
// again.
const rememberTimes = 512

// another reports whether the message of seq is not the one that came before.
func (c *contiguous) another(seq uint64, at time.Time) bool {
	was := c.times[seq%rememberTimes]
	return was.seq == seq && !was.at.IsZero() && !was.at.Equal(at)
}

// rewritten begins a new life of the cluster: it lost messages that this node
// has handed on.
func (c *contiguous) rewritten(why string) {
	if c.bus.life == nil {
		return // a single server knows that at its start
	}
	ctx, cancel := context.WithTimeout(c.ctx, startLimit)
	defer cancel()
	if err := c.bus.life.renew(ctx, c.shard.stream+": "+why); err != nil {
		c.log.Warn("bus: a new life cannot begin yet", "error", err)
	}
}

// renewal is a new epoch for a feed.
type renewal struct {
	epoch string
	done  chan struct{}
}

// again gives the feed a new epoch. It returns when the feed goes on in it, or
// has ended.
func (c *contiguous) again(epoch string) {
	r := renewal{epoch, make(chan struct{})}
	select {
	case c.anew <- r:
		select {
		case <-r.done:
		case <-c.ctx.Done():
		}
	case <-c.ctx.Done():
	}
}

// renew begins again at the stream's end.
func (c *contiguous) renew(r renewal) {
	defer close(r.done)
	for {
		ctx, cancel := context.WithTimeout(c.ctx, startLimit)
		info, err := c.shard.js.Info(ctx)
		cancel()
		if err == nil {
			c.times, c.short, c.asked = [rememberTimes]stamp{}, 0, info.State.LastSeq
			c.move(info.State.LastSeq)
			c.shard.setEpoch(r.epoch)
			return
		}
		select {
		case <-time.After(healPause):
		case <-c.ctx.Done():
			return
		}
	}
}

// probe asks the stream for its end, in case the last messages never came. It
// reports whether it found any.
//
// Messages that are only late must not be taken for lost: the stream keeps so
// many of a channel, and what it has let go of since can come by itself alone.
// So a message is fetched when the probe before knew of it already and nothing
// is waiting.
func (c *contiguous) probe() bool {
	c.bus.look()
	if len(c.in) > 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(c.ctx, startLimit)
	defer cancel()
	info, err := c.shard.js.Info(ctx)
	if err != nil || len(c.in) > 0 {
		return err == nil
	}
	lost := c.asked
	c.asked = info.State.LastSeq
	if c.asked >= c.last {
		c.short = 0
	} else if c.short++; c.short > 2 {
		c.rewritten("a stream lost its last messages")
		return false
	}
	if lost > c.last {
		return c.heal(lost)
	}
	return c.asked > c.last
}

// heal fetches all after the last sequence up to end from the stream and
// delivers it. What the stream has no more, because it expired or was pushed
// out, is skipped. It returns false when the feed is stopped.
func (c *contiguous) heal(end uint64) bool {
	from := c.last + 1
	c.log.Debug("bus: the feed has a hole and fetches it", "from", from, "to", end)
	previous := map[string]uint64{} // within the hole
	for from <= end {
		got, err := c.fetch(&from, end, previous)
		switch {
		case c.ctx.Err() != nil:
			return false
		case err == nil && got:
			continue
		case err == nil:
			// The copy that answered has nothing at or after from: it is gone, or
			// that copy is behind.
			var next uint64
			if next, err = c.next(from, end); err == nil && next > from {
				from = next
				continue
			}
			if err == nil {
				c.pause()
				continue
			}
			fallthrough
		default:
			c.log.Warn("bus: the feed cannot fetch what is missing yet", "from", from, "to", end, "error", err)
			c.pause()
		}
	}
	c.move(max(c.last, end))
	return true
}

// next is the first sequence from from to end that the stream has, end + 1
// where it has none.
func (c *contiguous) next(from, end uint64) (uint64, error) {
	if c.bus.cluster == nil {
		return end + 1, nil // there is one copy
	}
	next, err := c.bus.behind(c.ctx, c.shard, from, "")
	if err != nil {
		return 0, err
	}
	if next == 0 || next > end {
		return end + 1, nil
	}
	return next, nil
}

func (c *contiguous) pause() {
	select {
	case <-time.After(healPause):
	case <-c.ctx.Done():
	}
}

// fetch delivers the next chunk from *from to end and moves *from on. It
// reports whether the stream had anything at or after *from.
func (c *contiguous) fetch(from *uint64, end uint64, previous map[string]uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(c.ctx, startLimit)
	defer cancel()
	batch, err := jetstreamext.GetBatch(ctx, c.js, c.shard.stream, healChunk,
		jetstreamext.GetBatchSeq(*from), jetstreamext.GetBatchMaxBytes(healBytes))
	if err != nil {
		return false, err
	}
	got := false
	for m, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = true
		*from = m.Sequence + 1
		if m.Sequence > end {
			return true, nil
		}
		p, err := c.packet(m.Subject, m.Header, m.Data, m.Sequence)
		if seq := previous[m.Subject]; seq > 0 {
			p.Previous = c.shard.position(seq)
		}
		previous[m.Subject] = m.Sequence
		p.Time = m.Time
		c.holes.Add(1)
		c.deliver(p, err, m.Sequence)
	}
	return got, nil
}

// packet reads a message of the stream, whichever way it came.
func (c *contiguous) packet(subject string, h nats.Header, body []byte, seq uint64) (Packet, error) {
	prefix := c.shard.delivery()
	if subject[0] == 'i' {
		prefix = c.shard.ingest()
	}
	p, err := packetOf(prefix, subject, body)
	p.From = h.Get(headerFrom)
	p.Position = c.shard.position(seq)
	return p, err
}

func (c *contiguous) strange(err error) {
	// Only a fault in this server or a stranger on the bus makes these.
	if c.alien.Add(1) == 1 {
		c.log.Error("bus: a message could not be read and was left out; further ones are not logged", "error", err)
	}
}

func (c *contiguous) dropped() uint64 { return c.alien.Load() } // nothing else is ever lost

func (c *contiguous) stop() {
	if c.leave != nil {
		c.leave()
	}
	c.end()
	_ = c.sub.Unsubscribe() // it may have ended with its connection
	c.done.Wait()
}
