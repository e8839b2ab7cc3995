package hub

import (
	"context"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	replayChunk = 100 // messages of one read
	readsAtOnce = 8   // so that ten thousand who come back at once leave live traffic its share
)

// Replay is a part of what a subscriber missed.
type Replay struct {
	Frames []*Frame
	More   bool   // there is more behind the last of Frames
	Gap    string // "" or why it cannot be said that nothing is missing

	upto protocol.Position // where the feed was when it was read
}

// Since finds what came behind the position since, at least up to until, the
// position of a Subscribe before it; what is delivered from then on and newer
// than the last of Frames follows without a hole. at is when the subscriber
// certainly had everything, or the zero time.
func (h *Hub) Since(ctx context.Context, by Reader, ch protocol.Channel, since, until protocol.Position, at time.Time) (Replay, error) {
	epoch, seq, err := since.Parse()
	if err != nil {
		return Replay{}, err
	}
	k := key{by.AppID(), ch}
	if !before(until, since) { // else it is of a future that was lost, which the bus knows better
		if frames, ok := h.recent(k, epoch, seq); ok {
			return Replay{Frames: frames}, nil
		}
	}
	q := bus.Query{App: k.app, Channel: ch, Keep: keepOf(by, ch), After: since, At: at, Limit: replayChunk}
	var all []*Frame
	for {
		r, err := h.read(ctx, q)
		if err != nil || r.Gap != "" {
			return r, err
		}
		all = append(all, r.Frames...)
		if r.More || !before(r.upto, until) {
			r.Frames = all
			return r, nil
		}
		// A read that somebody else had begun too early for this one.
		if n := len(r.Frames); n > 0 {
			q.After = r.Frames[n-1].Position
		}
	}
}

func (h *Hub) recent(k key, epoch string, seq uint64) ([]*Frame, bool) {
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.channels[k]
	if c == nil {
		return nil, false
	}
	return c.recent.since(epoch, seq)
}

// before reports whether a is known to be before b.
func before(a, b protocol.Position) bool {
	ae, as, err := a.Parse()
	if err != nil {
		return false
	}
	be, bs, err := b.Parse()
	return err == nil && ae == be && as < bs
}

// Newest finds the newest messages up to a position: count of them, or those
// stored at or after a time.
func (h *Hub) Newest(ctx context.Context, by Reader, ch protocol.Channel, until protocol.Position, count int, since time.Time) (Replay, error) {
	q := bus.Query{App: by.AppID(), Channel: ch, Keep: keepOf(by, ch), Until: until, Since: since, Limit: replayChunk}
	if count > 0 {
		q.Limit, q.Newest = count, true
	}
	r, err := h.read(ctx, q)
	if q.Newest {
		r.More = false // the older ones were not asked for
	}
	return r, err
}

func (h *Hub) read(ctx context.Context, q bus.Query) (Replay, error) {
	return h.reads.do(ctx, q, func(ctx context.Context) (Replay, error) {
		upto := h.bus.Last(q.App, q.Channel, q.Keep)
		page, err := h.bus.Read(ctx, q)
		if err != nil {
			return Replay{}, err
		}
		r := Replay{More: page.More, Gap: string(page.Gap), upto: upto, Frames: make([]*Frame, len(page.Packets))}
		for i := range page.Packets {
			r.Frames[i] = newFrame(&page.Packets[i])
		}
		return r, nil
	})
}

// flights lets those who want the same part of the past at the same moment
// share one read, and only so many reads run at once. It may be used
// concurrently.
type flights struct {
	slots chan struct{}
	mu    *sync.Mutex
	under map[bus.Query]*flight
}

type flight struct {
	done   chan struct{}
	replay Replay
	err    error
}

func newFlights() flights {
	return flights{slots: make(chan struct{}, readsAtOnce), mu: &sync.Mutex{}, under: map[bus.Query]*flight{}}
}

func (f flights) do(ctx context.Context, q bus.Query, read func(context.Context) (Replay, error)) (Replay, error) {
	// Clients that were cut off at one moment differ by milliseconds in when
	// they last heard of the server: the earliest of a second speaks for all.
	q.At = q.At.Truncate(time.Second)
	f.mu.Lock()
	one := f.under[q]
	if one != nil {
		f.mu.Unlock()
		select {
		case <-one.done:
			return one.replay, one.err
		case <-ctx.Done():
			return Replay{}, ctx.Err()
		}
	}
	one = &flight{done: make(chan struct{})}
	f.under[q] = one
	f.mu.Unlock()

	f.slots <- struct{}{}
	// Whoever shares it must not fail because the first one went away.
	shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	one.replay, one.err = read(shared)
	cancel()
	<-f.slots
	f.mu.Lock()
	delete(f.under, q)
	f.mu.Unlock()
	close(one.done)
	return one.replay, one.err
}

// HistoryQuery is a part of a channel's past (PROTOCOL.md, clause 9.12).
type HistoryQuery struct {
	Channel protocol.Channel
	After   protocol.Position
	Before  protocol.Position
	Until   protocol.Position
	Since   time.Time
	Limit   int // 1 to 1000
	Newest  bool
}

// HistoryPage is what History found.
type HistoryPage struct {
	Frames []*Frame
	Whole  bool              // nothing behind After is missing
	Reason string            // why not
	Next   protocol.Position // of the next page, "" at the end
}

// History reads the past of a channel for somebody who is granted it.
func (h *Hub) History(ctx context.Context, by Reader, q HistoryQuery) (HistoryPage, error) {
	if err := by.May(protocol.History, q.Channel); err != nil {
		return HistoryPage{}, err
	}
	page, err := h.read(ctx, bus.Query{
		App: by.AppID(), Channel: q.Channel, Keep: keepOf(by, q.Channel),
		After: q.After, Before: q.Before, Until: q.Until, Since: q.Since, Limit: q.Limit, Newest: q.Newest,
	})
	if err != nil {
		return HistoryPage{}, h.unread(by, q.Channel, err)
	}
	out := HistoryPage{Frames: page.Frames, Whole: page.Gap == "", Reason: page.Gap}
	if n := len(page.Frames); page.More && n > 0 {
		out.Next = page.Frames[n-1].Position
		if q.Newest {
			out.Next = page.Frames[0].Position
		}
	}
	return out, nil
}

// Forget deletes the past of a channel. by must be granted its history.
func (h *Hub) Forget(ctx context.Context, by Reader, ch protocol.Channel) error {
	if err := by.May(protocol.History, ch); err != nil {
		return err
	}
	if err := h.bus.Purge(ctx, by.AppID(), ch, keepOf(by, ch)); err != nil {
		return h.unread(by, ch, err)
	}
	k := key{by.AppID(), ch}
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.channels[k]; c != nil {
		c.recent.begin(h.bus.Last(k.app, ch, keepOf(by, ch)))
	}
	return nil
}

// unread is what a reader is told when the bus could not read.
func (h *Hub) unread(by Reader, ch protocol.Channel, err error) error {
	if e, ok := err.(*protocol.Error); ok {
		return e.On(ch)
	}
	h.log.Error("history failed", "app", by.AppID(), "channel", ch, "err", err)
	return protocol.NewError(protocol.CodeUnavailable).On(ch).After(time.Second)
}
