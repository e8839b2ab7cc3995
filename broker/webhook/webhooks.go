package webhook

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
)

// KV is what this room needs of the bucket that holds the endpoints. A
// *bus.Bucket is one.
type KV interface {
	Create(ctx context.Context, key string, val []byte, ttl time.Duration) (uint64, error)
	Update(ctx context.Context, key string, val []byte, rev uint64, ttl time.Duration) (uint64, error)
	Delete(ctx context.Context, key string, rev uint64) error
	Watch(fn func(bus.Entry)) (stop func(), err error)
}

// Queue is what this room needs of the queue of events. A *bus.Queue is one.
type Queue interface {
	Push(ctx context.Context, jobs ...bus.Job) error
	Work(fn func(*bus.Task)) (stop func(), err error)
	Waiting(ctx context.Context) (map[string]int, error)
	Drop(ctx context.Context, lane string) error
}

// Journal is what this room needs of the log of tries. A *bus.Journal is one.
type Journal interface {
	Append(ctx context.Context, key string, val []byte) (uint64, error)
	Last(ctx context.Context, key string) ([]bus.Record, error)
	Get(ctx context.Context, key string, seq uint64) (bus.Record, error)
	Drop(ctx context.Context, key string) error
}

// Options are what New needs. The first four are required.
type Options struct {
	Records   KV       // endpoints; kept for ever
	Queue     Queue    // events on their way out
	Log       Journal  // tries: KeepTries entries, kept for KeepTriesFor
	MasterKey [32]byte // seals the secrets

	// AllowPrivate lets endpoints be plain http and stand in private networks
	// and on this machine. Then everybody with an account can make this server
	// send requests into its own network: for development only.
	AllowPrivate bool

	// MaxWaiting is how many events may wait for one endpoint, those that are
	// to be tried again included; new ones are thrown away past it. Default
	// 10,000.
	MaxWaiting int

	// Shared: other nodes take from the queue, too. Then what waits is counted
	// anew now and then.
	Shared bool

	Stats  *stats.Stats // nil: nothing is counted
	Logger *slog.Logger // nil: slog.Default
}

// What the journal of tries is to keep of each endpoint.
const (
	KeepTries      = 100
	KeepTriesFor   = 7 * 24 * time.Hour
	KeepTriesBytes = 1 << 30 // of all endpoints; beyond, the oldest tries go
)

// MaxPerApp is the most endpoints of an app.
const MaxPerApp = 10

const (
	perEndpoint  = 4 // tries of one endpoint at a time
	recountEvery = 20 * time.Second
	stopGrace    = 3 * time.Second  // which running tries have when the node stops
	tryLimit     = 10 * time.Second // for a receiver to answer
)

// Webhooks sends events to endpoints. All methods may be called concurrently,
// Run once. It lives from New to Close; events that Emit takes before Run wait
// for it.
type Webhooks struct {
	records    KV
	queue      Queue
	journal    Journal
	aead       cipher.AEAD
	guard      *guard
	client     *http.Client
	log        *slog.Logger
	stats      *stats.Stats
	maxWaiting int
	shared     bool
	view       *view
	stop       func()
	close      sync.Once

	in    chan pending
	bytes atomic.Int64 // in in, and on its way from there
	lost  atomic.Uint64
	held  atomic.Int64 // bytes of the jobs that wait in lanes
}

// New reads the endpoints into memory and keeps watching them.
func New(ctx context.Context, o Options) (*Webhooks, error) {
	if o.Records == nil || o.Queue == nil || o.Log == nil {
		return nil, errors.New("webhook: Records, Queue and Log are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 10_000
	}
	if o.Stats == nil {
		o.Stats = stats.New()
	}
	aead, err := newSeal(o.MasterKey)
	if err != nil {
		return nil, err
	}
	w := &Webhooks{
		records: o.Records, queue: o.Queue, journal: o.Log, aead: aead, guard: newGuard(o.AllowPrivate), log: o.Logger, stats: o.Stats,
		maxWaiting: o.MaxWaiting, shared: o.Shared, view: newView(o.Logger, aead), in: make(chan pending, maxPending),
	}
	w.client = w.guard.client(nil)
	waiting, err := o.Queue.Waiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if w.stop, err = o.Records.Watch(w.view.apply); err != nil {
		return nil, fmt.Errorf("webhook: watch the endpoints: %w", err)
	}
	w.wait(waiting)
	o.Stats.Webhooks(w.view.count)
	return w, nil
}

// wait takes note of how many jobs each endpoint has in the queue.
func (w *Webhooks) wait(waiting map[string]int) {
	for _, e := range w.view.all() {
		e.waiting.Store(int64(waiting[e.id]))
	}
}

// recount counts what waits again and again, since other nodes add to it and
// take from it.
func (w *Webhooks) recount(ctx context.Context) {
	tick := time.NewTicker(recountEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waiting, err := w.queue.Waiting(ctx)
		if err == nil {
			w.wait(waiting)
		} else if ctx.Err() == nil {
			w.log.Warn("webhook events that wait cannot be counted", "error", err)
		}
	}
}

// Close ends the watch. Call it after Run has returned.
func (w *Webhooks) Close() {
	w.close.Do(func() {
		w.stop()
		w.client.CloseIdleConnections()
	})
}

// Run sends events until ctx ends. Then it brings what Emit has taken into the
// queue, gives running tries a moment to end, and returns nil; what is not
// delivered is still in the queue.
func (w *Webhooks) Run(ctx context.Context) error {
	last, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	r := &runner{Webhooks: w, ctx: ctx, last: last, offs: make(chan struct{}, maxPutOffs)}
	stop, err := w.queue.Work(r.dispatch)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	var in sync.WaitGroup
	in.Go(func() { w.handOver(ctx, last) })
	if w.shared {
		in.Go(func() { w.recount(ctx) })
	}
	<-ctx.Done()
	late := time.AfterFunc(stopGrace, cut)
	defer late.Stop()
	stop()
	in.Wait()
	r.tries.Wait()
	return nil
}
