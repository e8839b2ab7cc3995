package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Bus carries messages between nodes, this one included, and keeps them.
type Bus interface {
	PublishAll(ctx context.Context, ps []bus.Packet) ([]bus.Receipt, error)
	Feed(fn func(bus.Packet)) (stop func(), err error)
	Last(app protocol.AppID, ch protocol.Channel, k bus.Keep) protocol.Position
	Read(ctx context.Context, q bus.Query) (bus.Page, error)
	Purge(ctx context.Context, app protocol.AppID, ch protocol.Channel, k bus.Keep) error
}

// Reader is who subscribes or reads the past: it says what it may do.
type Reader interface {
	AppID() protocol.AppID
	May(a protocol.Action, ch protocol.Channel) error
	Keep(ch protocol.Channel) (messages int, age time.Duration) // 0: ephemeral
}

// Publisher is who publishes.
type Publisher interface {
	Reader
	AllowPublish(n int) error // the app's publish rate
	MaxData() int             // bytes
}

// Origin is where messages come from. The zero value is a server.
type Origin struct {
	User    string // of a client with a user's token
	Session string // that wants no echo
}

// Subscriber is one client's interest in one channel.
type Subscriber interface {
	// Deliver takes a frame. It is called by one goroutine at a time, in the
	// channel's order, and must not block.
	Deliver(f *Frame)
}

// Options are what a Hub is made of. All but Events and Published are required.
type Options struct {
	Bus   Bus
	Stats *stats.Stats
	Log   *slog.Logger

	// Events, if any, is told of channels that are occupied and vacated and of
	// members that join and leave, by one goroutine; it must not block.
	Events func(app protocol.AppID, e protocol.WebhookEvent)

	// Peers, if any, is the way to the other nodes of a cluster, and Node this
	// one's name there. Wants reports whether anybody listens to a type of
	// event; nil: always.
	Peers Peers
	Node  string
	Wants func(app protocol.AppID, event string) bool

	// Published, if any, is told of each message that this node published, by
	// the publisher's goroutine; message makes the message as subscribers see
	// it, but for previous. It must not block.
	Published func(app protocol.AppID, ch protocol.Channel, message func() []byte)
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
	reads  flights

	events  func(protocol.AppID, protocol.WebhookEvent) // may be nil
	told    func(protocol.AppID, protocol.Channel, func() []byte)
	peers   Peers // nil: there is one node
	peering *peering
	wants   func(protocol.AppID, string) bool
	rooms   [64]rooms
	agenda  agenda
	crew    *crew
	quit    chan struct{}
	swept   sync.WaitGroup
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
	h := &Hub{bus: o.Bus, stats: o.Stats, log: o.Log, seed: maphash.MakeSeed(), reads: newFlights(),
		events: o.Events, told: o.Published, agenda: newAgenda(), quit: make(chan struct{})}
	for i := range h.shards {
		h.shards[i].channels = map[key]*channel{}
		h.rooms[i].open, h.rooms[i].occupied = map[key]*room{}, map[key]flags{}
	}
	h.crew = newCrew(runtime.GOMAXPROCS(0), h.finished)
	stop, err := o.Bus.Feed(h.fanOut)
	if err != nil {
		h.crew.close()
		return nil, err
	}
	h.stop = stop
	h.wants = o.Wants
	if o.Peers != nil {
		h.peer(o.Peers, o.Node)
	}
	h.swept.Go(func() { h.sweep(h.quit) })
	return h, nil
}

// Close ends delivery and waits until the last message is delivered.
func (h *Hub) Close() {
	h.stop()
	h.crew.close()
	close(h.quit)
	h.swept.Wait()
	if h.peering != nil {
		h.peering.close()
	}
}

func (h *Hub) slot(k key) uint64 { return maphash.Comparable(h.seed, k) % uint64(len(h.shards)) }

func (h *Hub) shard(k key) *shard { return &h.shards[h.slot(k)] }

// Subscribe registers s for a channel that by may subscribe to. From now on
// every message of the channel is delivered to it. The position is that of the
// last message before, or later: s leaves out what is delivered up to it.
func (h *Hub) Subscribe(by Reader, ch protocol.Channel, s Subscriber) protocol.Position {
	k, keep := key{by.AppID(), ch}, keepOf(by, ch)
	last, n := h.register(k, keep, s)
	h.counted(k, n)
	return last
}

// register also says how many subscribers there are now.
func (h *Hub) register(k key, keep bus.Keep, s Subscriber) (last protocol.Position, n int) {
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.channels[k]
	if c == nil {
		c = &channel{meter: h.stats.App(k.app)}
		sh.channels[k] = c
	}
	if c.add(s) {
		h.stats.Subscribed(1)
	}
	last = h.bus.Last(k.app, k.ch, keep)
	if len(c.subs) == 1 {
		c.recent.begin(last)
	}
	return last, len(c.subs)
}

