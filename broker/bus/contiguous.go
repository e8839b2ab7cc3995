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
	shard *shard
	last  uint64 // the newest sequence that was delivered or is known to be gone; of run
	asked uint64 // the stream's end at the last probe; of run
	js    jetstream.JetStream
	fn    func(Packet)
	log   *slog.Logger
	in    chan *nats.Msg
	sub   *nats.Subscription
	ctx   context.Context
	end   context.CancelFunc
	done  sync.WaitGroup
	alien atomic.Uint64
	holes atomic.Uint64 // messages that were fetched because they had not come
}

// startContiguous begins to call fn with all that comes after now.
func startContiguous(nc *nats.Conn, js jetstream.JetStream, s *shard, fn func(Packet), log *slog.Logger) (*contiguous, error) {
	c := &contiguous{shard: s, js: js, fn: fn, log: log.With("stream", s.stream), in: make(chan *nats.Msg, feedBacklog)}
	c.ctx, c.end = context.WithCancel(context.Background())
	sub, err := nc.ChanSubscribe(s.delivery()+">", c.in)
	if err != nil {
		return nil, err
	}
	c.sub = sub
	ctx, cancel := context.WithTimeout(c.ctx, startLimit)
	defer cancel()
	err = nc.FlushWithContext(ctx)
	if err == nil {
		// What is stored from here on reaches the subscription, or leaves a hole
		// behind this sequence.
		var info *jetstream.StreamInfo
		if info, err = s.js.Info(ctx); err == nil {
			c.last = info.State.LastSeq
			s.last.Store(c.last)
		}
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	c.done.Go(c.run)
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
	if seq <= c.last {
		return // seen already
	}
	if seq > c.last+1 && !c.heal(seq-1) {
		return
	}
	p, err := c.packet(m.Subject, m.Header, m.Data, seq)
	if prev, perr := strconv.ParseUint(m.Header.Get(jetstream.LastSequenceHeader), 10, 64); perr == nil && prev > 0 {
		p.Previous = c.shard.position(prev)
	}
	if t, terr := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer)); terr == nil {
		p.Time = t
	}
	c.deliver(p, err, seq)
}

// deliver moves on to seq and hands p over. The order matters: who subscribes
// in between takes seq for its beginning and must still not miss it (hub).
func (c *contiguous) deliver(p Packet, err error, seq uint64) {
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
}

// probe asks the stream for its end, in case the last messages never came. It
// reports whether it found any.
//
// Messages that are only late must not be taken for lost: the stream keeps so
// many of a channel, and what it has let go of since can come by itself alone.
// So a message is fetched when the probe before knew of it already and nothing
// is waiting.
func (c *contiguous) probe() bool {
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
		case err == nil: // the stream has nothing at or after from: all of it is gone
			from = end + 1
		default:
			c.log.Warn("bus: the feed cannot fetch what is missing yet", "from", from, "to", end, "error", err)
			select {
			case <-time.After(healPause):
			case <-c.ctx.Done():
				return false
			}
		}
	}
	c.move(max(c.last, end))
	return true
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
	c.end()
	_ = c.sub.Unsubscribe() // it may have ended with its connection
	c.done.Wait()
}
