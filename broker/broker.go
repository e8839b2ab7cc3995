package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/door/pusher"
	"github.com/fanfarehq/fanfare/broker/door/sse"
	"github.com/fanfarehq/fanfare/broker/door/ws"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/ledger"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/dashboard"
	"github.com/fanfarehq/fanfare/sdk/js"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Broker is a Fanfare node. All methods may be called concurrently, Run once.
// It lives from New to Close.
type Broker struct {
	config      Config
	log         *slog.Logger
	bus         *bus.Bus
	tenants     *tenant.Tenants
	hooks       *webhook.Webhooks
	hub         *hub.Hub
	stats       *stats.Stats
	ledger      *ledger.Ledger
	sessions    *session.Set
	ws          *ws.Door
	front       *front
	listener    net.Listener // nil with Listen "-"
	certificate *certificate // nil: plain HTTP
	server      *http.Server
	base        context.Context // of all requests
	cut         context.CancelFunc
	serving     sync.WaitGroup
	failed      chan error
	served      bool // serve was called; of New and then of Run
	welcome     Welcome
	unwatch     func() // ends what watches the tenants
	ceiling     ceiling
	draining    atomic.Bool
	close       sync.Once
}

// New opens the data folder, starts the rooms and listens; Run serves. At the
// first start it makes an account, the app demo and its keys. Errors are one
// line that a person can act on.
func New(ctx context.Context, c Config) (*Broker, error) {
	c = c.withDefaults()
	b := &Broker{config: c, log: c.Logger, stats: stats.New(), front: &front{}, failed: make(chan error, 2), ceiling: ceiling{most: c.MaxMemory, log: c.Logger}}
	b.base, b.cut = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.build(ctx); err != nil {
		b.Close()
		return nil, explain(c, err)
	}
	return b, nil
}

func (b *Broker) build(ctx context.Context) (err error) {
	c := b.config
	if c.Sync != "" && c.Sync != "interval" && c.Sync != "always" {
		return fmt.Errorf("sync is %q: choose interval or always", c.Sync)
	}
	scheme := "http"
	if c.TLSCert != "" || c.TLSKey != "" {
		if b.certificate, err = openCertificate(c.TLSCert, c.TLSKey, b.log); err != nil {
			return err
		}
		scheme = "https"
	}
	if c.Listen != "-" {
		if b.listener, err = net.Listen("tcp", c.Listen); err != nil {
			return err
		}
		if c.PublicURL == "" {
			c.PublicURL = urlOf(scheme, b.listener.Addr())
		}
	}
	f, isFirst, key, err := b.open(ctx)
	if err != nil {
		return err
	}
	if err := writeEnv(c.Data, c.PublicURL, f); err != nil {
		return err
	}
	code, _, err := b.tenants.NewLink(ctx, f.Account)
	if err != nil {
		return fmt.Errorf("make the sign-in link: %w", err)
	}
	if err := ensureRules(ctx, b.tenants, f, c.Rules); err != nil {
		return err
	}
	b.welcome = Welcome{
		URL: c.PublicURL, App: f.App, PublishableKey: f.PublishableKey, SecretKey: f.SecretKey,
		AccountToken: f.AccountToken, Doors: f.Doors, Link: c.PublicURL + "/dashboard/#code=" + code, FirstStart: isFirst, DataDir: c.Data,
	}

	counters := b.stats
	if b.hooks, err = b.openWebhooks(ctx, key, counters); err != nil {
		return err
	}
	o := hub.Options{Bus: b.bus, Stats: counters, Log: b.log, Events: b.hooks.Emit, Published: b.published}
	if c.Cluster != nil {
		o.Peers, o.Node, o.Wants = b.bus.Peers(), b.bus.Peers().ID(), b.hooks.Wants
		b.tenants.Share(b.bus.Peers())
	}
	if b.hub, err = hub.New(o); err != nil {
		return err
	}
	if b.ledger, err = b.openLedger(ctx); err != nil {
		return err
	}
	b.sessions = session.NewSet(session.Options{
		Auth: b.tenants, Hub: b.hub, Presence: b.hub, Stats: counters, Log: b.log, Closed: b.hooks.Emit,
		PingInterval: c.PingInterval, QueueBytes: c.QueueBytes,
		MaxConnections: cmp.Or(c.MaxConnections, mostConnections()), Full: b.ceiling.full,
	})
	if c.Cluster != nil {
		b.sessions.Join(b.bus.Peers())
		b.bus.OnRenewal(b.sessions.Renew)
	}
	b.unwatch = b.tenants.OnChange(b.sessions.Recheck)
	mux := http.NewServeMux()
	b.ws = ws.New(b.sessions)
	mux.Handle("/v1/ws", b.ws)
	foreign := pusher.New(pusher.Options{Tenants: b.tenants, Sessions: b.sessions, Hub: b.hub, Stats: counters, Log: b.log, Speak: b.ws.Speak})
	mux.Handle("/app/", foreign)
	mux.Handle("/apps/", foreign)
	mux.Handle("/v1/sse", sse.Handler(b.sessions, b.tenants))
	b.goeasy(counters).Register(mux)
	mux.Handle(BackupPath, b.backups(f.Account))
	mux.Handle(ClusterPath, b.state(f.Account))
	mux.Handle("/", api.New(api.Options{
		Tenants: b.tenants, Hub: b.hub, Crowd: b.hub, Connections: b.sessions, Webhooks: b.hooks, Deliveries: b.hooks, Ledger: b.ledger, Refusals: b.ledger, Operator: f.Account, Stats: counters, Ready: b.ready, Logger: b.log, MetricsOpen: c.MetricsOpen,
		Version: api.Version{Version: c.Version, Commit: c.Commit}, Durability: c.Sync, SDK: js.Dist, Dashboard: dashboard.Handler(),
	}))
	var all http.Handler = mux
	b.front.real.Store(&all)
	return nil
}

