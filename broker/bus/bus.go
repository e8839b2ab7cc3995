package bus

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options is how a bus is opened.
type Options struct {
	Dir    string       // the data folder; made with mode 0700 where it is missing
	Name   string       // the node's name, the same at every start; default "fanfare"
	Logger *slog.Logger // default: no log. Message contents never reach it

	// SyncAlways brings every message of a durable channel to the disk before
	// Publish returns. Without it that happens within a second: enough against
	// the death of the process, not against a power cut. Buckets are always
	// synced.
	SyncAlways bool

	// Cluster, if any, makes this node one of several. Name is then required.
	Cluster *Cluster
}

// Bus is this node's message server and its data folder. All methods may be
// called concurrently. It lives from Open to Close; Close stops every feed and
// watch.
type Bus struct {
	log     *slog.Logger
	folder  *folder
	cluster *Cluster // nil: alone
	seed    string   // a backup to begin the cluster with; "" none
	peers   *Peers
	trouble trouble
	server  *server.Server // nil: NATS runs elsewhere

	encrypted atomic.Uint32 // the version of TLS of the last route; 0: there was none
	password  string        // of the server, for this process
	replicas  int           // of each stream

	feeds   *nats.Conn          // what comes in for subscribers
	pubs    *nats.Conn          // what goes out
	reads   *nats.Conn          // history: a read holds up all else on its connection
	kv      *nats.Conn          // buckets
	control *nats.Conn          // the other nodes; nil without a cluster
	js      jetstream.JetStream // over kv
	acks    *acks               // over pubs
	hist    jetstream.JetStream // over reads
	shards  [2][shardsPerClass]*shard
	applies chan struct{} // a token for each atomic batch under way
	lag     lag           // what a feed may be behind by
	clock   *clock
	boxes   boxes // of the feeds, without a cluster

	syncAlways bool
	lives      *keeper
	watched    bool    // lives has begun; set before Open returns
	life       *common // the cluster's life; nil without one
	steady     steadiness

	starting sync.WaitGroup // readers that are being made
	ending   sync.WaitGroup // watches that the server is being told to forget

	mu      sync.Mutex
	closed  bool // set once; nothing begins after it
	readers map[reader]struct{}
	dropped uint64 // by feeds that have ended
}

// reader is a feed or a watch.
type reader interface {
	stop()           // returns when its goroutine has ended; may be called again
	dropped() uint64 // packets lost because its function was too slow
}

// Open locks the data folder, starts the message server in it and connects to
// it. No port is opened. The error is one line that names the folder;
// errors.Is finds ErrLocked and ErrDiskFull in it. ctx bounds the start only.
func Open(ctx context.Context, o Options) (*Bus, error) {
	return openBus(ctx, o, freeSpace)
}

func openBus(ctx context.Context, o Options, free func(dir string) (uint64, error)) (*Bus, error) {
	b, err := newBus(ctx, o, free)
	if err != nil {
		return nil, err
	}
	err = b.start(ctx)
	if err == nil {
		err = b.open(ctx)
	}
	if err != nil {
		_ = b.Close() // the first error is the one to tell, in one line
		return nil, err
	}
	return b, nil
}

// newBus locks the folder; the server is not started yet.
func newBus(ctx context.Context, o Options, free func(dir string) (uint64, error)) (*Bus, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	name, mode := cmp.Or(o.Name, "fanfare"), modeStandalone
	if o.Cluster != nil {
		c, err := o.Cluster.checked(o.Name)
		if err != nil {
			return nil, err
		}
		o.Cluster, mode = &c, clusterMode(&c, o.Name)
	}
	f, err := openFolder(o.Dir, mode, free)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		log:        o.Logger,
		folder:     f,
		cluster:    o.Cluster,
		replicas:   1,
		peers:      newPeers(name),
		applies:    make(chan struct{}, maxApplies),
		syncAlways: o.SyncAlways,
		lag:        lag{packets: 1 << 21, bytes: 256 << 20},
		lives:      newKeeper(f),
		clock:      newClock(),
		readers:    make(map[reader]struct{}),
	}
	if b.cluster != nil {
		b.replicas = max(b.cluster.size(), leastNodes)
		b.seed = f.seed()
		b.life = newCommon(b)
	}
	return b, nil
}