func keepOf(by Reader, ch protocol.Channel) bus.Keep {
	messages, age := by.Keep(ch)
	return bus.Keep{Messages: messages, Age: age}
}

// Unsubscribe takes s away. A delivery that has begun may still reach it.
func (h *Hub) Unsubscribe(app protocol.AppID, ch protocol.Channel, s Subscriber) {
	k := key{app, ch}
	if n, ok := h.strike(k, s); ok {
		h.stats.Subscribed(-1)
		h.counted(k, n)
	}
}

// strike says how many subscribers are left, and whether s was one.
func (h *Hub) strike(k key, s Subscriber) (n int, ok bool) {
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.channels[k]
	if c == nil || !c.remove(s) {
		return 0, false
	}
	if len(c.subs) == 0 {
		delete(sh.channels, k)
	}
	return len(c.subs), true
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

// Publish checks all of msgs against what by may do and then publishes them
// in order. The error is a *protocol.Error whose Index says which message is wrong; nothing is
// published then.
func (h *Hub) Publish(ctx context.Context, by Publisher, from Origin, msgs []protocol.Outgoing) ([]protocol.Published, error) {
	packets := make([]bus.Packet, len(msgs))
	out := make([]protocol.Published, len(msgs))
	now := time.Now().UnixMilli()
	for i := range msgs {
		m, err := prepare(by, from.User, &msgs[i], now)
		if err != nil {
			return nil, protocol.AsError(err).On(msgs[i].Channel).At(i)
		}
		body := m.AppendBody(make([]byte, 0, len(m.Data)+len(m.Channel)+len(m.ID)+96))
		packets[i] = bus.Packet{
			App: by.AppID(), Channel: m.Channel, Body: body, From: from.Session,
			Keep: keepOf(by, m.Channel), ID: m.ID, After: msgs[i].IfPosition, First: msgs[i].First || msgs[i].ID == "",
		}
		out[i] = protocol.Published{Channel: m.Channel, ID: m.ID}
	}
	if err := by.AllowPublish(len(msgs)); err != nil {
		return nil, err
	}
	receipts, err := h.bus.PublishAll(ctx, packets)
	if err != nil {
		return nil, h.failed(packets, err)
	}
	for i, r := range receipts {
		out[i].Position, out[i].Duplicate = r.Position, r.Duplicate
		if h.told != nil && !r.Duplicate {
			h.told(packets[i].App, packets[i].Channel, func() []byte {
				return protocol.AppendFrame(nil, packets[i].Body, r.Position, "")
			})
		}
	}
	h.stats.Published(len(msgs))
	h.count(packets[0].App, msgs, receipts)
	return out, nil
}

// count meters what was published, but not what had been before.
func (h *Hub) count(app protocol.AppID, msgs []protocol.Outgoing, receipts []bus.Receipt) {
	var n, bytes int64
	for i := range receipts {
		if !receipts[i].Duplicate {
			n++
			bytes += int64(len(msgs[i].Data))
		}
	}
	h.stats.App(app).Publish(n, bytes)
}

// failed is what a publisher is told when the bus did not take its messages.
func (h *Hub) failed(packets []bus.Packet, err error) *protocol.Error {
	i := 0
	if b, ok := errors.AsType[*bus.BatchError](err); ok {
		i = b.Index
	}
	p := packets[i]
	var e *protocol.Error
	if at, ok := errors.AsType[*bus.PositionError](err); ok {
		e = protocol.NewError(protocol.CodePositionConflict)
		e.Position = &at.Actual
	} else if own, ok := errors.AsType[*protocol.Error](err); ok {
		e = own
	} else {
		h.log.Error("publish failed", "app", p.App, "channel", p.Channel, "err", err)
		e = protocol.NewError(protocol.CodeUnavailable).After(time.Second)
		if errors.Is(err, bus.ErrDiskFull) {
			e = protocol.NewError(protocol.CodeDiskFull)
		}
	}
	return e.On(p.Channel).At(i)
}

// prepare checks one message and fills in what the server adds.
func prepare(by Publisher, user string, o *protocol.Outgoing, now int64) (protocol.Message, error) {
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
	if messages, _ := by.Keep(ch); messages == 0 && o.IfPosition != nil {
		return m, protocol.Errorf(protocol.CodeBadRequest, "The channel is ephemeral: it has no positions, so leave if_position out.")
	}
	data, err := protocol.CheckData(o.Data, by.MaxData())
	if err != nil {
		return m, err
	}
	id := o.ID
	if id == "" {
		id = rand.Text()
	}
	return protocol.Message{Channel: ch, ID: id, Time: now, Event: o.Event, User: user, Data: data}, nil
}
