package bus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// DiskReserve is what stays free.
const DiskReserve = diskReserve

// OpenWithFree opens a bus that believes free about the space on its disk.
func OpenWithFree(ctx context.Context, o Options, free func(dir string) (uint64, error)) (*Bus, error) {
	return openBus(ctx, o, free)
}

// SetLag sets how many packets the feeds begun after it may be behind by.
func SetLag(b *Bus, packets int) {
	b.lag.packets = packets
}

// Republish switches the stream's telling of new messages off or on, which is
// what a leader's death does to those of its last moments.
func Republish(t testing.TB, b *Bus, app protocol.AppID, ch protocol.Channel, on bool) {
	t.Helper()
	s := b.shardOf(app, ch, Keep{Messages: 1, Age: time.Second})
	info, err := s.js.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := info.Config
	c.RePublish = &jetstream.RePublish{Source: s.ingest() + ">", Destination: s.delivery() + ">"}
	if !on {
		c.RePublish.Destination = "nobody." + s.name + ".>"
	}
	if _, err := b.hist.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// QuickQueue takes a worker for dead after d.
func QuickQueue(d time.Duration) QueueOptions { return QueueOptions{wait: d} }

// StepDown has the leaders of all streams of messages give up, as before a
// restart.
func StepDown(t testing.TB, b *Bus) {
	t.Helper()
	for s := range b.eachShard() {
		// Without a leader nobody answers, which is what was wanted. With a context:
		// the client's own timers may be those of another test's bubble.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, _ = b.kv.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+s.stream, nil)
		cancel()
	}
}

// Renew begins a new life of the cluster.
func Renew(t testing.TB, b *Bus) {
	t.Helper()
	if err := b.life.renew(t.Context(), "a test"); err != nil {
		t.Fatal(err)
	}
}

// ReadAck reads what a stream says to a publish.
func ReadAck(m *nats.Msg) (seq uint64, duplicate bool, err error) {
	a := readAck(m)
	return a.seq, a.duplicate, a.err
}

// SetBack sets the clock back by d, as the bus sees it, from now on.
func SetBack(b *Bus, d time.Duration) {
	before, at := b.clock.tells.Load(), time.Now()
	f := func(t time.Time) time.Time {
		was := t
		if before != nil {
			was = (*before)(t)
		}
		if t.Before(at) {
			return was
		}
		return was.Add(-d)
	}
	b.clock.tells.Store(&f)
}

// OpenSetBack opens a bus whose clock was set back by d before it was opened.
func OpenSetBack(ctx context.Context, o Options, d time.Duration) (*Bus, error) {
	b, err := newBus(ctx, o, freeSpace)
	if err != nil {
		return nil, err
	}
	f := func(t time.Time) time.Time { return t.Add(-d) }
	b.clock.tells.Store(&f)
	b.clock.wall = f(b.clock.wall)
	if err := errors.Join(b.start(ctx), b.open(ctx)); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// OnSync has fn told of each file of messages that the bus brings to the disk
// before it answers a publish, and how much of it was written then.
func OnSync(b *Bus, fn func(file string, bytes int64)) {
	for s := range b.eachShard() {
		s.disk.tells = fn
	}
}
