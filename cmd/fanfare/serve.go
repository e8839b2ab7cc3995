package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker"
)

// serving are the settings of a server.
type serving struct {
	Listen        string        `setting:"listen" default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Address to listen on; port 0 takes a free one. Default: 127.0.0.1:8080, this machine only."`
	PublicURL     string        `name:"public-url" setting:"public_url" placeholder:"URL" help:"How clients reach this server. Default: made from --listen."`
	TLSCert       string        `name:"tls-cert" setting:"tls_cert" placeholder:"FILE" complete:"file" help:"Speak TLS with the certificate in this file (PEM, the whole chain). It is read again when it changes."`
	TLSKey        string        `name:"tls-key" setting:"tls_key" placeholder:"FILE" complete:"file" help:"The file of the certificate's private key (PEM)."`
	MetricsOpen   bool          `setting:"metrics_open" help:"Let other machines read /metrics."`
	DrainTime     time.Duration `setting:"drain_time" default:"5s" placeholder:"TIME" help:"How long a stop takes to send clients away. Default: 5s."`
	Sync          string        `setting:"sync" enum:"interval,always" default:"interval" placeholder:"WHEN" help:"When published messages are forced to the disk: interval, each second, or always, before the publish is answered. Default: interval."`
	Cluster       string        `setting:"cluster" placeholder:"NAME" help:"Make this node one of a cluster of three to five of that name; see docs/guides/cluster.md."`
	Node          string        `setting:"node" placeholder:"NAME" help:"This node's name in the cluster, the same at each start. Default: the machine's name."`
	Routes        string        `setting:"routes" placeholder:"ADDRESSES" help:"The cluster's nodes, host:port with commas between."`
	ClusterListen string        `setting:"cluster_listen" default:"127.0.0.1:6222" placeholder:"ADDRESS" help:"Where this node listens for the other nodes: on a private network only. Default: 127.0.0.1:6222."`
	ClusterSecret string        `setting:"cluster_secret" placeholder:"SECRET" help:"What the nodes know each other by, the same on all. Not as a flag: set FANFARE_CLUSTER_SECRET, or name a file with FANFARE_CLUSTER_SECRET_FILE."`
	NATSURL       string        `name:"nats-url" setting:"nats_url" placeholder:"URL" help:"Use the NATS with JetStream at this address, in place of --routes."`

	MaxConns   int    `name:"max-connections" setting:"max_connections" placeholder:"N" help:"Most realtime connections at a time; more are told to come back later. Default: what the system's limit of open files leaves."`
	MaxMemory  int    `name:"max-memory" setting:"max_memory" placeholder:"MIB" help:"MiB of memory from which on new connections are told to come back later. Default: any."`
	HooksLocal bool   `name:"webhooks-private" setting:"webhooks_private" help:"Let webhooks go to plain http and private networks. For development: every tenant could reach into yours."`
	LogLevel   string `setting:"log_level" enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"What to log: debug, info, warn or error. Default: info."`
	LogFormat  string `setting:"log_format" enum:"auto,text,json" default:"auto" placeholder:"FORMAT" help:"text, json, or auto: text on a terminal and json elsewhere."`
}

type serveCmd struct {
	serving
}

// Help is part of kong.HelpProvider.
func (serveCmd) Help() string {
	return examples("fanfare", "fanfare serve --listen :8080 --data /var/lib/fanfare --public-url https://push.example.com",
		"FANFARE_LISTEN=:9000 fanfare serve --log-format json") + `

The first start makes an app called demo with its keys, and writes them to demo.env in the data folder. SIGINT or SIGTERM stops the server gracefully, a second one at once.`
}

