package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Query is a part of one channel's past. The zero value of all but App,
// Channel, Keep and Limit asks for all that is kept.
type Query struct {
	App     protocol.AppID
	Channel protocol.Channel
	Keep    Keep

	After  protocol.Position // from behind this one on
	Before protocol.Position // up to before this one
	Until  protocol.Position // up to and with this one
	Since  time.Time         // stored at this time or later
	At     time.Time         // with After: when the reader certainly had all up to then

	Limit  int  // 1 and more
	Newest bool // the last Limit messages of the part instead of the first
}

// maxPage is how many bytes of messages a page has, about. A page of at least
// one message has More set where that cut it short.
const maxPage = 4 << 20

// Page is what was found.
type Page struct {
	Packets []Packet // the oldest first
	More    bool     // there is more of the part: behind these, or with Newest before them
	size    int      // bytes of Packets

	// Gap is "" where nothing between Query.After and the newest message is
	// missing, else why something is or may be.
	Gap Gap
}

// Gap is why a past is not whole.
type Gap string

// The reasons.
const (
	GapEphemeral Gap = "ephemeral" // the channel keeps nothing
	GapEpoch     Gap = "epoch"     // the position is of another life of the channel's stream
	GapExpired   Gap = "expired"   // messages grew too old, or may have
	GapEvicted   Gap = "evicted"   // newer messages pushed older ones out, or may have
)

// Read finds a part of a channel's past. The error of a position that no
// server made is a *protocol.Error.
func (b *Bus) Read(ctx context.Context, q Query) (Page, error) {
	s := b.shardOf(q.App, q.Channel, q.Keep)
	if s == nil {
		return Page{Gap: GapEphemeral}, nil
	}
	subject, err := subjectOf(s.ingest(), q.App, q.Channel)
	if err != nil {
		return Page{}, err
	}
	r := &reading{bus: b, shard: s, subject: subject, q: q, end: 1<<64 - 1}
	if err := r.bounds(); err != nil {
		return Page{}, err
	}
	if r.foreign {
		return Page{Gap: GapEpoch}, nil
	}
	var page Page
	err = b.patient(ctx, func() (err error) {
		again := *r // a reading is good once
		page, err = again.run(ctx)
		return err
	})
	if err != nil {
		return Page{}, classify("reading history", err)
	}
	return page, nil
}

// reading is one Read under way; it belongs to one goroutine.
type reading struct {
	bus     *Bus
	shard   *shard
	subject string
	q       Query

	after, end uint64 // sequences, both exclusive
	foreign    bool   // a position of another epoch
	intact     bool   // the stream still has all that it ever had behind after
}

func (r *reading) bounds() error {
	for _, p := range []struct {
		position protocol.Position
		set      func(seq uint64)
	}{
		{r.q.After, func(seq uint64) { r.after = seq }},
		{r.q.Before, func(seq uint64) { r.end = min(r.end, seq) }},
		{r.q.Until, func(seq uint64) { r.end = min(r.end, seq+1) }},
	} {
		if p.position == "" {
			continue
		}
		epoch, seq, err := p.position.Parse()
		if err != nil {
			return err
		}
		if epoch != *r.shard.epoch.Load() {
			r.foreign = true
		}
		p.set(seq)
	}
	return nil
}

func (r *reading) run(ctx context.Context) (Page, error) {
	var page Page
	if err := r.bus.current(ctx, r.shard); err != nil {
		return page, err
	}
	total, err := r.total(ctx)
	if err != nil {
		return page, err
	}
	if r.q.After != "" {
		if page.Gap, err = r.gap(ctx, total); err != nil {
			return page, err
		}
	}
	// The rule may keep less than the stream does: the first ones are as if
	// they were gone.
	skip := 0
	over := max(total-r.q.Keep.Messages, 0)
	whole := r.after == 0 && r.q.Since.IsZero() && r.end == 1<<64-1
	if whole {
		skip = over
	} else if over > 0 {
		if err := r.forget(ctx, over); err != nil {
			return page, err
		}
	}
	if r.q.Newest && whole {
		skip = max(skip, total-r.q.Limit)
		page.More = over < skip
	}
	limit := r.q.Limit
	if r.q.Newest && !whole {
		limit = r.shard.class.messages // its end is only known when all of it was read
	}
	if err := r.collect(ctx, &page, skip, limit); err != nil {
		return page, err
	}
	if n := len(page.Packets); r.q.Newest && n > r.q.Limit {
		page.Packets, page.More = page.Packets[n-r.q.Limit:], true
	}
	return page, nil
}

// forget leaves the channel's first n messages out of the reading.
func (r *reading) forget(ctx context.Context, n int) error {
	var first Page
	all := *r
	all.after, all.end, all.q.Since, all.q.Newest = 0, 1<<64-1, time.Time{}, false
	if err := all.collect(ctx, &first, n, 1); err != nil || len(first.Packets) == 0 {
		return err
	}
	_, seq, err := first.Packets[0].Position.Parse()
	r.after = max(r.after, seq-1)
	return err
}

// total is how many messages the stream has of the channel. It also learns
// whether the stream has lost any behind After.
func (r *reading) total(ctx context.Context) (int, error) {
	ask, cancel := ctx, context.CancelFunc(func() {})
	if r.bus.cluster != nil {
		ask, cancel = context.WithTimeout(ctx, tryTime)
	}
	info, err := r.shard.js.Info(ask, jetstream.WithSubjectFilter(r.subject))
	cancel()
	if err != nil && r.bus.cluster != nil && ctx.Err() == nil {
		return r.counted(ctx) // the stream has no leader just now
	}
	if err != nil {
		return 0, err
	}
	r.intact = info.State.FirstSeq <= r.after+1 && info.State.NumDeleted == 0
	return int(info.State.Subjects[r.subject]), nil
}