// open opens the bus and the tenants, and finds what the first start made.
func (b *Broker) open(ctx context.Context) (f first, isFirst bool, key [32]byte, err error) {
	c := b.config
	o := bus.Options{Dir: c.Data, Logger: b.log, SyncAlways: c.Sync == "always"}
	if c.Cluster != nil {
		if o.Name, o.Cluster, err = c.Cluster.options(b.front.waiting); err != nil {
			return f, false, key, err
		}
		b.serve()
	}
	if b.bus, err = bus.Open(ctx, o); err != nil {
		return f, false, key, err
	}
	if c.Cluster == nil {
		if key, err = masterKey(c.Data); err != nil {
			return f, false, key, err
		}
		if b.tenants, err = b.openTenants(ctx, key); err != nil {
			return f, false, key, err
		}
		f, isFirst, err = begin(ctx, c.Data, b.tenants)
		return f, isFirst, key, err
	}
	bucket, err := b.bus.Bucket(ctx, bus.ClusterBucket, bus.BucketOptions{})
	if err != nil {
		return f, false, key, err
	}
	s := &shared{bucket: bucket, config: c, seeded: b.bus.Seeded()}
	if key, err = s.masterKey(ctx); err != nil {
		return f, false, key, err
	}
	if b.tenants, err = b.openTenants(ctx, key); err != nil {
		return f, false, key, err
	}
	if f, isFirst, err = s.first(ctx, key, func() (first, bool, error) { return begin(ctx, c.Data, b.tenants) }); err != nil {
		return f, false, key, err
	}
	return f, isFirst, key, b.tenants.Await(ctx, f.Account)
}

func (b *Broker) openTenants(ctx context.Context, key [32]byte) (*tenant.Tenants, error) {
	records, err := b.bus.Bucket(ctx, "tenant", bus.BucketOptions{})
	if err != nil {
		return nil, err
	}
	tickets, err := b.bus.Bucket(ctx, "tickets", bus.BucketOptions{MaxAge: time.Hour, Relaxed: true})
	if err != nil {
		return nil, err
	}
	sessions, err := b.bus.Bucket(ctx, "sessions", bus.BucketOptions{MaxAge: 24 * time.Hour, Relaxed: true})
	if err != nil {
		return nil, err
	}
	return tenant.Open(ctx, tenant.Options{Records: records, Tickets: tickets, Sessions: sessions, MasterKey: key, Stats: b.stats, Logger: b.log})
}

