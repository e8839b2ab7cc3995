package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cluster is how a node is one of several. All of it but Listen, and what
// Routes leave out, is the same on all nodes.
type Cluster struct {
	Name   string   // 1 to 64 characters of A-Z a-z 0-9 _ -
	Listen string   // host:port for the other nodes; never a public address
	Routes []string // host:port, or nats://host:port, of the other nodes; this one may be among them
	Secret string   // which the nodes know each other by: 16 characters and more

	// URL is of a NATS cluster with JetStream of its own, in place of Listen
	// and Routes: this process then keeps no messages.
	URL string

	// Waiting, if any, is told what Open waits for, and "" at the end.
	Waiting func(reason string)
}

// The sizes that a cluster may have. Each node keeps everything, so that it
// reads the past without asking another one; of two nodes neither could go on
// alone.
const (
	leastNodes  = 3
	mostNodes   = 5
	leastSecret = 16

	waitingPause = 250 * time.Millisecond
	dialPatience = 300 * time.Millisecond
)

// checked is c with its routes as host:port, without this node's own.
func (c Cluster) checked(node string) (Cluster, error) {
	if !validApp(c.Name) {
		return c, fmt.Errorf("the cluster's name %q is not valid: use 1 to 64 letters, digits, _ or -", c.Name)
	}
	if !validApp(node) {
		return c, fmt.Errorf("the node's name %q is not valid: use 1 to 64 letters, digits, _ or -, another one for each node", node)
	}
	if len(c.Secret) < leastSecret {
		return c, fmt.Errorf("the cluster's secret has %d characters and needs %d: make one with openssl rand -hex 32, the same for all nodes", len(c.Secret), leastSecret)
	}
	if c.URL != "" {
		if len(c.Routes) > 0 || c.Listen != "" {
			return c, errors.New("a NATS URL and routes exclude each other: routes are for the NATS that Fanfare brings along")
		}
		return c, nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return c, fmt.Errorf("the cluster's listen address %q is not host:port (%w)", c.Listen, err)
	}
	var others []string
	for _, r := range c.Routes {
		addr, err := routeAddress(r)
		if err != nil {
			return c, err
		}
		if !c.isSelf(addr) && !slices.Contains(others, addr) {
			others = append(others, addr)
		}
	}
	c.Routes = others
	switch n := len(others) + 1; {
	case n < leastNodes:
		return c, fmt.Errorf("the routes make a cluster of %d, and the least is %d nodes: with fewer no node could go on without another. Name the other nodes in the routes, or run one node without a cluster", n, leastNodes)
	case n > mostNodes:
		return c, fmt.Errorf("the routes make a cluster of %d nodes, and the most is %d: each keeps everything. Run NATS by itself for more, and name it with the NATS URL", n, mostNodes)
	}
	return c, nil
}

// routeAddress is the host:port of a route.
func routeAddress(route string) (string, error) {
	wrong := func(why string) error {
		return fmt.Errorf("the route %q is wrong: %s; write it as host:port", redacted(route), why)
	}
	addr := route
	if strings.Contains(route, "://") {
		u, err := url.Parse(route)
		if err != nil {
			return "", wrong("it is no URL")
		}
		if u.User != nil {
			return "", wrong("a secret does not belong there, where everybody on the machine can read it, but into the cluster's secret")
		}
		if u.Scheme != "nats" && u.Scheme != "nats-route" {
			return "", wrong("its scheme is not nats")
		}
		addr = u.Host
	}
	if strings.Contains(addr, "@") {
		return "", wrong("a secret does not belong there, where everybody on the machine can read it, but into the cluster's secret")
	}
	host, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host == "" || n == 0 {
		return "", wrong("it needs a host and a port")
	}
	return addr, nil
}

// redacted is a route without what may be a secret.
func redacted(route string) string {
	if i := strings.LastIndexByte(route, '@'); i >= 0 {
		return "…" + route[i:]
	}
	return route
}