// start starts the message server, if it is ours, and connects to it.
func (b *Bus) start(ctx context.Context) (err error) {
	if b.cluster == nil || b.cluster.URL == "" {
		if b.server, err = b.startServer(ctx, b.peers.name); err != nil {
			return err
		}
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	for _, c := range []struct {
		use  string
		conn **nats.Conn
	}{{"feed", &b.feeds}, {"publish", &b.pubs}, {"history", &b.reads}, {"buckets", &b.kv}} {
		if *c.conn, err = b.dial(c.use); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		js *jetstream.JetStream
		nc *nats.Conn
	}{{&b.js, b.kv}, {&b.hist, b.reads}} {
		if *c.js, err = jetstream.New(c.nc, jetstream.WithDefaultTimeout(5*time.Second)); err != nil {
			return fmt.Errorf("connecting %s to the message server: %w", c.nc.Opts.Name, err)
		}
	}
	if b.acks, err = newAcks(b.pubs); err != nil {
		return fmt.Errorf("connecting %s to the message server: %w", b.pubs.Opts.Name, err)
	}
	return nil
}

// open opens the streams of messages. In a cluster it waits until there is one.
func (b *Bus) open(ctx context.Context) error {
	if b.cluster != nil {
		if err := b.join(ctx); err != nil {
			return err
		}
	}
	if err := b.openShards(ctx); err != nil {
		return err
	}
	return b.settled(ctx)
}

// connections are those that the bus works with.
func (b *Bus) connections() []*nats.Conn {
	all := []*nats.Conn{b.feeds, b.pubs, b.reads, b.kv, b.control}
	return slices.DeleteFunc(all, func(nc *nats.Conn) bool { return nc == nil })
}

// eachShard yields the streams of messages.
func (b *Bus) eachShard() iter.Seq[*shard] {
	return func(yield func(*shard) bool) {
		for _, class := range b.shards {
			for _, s := range class {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Close stops all feeds and watches, shuts the server down and unlocks the
// folder. It must not be called from the function of a feed or a watch. A
// second Close does nothing.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	b.starting.Wait()

	b.mu.Lock()
	running := make([]reader, 0, len(b.readers))
	for r := range b.readers {
		running = append(running, r)
	}
	b.mu.Unlock()

	for _, r := range running {
		b.end(r)
	}
	b.peers.stop()
	for _, nc := range b.connections() {
		nc.Close()
	}
	b.ending.Wait()
	if b.server != nil {
		if b.cluster != nil {
			b.server.LameDuckShutdown() // its leaders go to other nodes first
		}
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	var err error
	switch {
	case b.life != nil:
		err = b.life.end()
	case b.watched:
		err = b.lives.end(b)
	}
	if err != nil {
		b.log.Warn("bus: the next start will take this end for a crash", "error", err)
	}
	if err := b.folder.close(); err != nil {
		return fmt.Errorf("data folder %s: %w", b.folder.dir, err)
	}
	return nil
}

// Ready is nil when the server is healthy and all connections to it answer. It
// waits for at most 2 seconds, or less where ctx says so.
func (b *Bus) Ready(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if err := b.healthy(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, nc := range b.connections() {
		if err := nc.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("the message server does not answer on %s: %w", nc.Opts.Name, err)
		}
	}
	return nil
}

// Dropped counts the packets that the node's feeds have lost since Open,
// because their function was slower than the traffic for too long.
func (b *Bus) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.dropped
	for r := range b.readers {
		n += r.dropped()
	}
	return n
}

// begin runs start and enters the reader that it makes, so that Close stops
// it. Close waits for start to return before it cuts the connections: a
// subscription that is cut while it is being made never reports its end.
func (b *Bus) begin(start func() (reader, error)) (stop func(), err error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, ErrClosed
	}
	b.starting.Add(1)
	b.mu.Unlock()
	defer b.starting.Done()

	r, err := start()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[r] = struct{}{}
	return func() { b.end(r) }, nil
}

// end stops r, with no lock held, and keeps its count.
func (b *Bus) end(r reader) {
	r.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.readers[r]; ok {
		delete(b.readers, r)
		b.dropped += r.dropped()
	}
}
