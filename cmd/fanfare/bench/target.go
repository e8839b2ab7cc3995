package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// target is embedded in each benchmark: which server, and how to speak to it.
type target struct {
	URL          string `name:"url" setting:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server's address."`
	Wire         string `enum:"fanfare,sse,pusher,plain,nchan,nchan-sse,centrifuge" default:"fanfare" placeholder:"WIRE" help:"What is spoken: ${enum}."`
	Key          string `setting:"secret_key" placeholder:"KEY" help:"The secret key of the app to use. Default: an app without limits is made for the run, where there is an account token."`
	AccountToken string `setting:"account_token" placeholder:"ffa_…" help:"The account's token."`
	Ephemeral    bool   `help:"Use channels that keep nothing. Default: durable ones."`
	Pusher       string `placeholder:"APP:KEY:SECRET" help:"For --wire pusher: the app's credentials."`
	PID          []int  `name:"pid" placeholder:"PID" help:"The server's process, with its children, for CPU and memory. Default: the one that listens at the address, where it can be found."`
	From         string `placeholder:"ADDRESSES" help:"Source addresses, as 127.0.0.1-8 (each has some 28,000 ports). Default: as many of 127.0.0.1-250 as are needed."`
	AllowRemote  bool   `help:"Load a server on another machine. Ask who runs it first."`
	JSON         bool   `name:"json" help:"Write JSON, for programs."`
	SVG          string `name:"svg" placeholder:"FILE" complete:"file" help:"Write a plot of the latencies, too."`

	host, path string
	addr       netip.AddrPort
	from       []netip.Addr
	key        string
	prefix     string // of channel names
	keep       int    // messages that a channel has to keep; 0: what it does by default
	wire       wire
}

// run opens the target for n connections, measures, puts all back, and writes
// the report.
func (t *target) run(ctx context.Context, con *Console, report *Report, n int, measure func(context.Context, *loop, *progress, *Report) error) error {
	closed, err := t.open(ctx, con, n)
	if err != nil {
		return err
	}
	defer closed()
	l, err := newLoop()
	if err != nil {
		return err
	}
	defer l.close()
	report.Wire, report.URL, report.Started = t.Wire, t.URL, time.Now()
	p := newProgress(con)
	err = measure(ctx, l, p, report)
	p.clear()
	if err != nil {
		return err
	}
	if t.SVG != "" {
		c := linesOf([]string{t.Wire}, []*Report{report})
		if c == nil {
			return &Failure{Message: "there are no latencies to plot", Remedy: "Leave --svg out.", Usage: true}
		}
		c.title = report.title
		if err := writeSVG(t.SVG, c); err != nil {
			return err
		}
	}
	return report.write(con, t.JSON)
}

// portsEach is how many connections to one server a source address is used
// for: what Linux has by default is some 28,000.
const portsEach = 25_000

// open checks the target, prepares it for n connections, and returns what
// puts it back.
func (t *target) open(ctx context.Context, con *Console, n int) (closed func(), err error) {
	if err := t.resolve(ctx, con); err != nil {
		return nil, err
	}
	if err := t.sources(n); err != nil {
		return nil, err
	}
	if err := allowFiles(n + spareFiles); err != nil {
		return nil, err
	}
	closed = func() {}
	if t.ours() {
		if closed, err = t.app(ctx, con); err != nil {
			return nil, err
		}
	}
	if t.wire, err = newWire(t); err != nil {
		closed()
		return nil, err
	}
	if len(t.PID) == 0 {
		t.PID = listener(t.addr)
	}
	for _, pid := range t.PID {
		if _, err := readProcess(pid); err != nil {
			closed()
			return nil, &Failure{Message: fmt.Sprintf("--pid: there is no process %d to look at", pid), Remedy: "Name a process on this machine that you may look at.", Usage: true, Err: err}
		}
	}
	return closed, nil
}

// ours reports a wire of our own server, which has apps.
func (t *target) ours() bool { return t.Wire == "fanfare" || t.Wire == "sse" }