// isSelf reports whether addr is where this node itself listens.
func (c Cluster) isSelf(addr string) bool {
	host, port, _ := net.SplitHostPort(addr) // both were checked
	mine, at, _ := net.SplitHostPort(c.Listen)
	if port != at {
		return false
	}
	if host == mine {
		return true
	}
	if ip := net.ParseIP(mine); mine != "" && (ip == nil || !ip.IsUnspecified()) {
		return false
	}
	found, err := net.LookupIP(host)
	if err != nil {
		return false // unreachable anyway
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && slices.ContainsFunc(found, n.IP.Equal)
	})
}

// size is how many nodes the cluster has; 0 where that is not ours to know.
func (c *Cluster) size() int {
	if c.URL != "" {
		return 0
	}
	return len(c.Routes) + 1
}

// majority is how many nodes have to be there for anything to be stored.
func (c *Cluster) majority() int { return c.size()/2 + 1 }

// gather waits until enough nodes are here, and their store has a leader. A
// cluster that nobody has begun yet waits for all of them, since one may bring
// what it begins with.
func (b *Bus) gather(ctx context.Context) error {
	c := b.cluster
	tell := func(reason string) {
		if c.Waiting != nil {
			c.Waiting(reason)
		}
	}
	defer tell("")
	said, saidAt := "", time.Time{}
	for {
		reason, err := b.lacks(ctx)
		if err != nil || reason == "" {
			return err
		}
		tell(reason)
		if reason != said || time.Since(saidAt) > 10*time.Second {
			said, saidAt = reason, time.Now()
			b.log.Info("bus: waiting for the cluster", "reason", reason)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the cluster: %s: %w", reason, ctx.Err())
		case <-time.After(waitingPause):
		}
	}
}

// lacks says what the cluster lacks to begin.
func (b *Bus) lacks(ctx context.Context) (reason string, err error) {
	c := b.cluster
	here := 1 + len(b.peers.meshed())
	if here < c.majority() {
		return b.missing(ctx, here, c.majority()), nil
	}
	founded, err := b.founded(ctx)
	if err != nil {
		return "the store of the cluster has no leader yet", nil
	}
	if founded {
		return "", nil
	}
	b.life.founder = true // it was there before anything was acknowledged
	if here < c.size() {
		return "at its first start the cluster waits for all nodes: " + b.missing(ctx, here, c.size()), nil
	}
	switch seeds := b.peers.seeds(); {
	case b.seed == "" && len(seeds) > 0:
		return "the node " + seeds[0] + " loads a backup into the cluster", nil
	case b.seed != "" && len(seeds) > 0:
		return "", fmt.Errorf("the node %s holds a backup for the cluster, too: begin with one of the two, and empty the other's data folder", seeds[0])
	}
	return "", nil
}

// missing says which nodes are not here.
func (b *Bus) missing(ctx context.Context, here, wanted int) string {
	if b.cluster.URL != "" {
		return "NATS at " + redacted(b.cluster.URL) + " does not answer"
	}
	text := fmt.Sprintf("%d of %d nodes are here, %d are needed", here, b.cluster.size(), wanted)
	var d net.Dialer
	for _, addr := range b.cluster.Routes {
		try, cancel := context.WithTimeout(ctx, dialPatience)
		conn, err := d.DialContext(try, "tcp", addr)
		cancel()
		if err != nil {
			text += "; " + addr + " cannot be reached (" + rootOf(err) + ")"
			continue
		}
		_ = conn.Close() // it answers, which is all that was asked
	}
	if t := b.trouble.recent(); t != "" {
		text += "; " + t
	}
	return text
}

// rootOf is what went wrong at the bottom, without the addresses around it.
func rootOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// hostPort splits the address to listen on.
func hostPort(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.Atoi(text)
	return cmp.Or(host, "0.0.0.0"), port, err
}