// explain makes one line of the faults that people meet at the start.
func explain(c Config, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken by another program: stop that one, or choose another address with --listen", c.Listen)
	case errors.Is(err, syscall.EACCES) && c.Listen != "-" && isListenError(err):
		return fmt.Errorf("no permission to listen on %s: choose a port over 1023 with --listen", c.Listen)
	case errors.Is(err, bus.ErrLocked):
		return fmt.Errorf("another Fanfare runs on the data folder %s: stop that one, or choose another folder with --data", c.Data)
	case errors.Is(err, bus.ErrDiskFull), errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk of the data folder %s is full: free some space, or choose another folder with --data", c.Data)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission for the data folder %s: choose another one with --data (%w)", c.Data, err)
	}
	return err
}

func isListenError(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// Welcome is what to tell the person who started the node.
func (b *Broker) Welcome() Welcome { return b.welcome }

// Handler serves all of the node: doors, REST, dashboard, SDK.
func (b *Broker) Handler() http.Handler { return b.front }

func (b *Broker) ready(ctx context.Context) error {
	if b.draining.Load() {
		return protocol.NewError(protocol.CodeRestarting)
	}
	return b.bus.Ready(ctx)
}

// Run serves until ctx ends, then sends the clients away over DrainTime and
// lets running requests finish. It returns nil after such a stop.
func (b *Broker) Run(ctx context.Context) error {
	defer b.cut()
	b.serve()
	b.serving.Go(func() { b.ceiling.run(b.base) })
	b.serving.Go(func() { _ = b.ledger.Run(b.base) }) // nil, when base ends
	sending, endSending := context.WithCancel(b.base)
	defer endSending()
	b.serving.Go(func() {
		if err := b.hooks.Run(sending); err != nil && sending.Err() == nil {
			b.failed <- fmt.Errorf("webhooks: %w", err)
		}
	})
	var err error
	select {
	case <-ctx.Done():
		b.log.Info("stopping", "sessions", b.sessions.Len())
	case err = <-b.failed:
	}
	b.draining.Store(true)
	stop, cancel := context.WithTimeout(b.base, b.config.DrainTime+5*time.Second)
	defer cancel()
	b.sessions.Drain(stop, b.config.DrainTime)
	if b.server != nil {
		if serr := b.server.Shutdown(stop); serr != nil && err == nil {
			b.log.Warn("some requests were cut off", "err", serr)
		}
	}
	b.cut()
	b.sessions.Close()
	b.serving.Wait()
	return err
}

// serve begins to answer on the listener, if there is one, unless it has.
func (b *Broker) serve() {
	if b.served || b.listener == nil {
		return
	}
	b.served = true
	b.server = &http.Server{
		Handler:           b.front,
		BaseContext:       func(net.Listener) context.Context { return b.base },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	b.serving.Go(func() {
		if err := b.accept(); !errors.Is(err, http.ErrServerClosed) {
			b.failed <- fmt.Errorf("serve: %w", err)
		}
	})
}

// accept serves on the listener until the server is shut down.
func (b *Broker) accept() error {
	if b.certificate == nil {
		return b.server.Serve(b.listener)
	}
	b.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: b.certificate.get}
	return b.server.ServeTLS(b.listener, "", "")
}

// Close ends the rooms top-down and frees the data folder. Call it after Run
// has returned.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		if b.listener != nil {
			_ = b.listener.Close()
		}
		if b.server != nil { // a node that did not come to Run
			_ = b.server.Close()
		}
		b.cut()
		b.serving.Wait()
		if b.unwatch != nil {
			b.unwatch()
		}
		if b.sessions != nil {
			b.sessions.Close()
			b.ws.Close()
		}
		if b.hub != nil {
			b.hub.Close()
		}
		if b.ledger != nil {
			if err := b.ledger.Close(); err != nil {
				b.log.Error("what apps used in the last second is lost", "error", err)
			}
		}
		if b.hooks != nil {
			b.hooks.Close()
		}
		if b.tenants != nil {
			b.tenants.Close()
		}
		if b.bus != nil {
			err = b.bus.Close()
		}
	})
	return err
}
