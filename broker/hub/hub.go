package hub

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Bus carries messages between nodes, this one included.
type Bus interface {
	Publish(ctx context.Context, p bus.Packet) (protocol.Position, error)
	Feed(fn func(bus.Packet)) (stop func(), err error)
}

// Publisher is who publishes: it says what it may do.
type Publisher interface {
	AppID() protocol.AppID
	UserID() string // "" unless a client with a user's token
	May(a protocol.Action, ch protocol.Channel) error
	AllowPublish(n int) error // the app's publish rate
	MaxData() int             // bytes
}

// Subscriber is one client's interest in one channel.
type Subscriber interface {
	// Deliver takes a frame. It is called by one goroutine at a time, in the
	// channel's order, and must not block.
	Deliver(f *Frame)
}

// Frame is one line for a client, built once and shared by all who get it. It
// is immutable.
type Frame struct {
	Line     []byte            // one JSON object, no line break
	Type     string            // its type member: protocol.TypeMessage for a message
	Position protocol.Position // of a message
	From     string            // the session that published and wants no echo; else ""
}

// Options are what a Hub is made of. All are required.
type Options struct {
	Bus   Bus
	Stats *stats.Stats
	Log   *slog.Logger
}

// Hub is a node's index of channels to local subscribers. All methods may be
// called concurrently. It lives from New to Close.
type Hub struct {
	bus    Bus
	stats  *stats.Stats
	log    *slog.Logger
	stop   func()
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu       sync.Mutex
	channels map[key]*channel
}

type key struct {
	app protocol.AppID
	ch  protocol.Channel
}

// New starts a hub that delivers what o.Bus brings.
func New(o Options) (*Hub, error) {
	h := &Hub{bus: o.Bus, stats: o.Stats, log: o.Log, seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].channels = map[key]*channel{}
	}
	stop, err := o.Bus.Feed(h.fanOut)
	if err != nil {
		return nil, err
	}
	h.stop = stop
	return h, nil
}

// Close ends delivery and waits until the last message is delivered.
func (h *Hub) Close() { h.stop() }

func (h *Hub) shard(k key) *shard {
	return &h.shards[maphash.Comparable(h.seed, k)%uint64(len(h.shards))]
}

// Subscribe registers s. From now on every message of the channel is
// delivered to it; the position is that of the last one before.
func (h *Hub) Subscribe(app protocol.AppID, ch protocol.Channel, s Subscriber) protocol.Position {
	k := key{app, ch}
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.channels[k]
	if c == nil {
		c = &channel{index: map[Subscriber]int{}}
		sh.channels[k] = c
	}
	if c.add(s) {
		h.stats.Subscribed(1)
	}
	return c.last
}

// Unsubscribe takes s away. A delivery that has begun may still reach it.
func (h *Hub) Unsubscribe(app protocol.AppID, ch protocol.Channel, s Subscriber) {
	k := key{app, ch}
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.channels[k]
	if c == nil || !c.remove(s) {
		return
	}
	h.stats.Subscribed(-1)
	if len(c.index) == 0 {
		delete(sh.channels, k)
	}
}

// Channels is how many channels have a subscriber on this node.
func (h *Hub) Channels() int {
	n := 0
	for i := range h.shards {
		h.shards[i].mu.Lock()
		n += len(h.shards[i].channels)
		h.shards[i].mu.Unlock()
	}
	return n
}

// fanOut hands one packet of the feed to the local subscribers of its channel.
func (h *Hub) fanOut(p bus.Packet) {
	k := key{p.App, p.Channel}
	sh := h.shard(k)
	sh.mu.Lock()
	c := sh.channels[k]
	if c == nil {
		sh.mu.Unlock()
		return
	}
	c.last = p.Position
	subs := c.snapshot()
	sh.mu.Unlock()

	line := make([]byte, 0, len(p.Body)+96)
	f := &Frame{
		Line:     protocol.AppendFrame(line, p.Body, p.Position, p.Previous),
		Type:     protocol.TypeMessage,
		Position: p.Position,
		From:     p.From,
	}
	for _, s := range subs {
		s.Deliver(f)
	}
	h.stats.Delivered(len(subs))
}

// Publish checks all of msgs against what by may do and then publishes them
// in order. from is the session that wants no echo, or "". The error is a
// *protocol.Error whose Index says which message is wrong; nothing is
// published then.
func (h *Hub) Publish(ctx context.Context, by Publisher, from string, msgs []protocol.Outgoing) ([]protocol.Published, error) {
	packets := make([]bus.Packet, len(msgs))
	out := make([]protocol.Published, len(msgs))
	now := time.Now().UnixMilli()
	for i := range msgs {
		m, err := prepare(by, &msgs[i], now)
		if err != nil {
			return nil, protocol.AsError(err).On(msgs[i].Channel).At(i)
		}
		body := m.AppendBody(make([]byte, 0, len(m.Data)+len(m.Channel)+len(m.ID)+96))
		packets[i] = bus.Packet{App: by.AppID(), Channel: m.Channel, Body: body, From: from}
		out[i] = protocol.Published{Channel: m.Channel, ID: m.ID}
	}
	if err := by.AllowPublish(len(msgs)); err != nil {
		return nil, err
	}
	for i, p := range packets {
		pos, err := h.bus.Publish(ctx, p)
		if err != nil {
			h.log.Error("publish failed", "app", p.App, "channel", p.Channel, "err", err)
			return nil, protocol.NewError(protocol.CodeUnavailable).On(p.Channel).At(i).After(time.Second)
		}
		out[i].Position = pos
	}
	h.stats.Published(len(msgs))
	return out, nil
}

// prepare checks one message and fills in what the server adds.
func prepare(by Publisher, o *protocol.Outgoing, now int64) (protocol.Message, error) {
	var m protocol.Message
	ch, err := protocol.ParseChannel(string(o.Channel))
	if err != nil {
		return m, err
	}
	if err := by.May(protocol.Publish, ch); err != nil {
		return m, err
	}
	if err := protocol.CheckID(o.ID); err != nil {
		return m, err
	}
	if err := protocol.CheckEvent(o.Event); err != nil {
		return m, err
	}
	data, err := protocol.CheckData(o.Data, by.MaxData())
	if err != nil {
		return m, err
	}
	id := o.ID
	if id == "" {
		id = rand.Text()
	}
	return protocol.Message{Channel: ch, ID: id, Time: now, Event: o.Event, User: by.UserID(), Data: data}, nil
}
