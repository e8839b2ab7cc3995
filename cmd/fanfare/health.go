package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type healthCmd struct {
	URL     string        `name:"url" placeholder:"URL" help:"The server's address. Default: this machine, on the port of --listen's setting or of the data folder's server."`
	Timeout time.Duration `default:"3s" placeholder:"TIME" help:"How long to wait. Default: 3s."`
}

// Help is part of kong.HelpProvider.
func (healthCmd) Help() string {
	return examples("fanfare health && echo ready", `HEALTHCHECK CMD ["fanfare", "health"]`)
}

// Run asks the server whether it is ready. It says nothing when it is.
func (c *healthCmd) Run(ctx context.Context, con *console) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := newREST(c.address(con.Settings), "")
	if err != nil {
		return err
	}
	r.trustLoopback()
	return r.do(ctx, http.MethodGet, "/readyz", nil, nil)
}

// trustLoopback takes any certificate of a server on this machine: its own
// names another address, and nobody is between.
func (r *rest) trustLoopback() {
	u, err := url.Parse(r.base)
	if err != nil || u.Scheme != "https" {
		return
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip.IsLoopback() {
		r.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
}

// address is where the server of this container listens. Its public URL may
// not be reachable from inside, so the address that it listens on comes first.
func (c *healthCmd) address(s *settings) string {
	if c.URL != "" {
		return c.URL
	}
	listen, _, _ := s.find("listen") // only secrets can fail
	if u, ok := localURL(listen.value); ok {
		if cert, _, _ := s.find("tls_cert"); cert.value != "" {
			u = "https" + strings.TrimPrefix(u, "http")
		}
		return u
	}
	if f, ok := s.findInFolder("url", ""); ok {
		return f.value
	}
	return "http://127.0.0.1:8080"
}

// localURL is how this machine reaches a server that listens on addr; false
// where addr does not say it.
func localURL(addr string) (string, bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" || port == "0" {
		return "", false
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), true
}