// resolve finds the server's address and sees that it is this machine's.
func (t *target) resolve(ctx context.Context, con *Console) error {
	u, err := url.Parse(strings.TrimRight(t.URL, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" {
		return &Failure{Message: "bench speaks plain HTTP to an address like http://127.0.0.1:8080, and not to " + t.URL, Remedy: "Name the server itself with --url, not a proxy in front of it.", Usage: true}
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(ips) == 0 {
		return &Failure{Message: "there is no address for " + u.Hostname(), Remedy: "Check --url.", Err: err}
	}
	t.host, t.path = u.Host, u.Path
	if t.addr, err = netip.ParseAddrPort(net.JoinHostPort(ips[0].Unmap().String(), port)); err != nil {
		return &Failure{Message: t.URL + " has no valid port", Remedy: "Check --url.", Usage: true, Err: err}
	}
	if !t.addr.Addr().IsLoopback() {
		if !t.AllowRemote {
			return &Failure{Message: fmt.Sprintf("%s is not on this machine, and bench would put heavy load on it", t.host), Remedy: "Run bench on the server's machine; or, where all who use the server and the network agree, add --allow-remote.", Usage: true}
		}
		fmt.Fprintf(con.Err, "fanfare: warning: this puts heavy load on %s and on the network to it\n", t.host)
	}
	c, err := net.DialTimeout("tcp", t.addr.String(), 5*time.Second)
	if err != nil {
		return &Failure{Message: "nothing listens at " + t.URL, Remedy: "Start the server (fanfare serve), or name another one with --url or FANFARE_URL.", Err: err}
	}
	return c.Close()
}

// sources reads --from, or takes as many loopback addresses as n connections
// need.
func (t *target) sources(n int) error {
	if t.From == "" {
		if t.addr.Addr().Is4() && t.addr.Addr().IsLoopback() && n > portsEach {
			for i := range min(250, (n+portsEach-1)/portsEach) {
				t.from = append(t.from, netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}))
			}
		}
		return nil
	}
	bad := &Failure{Message: fmt.Sprintf("--from: %q is no range of addresses", t.From), Remedy: "Write it like 127.0.0.1-8, or like 127.0.0.1.", Usage: true}
	first, last, isRange := strings.Cut(t.From, "-")
	a, err := netip.ParseAddr(first)
	if err != nil || !a.Is4() || !t.addr.Addr().Is4() {
		return bad
	}
	end := int(a.As4()[3])
	if isRange {
		if _, err := fmt.Sscanf(last+";", "%d;", &end); err != nil || end < int(a.As4()[3]) || end > 254 {
			return bad
		}
	}
	for ; int(a.As4()[3]) <= end; a = a.Next() {
		t.from = append(t.from, a)
		if a.As4()[3] == 255 {
			break
		}
	}
	return nil
}

// source is the address that connection i comes from; the zero Addr leaves it
// to the kernel.
func (t *target) source(i int) netip.Addr {
	if len(t.from) == 0 {
		return netip.Addr{}
	}
	return t.from[i%len(t.from)]
}

// The namespaces of the run's own app that keep nothing, and target.keep.
const (
	namespaceEphemeral = "ephemeral"
	namespaceKept      = "kept"
)

// app sees to an app to use: with --key the key's; else one of its own, made
// with the account token, without limits that matter, and deleted in the end.
func (t *target) app(ctx context.Context, con *Console) (func(), error) {
	t.key, t.prefix = t.Key, "bench-"
	given := t.Key != "" && con.From("key") == ""
	if given || t.AccountToken == "" {
		if t.Key == "" {
			return nil, &Failure{Message: "this needs an account token or a secret key, and there is none", Remedy: "Run it with --data naming the server's data folder, or pass --account-token or --key.", Usage: true}
		}
		if t.Ephemeral {
			return nil, &Failure{Message: "--ephemeral needs an app of its own, which --key rules out", Remedy: "Leave --key out and give --account-token, or --data naming the server's data folder.", Usage: true}
		}
		return func() {}, nil
	}
	ask := func(ctx context.Context, method, path string, in, out any) error {
		return con.Ask(ctx, t.URL, t.AccountToken, method, path, in, out)
	}
	type object = map[string]any
	rules := []object{{"namespace": namespaceEphemeral, "ephemeral": true}}
	if t.keep > 0 {
		rules = append(rules, object{"namespace": namespaceKept, "history": object{"messages": t.keep, "age": 300}})
	}
	var app struct{ ID string }
	err := ask(ctx, http.MethodPost, "/v1/apps", object{
		"name": fmt.Sprintf("bench-%08x", rand.Uint32()),
		"limits": object{
			"connections": 1_000_000, "channels_per_connection": 100_000, "message_bytes": 1_000_000,
			"publish_per_second": 1_000_000, "subscribe_per_second": 100_000,
		},
		"rules": rules,
	}, &app)
	if err != nil {
		return nil, err
	}
	closed := func() {
		// Also after an interrupt; an app that is left behind does no harm.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := ask(ctx, http.MethodDelete, "/v1/apps/"+url.PathEscape(app.ID), nil, nil); err != nil {
			fmt.Fprintf(con.Err, "fanfare: warning: the app %s that bench made is still there: %v\n", app.ID, err)
		}
	}
	var key struct{ Key string }
	if err := ask(ctx, http.MethodPost, "/v1/apps/"+url.PathEscape(app.ID)+"/keys", object{"kind": "secret", "name": "bench"}, &key); err != nil {
		closed()
		return nil, err
	}
	t.key = key.Key
	if t.Ephemeral {
		t.prefix = namespaceEphemeral + ":" + t.prefix
	} else if t.keep > 0 {
		t.prefix = namespaceKept + ":" + t.prefix
	}
	return closed, nil
}

// check returns a Failure where a count is out of its range.
func check(flag string, n, least, most int) error {
	if n < least || n > most {
		return &Failure{Message: fmt.Sprintf("--%s is %d; it must be from %d to %d", flag, n, least, most), Remedy: "See fanfare bench --help.", Usage: true}
	}
	return nil
}

// checkRate is check for messages a second.
func checkRate(rate float64) error {
	if rate > 0 && rate <= 1_000_000 {
		return nil
	}
	return &Failure{Message: fmt.Sprintf("--rate is %v; it must be more than 0 and at most 1000000 messages a second", rate), Remedy: "See fanfare bench --help.", Usage: true}
}

// checkTime is check for lengths of time.
func checkTime(flag string, d, most time.Duration) error {
	if d <= 0 || d > most {
		return &Failure{Message: fmt.Sprintf("--%s is %v; it must be more than 0 and at most %v", flag, d, most), Remedy: "See fanfare bench --help.", Usage: true}
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
