package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// lag is how far a feed may fall behind before it drops packets: by default
// some half a minute of the highest traffic that a node is meant for.
type lag struct {
	packets int
	bytes   int
}

// Feed calls fn with every packet of every app on this node. Packets of one
// channel come one after the other, in one order, and those of a durable
// channel without a hole and once each; packets of different channels may come
// at once, from several goroutines. fn must not block: while it does, packets
// queue up. Of ephemeral channels they are dropped past 256 MiB, logged and
// counted (Dropped). A packet published after Feed has returned is sure to be
// seen. A bus has one Feed at a time: it is what Last speaks of.
//
// stop ends it and returns when fn is not running any more. It must not be
// called from fn. Close stops it too.
func (b *Bus) Feed(fn func(Packet)) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	ephemeral, err := b.begin(func() (reader, error) { return b.startEphemeral(fn) })
	if err != nil {
		return nil, err
	}
	stops = append(stops, ephemeral)
	for s := range b.eachShard() {
		one, err := b.begin(func() (reader, error) { return startContiguous(b, s, fn) })
		if err != nil {
			stop()
			return nil, classify("starting the feed", err)
		}
		stops = append(stops, one)
	}
	return stop, nil
}

func (b *Bus) startEphemeral(fn func(Packet)) (reader, error) {
	f := &feed{fn: fn, log: b.log, ended: make(chan struct{})}
	if b.cluster == nil {
		f.box = b.boxes.open(f.receive, b.lag, b.log)
		f.leave = func() { b.boxes.close(f.box) }
		return f, nil
	}
	var err error
	if f.sub, err = b.feeds.Subscribe(everyEphemeral, f.receive); err != nil {
		return nil, classify("starting the feed", err)
	}
	f.sub.SetClosedHandler(func(string) { close(f.ended) })
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	err = f.sub.SetPendingLimits(b.lag.packets, b.lag.bytes)
	if err == nil {
		err = b.feeds.FlushWithContext(ctx) // the server knows the subscription now
	}
	if err != nil {
		f.stop()
		return nil, classify("starting the feed", err)
	}
	return f, nil
}

// feed is the feed of all ephemeral channels. receive runs in its one
// goroutine, which belongs to the connection or the mailbox; the rest may be
// called concurrently.
type feed struct {
	fn    func(Packet)
	log   *slog.Logger
	sub   *nats.Subscription // in a cluster
	box   *mailbox           // without one
	leave func()             // closes box
	once  sync.Once
	ended chan struct{} // closed when the goroutine has ended
	lost  atomic.Uint64 // by slowness, as last read
	alien atomic.Uint64 // packets that could not be read
}

func (f *feed) receive(m *nats.Msg) {
	p, err := packetOf(ephemeralPrefix, m.Subject, m.Data)
	if err != nil {
		// Only a fault in this server or a stranger on the bus makes these.
		if f.alien.Add(1) == 1 {
			f.log.Error("bus: a packet could not be read and was left out; further ones are not logged", "error", err)
		}
		return
	}
	if m.Header != nil {
		p.From, p.Early = m.Header.Get(headerFrom), m.Header.Get(headerEarly) != ""
	}
	f.fn(p)
}

// packetOf reads a message from under prefix.
func packetOf(prefix, subject string, body []byte) (Packet, error) {
	app, token, hashed, err := parseSubject(prefix, subject)
	if err != nil {
		return Packet{}, err
	}
	ch, err := channelOf(token, hashed, body)
	if err != nil {
		return Packet{}, fmt.Errorf("app %s: %w", app, err)
	}
	return Packet{App: app, Channel: ch, Body: body}, nil
}

func (f *feed) dropped() uint64 {
	if f.box != nil {
		return f.box.dropped() + f.alien.Load()
	}
	if n, err := f.sub.Dropped(); err == nil { // an ended subscription has forgotten it
		f.lost.Store(uint64(n))
	}
	return f.lost.Load() + f.alien.Load()
}

func (f *feed) stop() {
	f.once.Do(func() {
		if f.box != nil {
			f.leave()
			return
		}
		f.dropped()
		// The only errors are that it, or its connection, has ended already.
		_ = f.sub.Unsubscribe()
		<-f.ended
	})
}