// cluster is what the settings say of one; nil where they say nothing.
func (c *serving) cluster(s *settings) (*broker.Cluster, error) {
	if c.Cluster == "" && c.NATSURL == "" {
		for name, value := range map[string]string{"routes": c.Routes, "node": c.Node, "cluster_secret": c.ClusterSecret} {
			if value != "" {
				return nil, &failure{Message: "the setting " + name + " is for a cluster, and there is none", Remedy: "Name the cluster with --cluster, or take the setting away.", Usage: true}
			}
		}
		return nil, nil
	}
	if _, found := s.resolved["cluster-secret"]; c.ClusterSecret != "" && !found {
		return nil, &failure{Message: "the cluster's secret was given as a flag, where everybody on this machine can read it", Remedy: "Set FANFARE_CLUSTER_SECRET, or write it to a file and name that with FANFARE_CLUSTER_SECRET_FILE or cluster_secret_file in fanfare.yaml.", Usage: true}
	}
	if c.ClusterSecret == "" {
		return nil, &failure{Message: "a cluster needs a secret that its nodes share, and there is none", Remedy: "Make one with openssl rand -hex 32, the same for all nodes, and set FANFARE_CLUSTER_SECRET or FANFARE_CLUSTER_SECRET_FILE.", Usage: true}
	}
	out := &broker.Cluster{Name: c.Cluster, Node: c.Node, Secret: c.ClusterSecret, NATS: c.NATSURL}
	if c.NATSURL == "" {
		out.Listen = c.ClusterListen
	}
	for r := range strings.SplitSeq(c.Routes, ",") {
		if r = strings.TrimSpace(r); r != "" {
			out.Routes = append(out.Routes, r)
		}
	}
	return out, nil
}

// Run serves until ctx ends. What goes wrong at the start is one line.
func (c *serveCmd) Run(ctx context.Context, con *console, all *cli) error {
	began := time.Now()
	log := newLog(con.Err, c.LogLevel, c.LogFormat)
	if err := c.limitMemory(); err != nil {
		return err
	}
	v := buildVersion()
	cluster, err := c.cluster(con.Settings)
	if err != nil {
		return err
	}
	b, err := broker.New(ctx, broker.Config{
		Cluster: cluster,
		Listen:  c.Listen, Data: all.Data, PublicURL: c.PublicURL, TLSCert: c.TLSCert, TLSKey: c.TLSKey, MetricsOpen: c.MetricsOpen, DrainTime: c.DrainTime, Sync: c.Sync, WebhooksPrivate: c.HooksLocal,
		MaxConnections: c.MaxConns, MaxMemory: uint64(c.MaxMemory) << 20,
		Logger: log, Version: v.Version, Commit: v.Commit,
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	if err := welcome(con, b.Welcome(), v, took); err != nil {
		_ = b.Close()
		return fmt.Errorf("standard output: %w", err)
	}
	log.Info("ready", "url", b.Welcome().URL, "data", all.Data, "version", v.Version, "took", took.Round(time.Millisecond).String())
	err = b.Run(ctx)
	if cerr := b.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// collectAt is how much the heap may grow, in per cent of what is in use, until
// the runtime collects: with twice its default a publish costs a fifth less
// CPU, and an idle connection a sixth more memory.
const collectAt = 200

// limitMemory lets the runtime collect harder before the ceiling is reached,
// and less often otherwise. GOGC in the environment counts more.
func (c *serving) limitMemory() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	switch {
	case c.MaxConns < 0:
		return fmt.Errorf("--max-connections is %d: give the most connections, or leave it out", c.MaxConns)
	case c.MaxMemory < 0 || c.MaxMemory > 0 && c.MaxMemory < 64:
		return fmt.Errorf("--max-memory is %d MiB: give 64 or more, or leave it out", c.MaxMemory)
	case c.MaxMemory > 0:
		debug.SetMemoryLimit(int64(c.MaxMemory) << 20 / 10 * 9)
	}
	return nil
}

// newLog is the log of a server, on w. Wrong names cannot come here: kong has
// checked them.
func newLog(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "text" || (format == "auto" && isTerminal(w)) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
