package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// MaxBody is the largest Packet.Body and the largest value of a bucket, in
// bytes.
const MaxBody = 4 << 20

const (
	headroom   = 64 << 10 // for a message's headers, above MaxBody
	startLimit = 10 * time.Second
)

// startServer starts the embedded server over a folder that is locked already.
// Without a cluster it opens no port: the only way in is dial.
func (b *Bus) startServer(ctx context.Context, name string) (*server.Server, error) {
	f := b.folder
	o := &server.Options{
		ServerName:             name,
		DontListen:             true,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		MaxPayload:             MaxBody + headroom,
		MaxControlLine:         4096,
		JetStream:              true,
		StoreDir:               f.store(),
		JetStreamMaxMemory:     64 << 20,    // no stream of ours is in memory
		JetStreamMaxStore:      1 << 50,     // the disk is the limit, and is checked by itself
		SyncInterval:           time.Second, // what a power cut may cost of messages; see syncer for the rest
	}
	if b.cluster != nil {
		if err := b.clustered(o); err != nil {
			return nil, err
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("starting the message server: %w", err)
	}
	l := &serverLog{log: b.log, trouble: &b.trouble}
	s.SetLoggerV2(l, false, false, false)
	s.Start()

	if fatal := l.fatal.Load(); fatal != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, folderError(f.dir, errors.New(*fatal))
	}
	wait := startLimit
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	if !s.ReadyForConnections(wait) {
		s.Shutdown()
		s.WaitForShutdown()
		if fatal := l.fatal.Load(); fatal != nil { // an address that is taken, say
			return nil, folderError(f.dir, errors.New(*fatal))
		}
		return nil, fmt.Errorf("starting the message server in %s: not ready within %v", f.dir, wait.Round(time.Millisecond))
	}
	return s, nil
}

// clustered makes o the options of a node of a cluster. The listener for
// clients is on this machine and has a password that nobody is told: without a
// listener the server neither starts its routes nor hands its leaders on.
func (b *Bus) clustered(o *server.Options) error {
	c := b.cluster
	host, port, err := hostPort(c.Listen)
	if err != nil {
		return err
	}
	trust, err := routeTrust(c.Secret, func(s tls.ConnectionState) { b.encrypted.Store(uint32(s.Version)) })
	if err != nil {
		return err
	}
	b.password = rand.Text()
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	o.Username, o.Password = clientUser, b.password
	o.SyncAlways = b.syncAlways // which syncs many messages at once where they are replicated
	o.LameDuckDuration, o.LameDuckGracePeriod = time.Second, 10*time.Millisecond
	o.Cluster = server.ClusterOpts{
		Name: c.Name, Host: host, Port: port, Username: clientUser, Password: c.Secret,
		TLSConfig: trust, TLSTimeout: routeTLS.Seconds(),
		PoolSize: 3, NoAdvertise: true, PingInterval: 2 * time.Second, MaxPingsOut: 2,
	}
	for _, addr := range append([]string{net.JoinHostPort(cmp.Or(loopbackOf(host), host), strconv.Itoa(port))}, c.Routes...) {
		// This node's own is among them: the server counts them to know how
		// many will vote.
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(clientUser, c.Secret), Host: addr})
	}
	return nil
}

const clientUser = "fanfare"

func loopbackOf(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return ""
}

// dial makes one connection. Each use has a connection of its own, since the
// server works for a connection in its read loop: a slow read of a bucket must
// not hold up the feed.
func (b *Bus) dial(use string) (*nats.Conn, error) {
	log := b.log.With("connection", use)
	addr, options := "", []nats.Option{nats.InProcessServer(b.server), nats.UserInfo(clientUser, b.password)}
	switch {
	case b.server == nil:
		addr, options = b.cluster.URL, nil // which says who we are
	case b.password == "":
		options = options[:1]
	}
	nc, err := nats.Connect(addr, append(options, nats.Name("fanfare "+use),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ReconnectBufSize(-1), // what cannot be sent now is an error now
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("bus: connection to the message server was cut; packets may have been lost", "error", err)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
				dropped, _ := sub.Dropped()
				log.Warn("bus: reader too slow, packets were dropped", "dropped", dropped)
				return
			}
			log.Warn("bus: connection", "error", err)
		}))...)
	if err != nil {
		return nil, fmt.Errorf("connecting %s to the message server: %w", use, err)
	}
	return nc, nil
}

// serverLog carries the embedded server's log to slog. The server's notices
// are our debug lines. Its traces, which hold payloads, are never switched on,
// and are dropped here all the same.
type serverLog struct {
	log     *slog.Logger
	fatal   atomic.Pointer[string] // the first fatal line: why the server did not start
	trouble *trouble
}

func (l *serverLog) line(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	l.trouble.look(text)
	if told(text) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "bus: message server: "+text)
}

// told knows what is no news, or is told in our own words, once and not each
// second: which nodes are missing (Bus.gather, Bus.Ready), and that nodes know
// each other by a password.
func told(text string) bool {
	for _, begin := range []string{
		"Error trying to connect to route", "Plaintext passwords detected", "Waiting for routing to be established",
		"JetStream has not established contact", "TLS route handshake error", "Metalayer blocking snapshot",
	} {
		if strings.HasPrefix(text, begin) || strings.Contains(text, " - "+begin) {
			return true
		}
	}
	return false
}

func (l *serverLog) Noticef(format string, v ...any) { l.line(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.line(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.line(slog.LevelError, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.line(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(string, ...any)           {}

// Fatalf does not end the process, unlike the server's own logger: Open
// returns the line as its error.
func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
}
