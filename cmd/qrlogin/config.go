package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// config is what the command line and the environment say.
type config struct {
	listen       string
	data         string
	publicURL    string
	site         string
	demoPassword string
	proxies      []netip.Prefix // whose X-Forwarded-For is believed
	fanfareURL   string         // "" = embedded
	fanfareKey   string
	digits       string // qrlogin.Policy
	times        qrlogin.Times
	hosts        string // a file, see readHosts
	devices      []qrlogin.DeviceClient
	clients      string // a file, see openClients
	forward      string // the domain of apps behind proxies
}

const usage = `qrlogin signs people in by scanning a QR code with a phone.

  qrlogin [flags]
  qrlogin client add|list|remove   apps that sign their people in here (OpenID Connect)

Flags (each also as environment variable, such as QRLOGIN_LISTEN):
`

// flagsOf makes flags whose defaults the environment may replace.
func flagsOf(fs *flag.FlagSet, env func(string) string) func(to *string, name, def, what string) {
	return func(to *string, name, def, what string) {
		if v := env("QRLOGIN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); v != "" {
			def = v
		}
		fs.StringVar(to, name, def, what)
	}
}

// parseConfig reads flags; what they leave out comes from the environment,
// then from the defaults.
func parseConfig(args []string, env func(string) string, out io.Writer) (config, error) {
	var c config
	var proxies, devices string
	fs := flag.NewFlagSet("qrlogin", flag.ContinueOnError)
	fs.SetOutput(out)
	text := flagsOf(fs, env)
	text(&c.listen, "listen", "127.0.0.1:8090", "`address` to listen on; 0.0.0.0:8090 for all of the network")
	text(&c.data, "data", "qrlogin-data", "`folder` for the users and, when embedded, for Fanfare")
	text(&c.publicURL, "public-url", "", "`URL` at which phones reach this app; default made from --listen")
	text(&c.site, "site", "Fanfare Demo", "`name` of the site, as people see it")
	text(&c.digits, "digits", string(qrlogin.Adaptive), "`when` the phone's digits have to be typed: adaptive, always, never")
	fs.DurationVar(&c.times.FirstTicket, "first-code", time.Minute, "how long the first code `lasts`")
	fs.DurationVar(&c.times.NextTicket, "next-code", 30*time.Second, "how long each code after it `lasts`")
	fs.DurationVar(&c.times.Decide, "decide", 2*time.Minute, "how long the phone may `take` to decide")
	fs.DurationVar(&c.times.Device, "device-code", 10*time.Minute, "how long a device's code `lasts`")
	fs.DurationVar(&c.times.Grace, "grace", 10*time.Second, "how long a replaced code is still `taken`")
	text(&c.hosts, "hosts", "", "JSON `file` with the backends that may use the API under /qr/host/")
	text(&devices, "devices", "", "public `clients` that may sign in by a code (RFC 8628), like 'tv=Living room TV,cli=Command line'")
	text(&c.clients, "clients", "", "JSON `file` with the apps that sign their people in here (OpenID Connect); default clients.json in the data folder")
	text(&c.forward, "forward-domain", "", "`domain`, like example.com, whose apps' proxies may ask at /forward/auth who is signed in; this site has to be under it, too")
	text(&proxies, "trusted-proxy", "", "`networks` of proxies whose X-Forwarded-… is believed, like 10.0.0.0/8,::1")
	// Its default is not shown in the usage, because it may be a password.
	fs.StringVar(&c.demoPassword, "demo-password", "", "new `password` of the user demo, at least 8 characters; default a random one at the first start")
	fs.Usage = func() {
		_, _ = fmt.Fprint(out, usage)
		fs.PrintDefaults()
		_, _ = fmt.Fprint(out, "\nFANFARE_URL and FANFARE_SECRET_KEY name a Fanfare to use; without them one is embedded.\n")
	}
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("%q is no flag: see qrlogin --help", fs.Arg(0))
	}
	if c.demoPassword == "" {
		c.demoPassword = env("QRLOGIN_DEMO_PASSWORD")
	}
	c.fanfareURL, c.fanfareKey = env("FANFARE_URL"), env("FANFARE_SECRET_KEY")
	for one := range strings.SplitSeq(devices, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		id, name, ok := strings.Cut(one, "=")
		if !ok || id == "" || name == "" {
			return c, fmt.Errorf("--devices %q: give id=name, with commas between", one)
		}
		c.devices = append(c.devices, qrlogin.DeviceClient{ID: id, Name: name, Scopes: []string{"profile", "openid", "offline_access"}})
	}
	return c, c.check(proxies)
}

func (c *config) check(proxies string) error {
	if _, _, err := net.SplitHostPort(c.listen); err != nil {
		return fmt.Errorf("--listen %q: give address and port, like 127.0.0.1:8090", c.listen)
	}
	if c.publicURL != "" {
		u, err := url.Parse(c.publicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("--public-url %q: give scheme and host, like https://id.example.com", c.publicURL)
		}
	}
	if err := c.checkForward(); err != nil {
		return err
	}
	for part := range strings.FieldsFuncSeq(proxies, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			a, aerr := netip.ParseAddr(part)
			if aerr != nil {
				return fmt.Errorf("--trusted-proxy %q: give networks like 10.0.0.0/8 or addresses, with commas between", part)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		c.proxies = append(c.proxies, p.Masked())
	}
	switch qrlogin.Policy(c.digits) {
	case qrlogin.Adaptive, qrlogin.Always, qrlogin.Never:
	default:
		return fmt.Errorf("--digits %q: give adaptive, always or never", c.digits)
	}
	if t := c.times; t.FirstTicket < time.Second || t.NextTicket < time.Second || t.Decide < time.Second || t.Device < time.Second || max(t.FirstTicket, t.NextTicket, t.Decide, t.Device) > 10*time.Minute {
		return errors.New("--first-code, --next-code, --decide and --device-code: give from 1s to 10m")
	}
	if c.demoPassword != "" && len(c.demoPassword) < 8 {
		return errors.New("--demo-password is too short: give at least 8 characters")
	}
	if c.forward != "" && len(c.proxies) == 0 {
		return errors.New("--forward-domain needs --trusted-proxy: name the networks of the proxies that ask")
	}
	if (c.fanfareURL == "") != (c.fanfareKey == "") {
		return errors.New("set both FANFARE_URL and FANFARE_SECRET_KEY, or neither to embed Fanfare")
	}
	return nil
}

// checkForward: browsers take a cookie for a domain of two names or more, from
// a site under it.
func (c *config) checkForward() error {
	if c.forward == "" {
		return nil
	}
	c.forward = strings.ToLower(strings.TrimPrefix(c.forward, "."))
	_, notIP := netip.ParseAddr(c.forward)
	if strings.Count(c.forward, ".") == 0 || strings.ContainsAny(c.forward, "/:@*, ") || notIP == nil {
		return fmt.Errorf("--forward-domain %q: give the domain above your apps, like example.com", c.forward)
	}
	u, err := url.Parse(c.publicURL)
	if err != nil || !under(u.Hostname(), c.forward) {
		return fmt.Errorf("--public-url %q is not under --forward-domain %s, so browsers would not take its cookie", c.publicURL, c.forward)
	}
	return nil
}
