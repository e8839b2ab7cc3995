package broker

import (
	"cmp"
	"log/slog"
	"net"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
)

// Config says how a node runs. The zero value is a node for trying things out
// on this machine.
type Config struct {
	// Listen is the address of the HTTP server, default 127.0.0.1:8080; port
	// 0 takes a free one. "-" opens none: the caller serves Handler itself and
	// must set PublicURL.
	Listen string
	// Data is the folder that holds everything, default ./fanfare-data. One
	// process at a time.
	Data string
	// PublicURL is how clients reach this node, default made from Listen.
	PublicURL string
	// TLSCert and TLSKey are the files (PEM) of a certificate and its key, by
	// which Listen speaks TLS; "" both: it speaks plain HTTP. They are read
	// again when they change.
	TLSCert, TLSKey string
	// MetricsOpen lets others than this machine read /metrics.
	MetricsOpen bool
	// WebhooksPrivate lets webhooks go to plain http and to private networks,
	// this machine included. Danger: then everybody with an account can make
	// this server send requests into its own network. For development.
	WebhooksPrivate bool
	// DrainTime is how long a stop takes to send clients away, default 5 s.
	// Clients spread their coming back over it.
	DrainTime time.Duration
	// PingInterval is the time between pings, default 25 s.
	PingInterval time.Duration
	// QueueBytes is what may wait for one slow client, default 1 MiB.
	QueueBytes int
	// MaxConnections is the most realtime connections at a time; default: what
	// the system's limit of open files leaves. MaxMemory is how many bytes of
	// memory the process may use, as Go's runtime counts them; 0: any. Past
	// either, new connections are told to come back later (4100, or 503 with
	// Retry-After), and the others live on.
	MaxConnections int
	MaxMemory      uint64
	// Sync is when messages of durable channels reach the disk: "interval",
	// the default, within a second, which a power cut may cost; "always",
	// before a publish is answered. The death of the process loses none either
	// way. Accounts, apps and keys are always synced.
	Sync string
	// Rules are for namespaces of the first app, of a program that embeds the
	// node and keeps things in it. They are added where there is no rule for the
	// namespace yet.
	Rules []tenant.Rule
	// Cluster, if any, makes this node one of several. New then waits until
	// there is a cluster; meanwhile the node answers on Listen for its health.
	Cluster *Cluster
	// Logger is where the log goes, default slog.Default().
	Logger *slog.Logger
	// Version and Commit are what /version says.
	Version, Commit string
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8080"
	}
	if c.Data == "" {
		c.Data = "fanfare-data"
	}
	if c.DrainTime == 0 {
		c.DrainTime = 5 * time.Second
	}
	if c.Cluster != nil {
		own := *c.Cluster
		own.Name = cmp.Or(own.Name, "fanfare")
		c.Cluster = &own
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	return c
}

// urlOf is the URL of a listener's address as a browser on this machine
// reaches it.
func urlOf(scheme string, addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