// counted is total without a leader: this node's own copy says how many there
// are behind the first.
func (r *reading) counted(ctx context.Context) (int, error) {
	n, err := r.bus.matching(ctx, r.shard.stream, r.subject)
	return int(n), err
}

// collect appends up to limit messages to page, without the first skip.
func (r *reading) collect(ctx context.Context, page *Page, skip, limit int) error {
	from := r.after + 1
	for {
		options := []jetstreamext.GetBatchOpt{
			jetstreamext.GetBatchSubject(r.subject), jetstreamext.GetBatchMaxBytes(healBytes), jetstreamext.GetBatchSeq(from),
		}
		batch, err := jetstreamext.GetBatch(ctx, r.bus.hist, r.shard.stream, min(skip+limit-len(page.Packets)+1, healChunk), options...)
		if err != nil {
			return err
		}
		got := false
		for m, err := range batch {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return nil
			}
			if err != nil {
				return err
			}
			got = true
			from = m.Sequence + 1
			switch {
			case m.Sequence >= r.end:
				return nil
			case skip > 0:
				skip--
			case m.Time.Before(r.q.Since):
			case len(page.Packets) == limit, page.size > maxPage && !r.q.Newest:
				page.More = true
				return nil
			default:
				p, err := packetOf(r.shard.ingest(), m.Subject, m.Data)
				if err != nil {
					return err
				}
				p.From, p.Time = m.Header.Get(headerFrom), m.Time
				p.Position = r.shard.position(m.Sequence)
				if n := len(page.Packets); n > 0 {
					p.Previous = page.Packets[n-1].Position
				}
				page.Packets = append(page.Packets, p)
				page.size += len(p.Body)
				for r.q.Newest && page.size > maxPage && len(page.Packets) > 1 {
					page.size -= len(page.Packets[0].Body)
					page.Packets, page.More = page.Packets[1:], true
				}
			}
		}
		if !got {
			return nil
		}
	}
}

// gap says whether messages behind After are missing. total is how many the
// stream has of the channel now.
//
// Messages go oldest first. So nothing behind After is missing while one at or
// before it is still there, unless it outlives those behind it: because the
// rule kept for longer when it came, or the clock was set back since. Without
// one, a reader that certainly had everything at a time from which on nothing
// can have grown too old misses nothing, unless so many came since that they
// pushed others out: then the channel is at its most messages.
func (r *reading) gap(ctx context.Context, total int) (Gap, error) {
	if r.after > r.shard.last.Load() {
		info, err := r.shard.js.Info(ctx)
		if err != nil {
			return "", err
		}
		if r.after > info.State.LastSeq {
			return GapEpoch, nil // of a future that was lost
		}
	}
	now, back := r.bus.look()
	// No message that was stored at t or later is too old.
	fresh := func(t time.Time) bool {
		return !t.After(now.Add(time.Second)) && !t.Before(now.Add(time.Second-r.age()))
	}
	stored := func(m *jetstream.RawStreamMsg) time.Time {
		return r.shard.surely(m.Sequence, r.bus.clock.said(m.Time), back)
	}
	oldest, err := r.bus.firstFrom(ctx, r.shard, r.subject, 1)
	if err != nil {
		return "", err
	}
	if oldest != nil && oldest.Sequence <= r.after && fresh(stored(oldest)) {
		return r.trimmed(ctx, total, nil)
	}
	if r.intact {
		return r.trimmed(ctx, total, nil)
	}
	if total >= r.shard.class.messages {
		return GapEvicted, nil
	}
	at := r.shard.surely(0, r.q.At, back)
	if r.after > 0 {
		// Whatever channel it is of: up to then everything was had.
		m, err := r.shard.js.GetMsg(ctx, r.after)
		if err == nil && stored(m).After(at) {
			at = stored(m)
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return "", err
		}
	}
	if at.IsZero() || !fresh(at) { // one in the future is of a clock that was set back since
		return GapExpired, nil
	}
	return r.trimmed(ctx, total, nil)
}

// firstFrom is the first message of a subject at or behind seq, nil if there
// is none.
func (b *Bus) firstFrom(ctx context.Context, s *shard, subject string, seq uint64) (*jetstream.RawStreamMsg, error) {
	batch, err := jetstreamext.GetBatch(ctx, b.hist, s.stream, 1, jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(seq))
	if err != nil {
		return nil, err
	}
	for m, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		return m, err
	}
	return nil, nil
}

// trimmed is whether the rule's own, smaller number takes messages away that
// the stream still has.
func (r *reading) trimmed(ctx context.Context, total int, err error) (Gap, error) {
	if err != nil || total <= r.q.Keep.Messages {
		return "", err
	}
	behind, err := r.behind(ctx)
	if err != nil || behind <= r.q.Keep.Messages {
		return "", err
	}
	return GapEvicted, nil
}

// behind counts the messages behind After, up to one more than the rule keeps.
func (r *reading) behind(ctx context.Context) (int, error) {
	var page Page
	all := *r
	all.end, all.q.Since = 1<<64-1, time.Time{}
	if err := all.collect(ctx, &page, 0, r.q.Keep.Messages); err != nil {
		return 0, err
	}
	n := len(page.Packets)
	if page.More {
		n++
	}
	return n, nil
}

func (r *reading) age() time.Duration {
	return min(r.q.Keep.Age, r.shard.class.age)
}
