package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// guard keeps requests, whose URLs strangers give, out of the networks that
// this server can reach and they cannot. It looks at the address that is
// dialled, after the name was looked up: a name may stand for anything, and for
// something else a moment later. It is read-only.
type guard struct {
	private bool // every address is allowed, and plain http
	taken   []netip.Prefix
}

var errPrivate = errors.New("its address is not one of the public internet")

func newGuard(private bool) *guard {
	g := &guard{private: private}
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32",                                                          // a cloud's own service for its machines, at a public number
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", // tunnels, which hide another address, and documentation
	} {
		g.taken = append(g.taken, netip.MustParsePrefix(p))
	}
	return g
}

// public reports whether a is an address of the internet at large.
func (g *guard) public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return false
	}
	if a.Is6() && a.As16()[0]&0xe0 != 0x20 { // IPv6 has given out 2000::/3 and nothing else
		return false
	}
	for _, p := range g.taken {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// check is called with each address before it is dialled.
func (g *guard) check(_ context.Context, _, address string, _ syscall.RawConn) error {
	if g.private {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !g.public(ap.Addr()) {
		return errPrivate
	}
	return nil
}

// client is an HTTP client that goes nowhere else than the guard lets it.
func (g *guard) client(r *net.Resolver) *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second, ControlContext: g.check, Resolver: r}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            d.DialContext,
			Proxy:                  nil, // one would dial for us, past the guard
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    perEndpoint,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

const maxURL = 2048 // bytes

// checkURL returns a url_not_allowed unless text may be an endpoint's URL, as
// far as can be told without looking its name up.
func (g *guard) checkURL(text string) error {
	u, err := url.Parse(text)
	refuse := func(why string) error {
		return protocol.Errorf(protocol.CodeURLNotAllowed, "Events are not sent to that address: %s.", why)
	}
	switch {
	case err != nil || len(text) > maxURL || u.Hostname() == "" || u.Opaque != "":
		return refuse("it is no URL")
	case u.Scheme != "https" && (!g.private || u.Scheme != "http"):
		return refuse("its scheme is not https")
	case u.User != nil:
		return refuse("it has a user in it")
	case u.Fragment != "":
		return refuse("it has a fragment")
	case g.private:
		return nil
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if a, err := netip.ParseAddr(host); err == nil {
		if !g.public(a) {
			return refuse(errPrivate.Error())
		}
		return nil
	}
	for _, local := range []string{"localhost", ".localhost", ".local", ".internal"} {
		if host == local || strings.HasSuffix(host, local) && local[0] == '.' {
			return refuse("its name is that of a private network")
		}
	}
	if !strings.Contains(host, ".") {
		return refuse("its name has no dot, so it is not one of the public internet")
	}
	return nil
}
