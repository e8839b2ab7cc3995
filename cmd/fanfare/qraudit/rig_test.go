package qraudit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/cmd/fanfare/qraudit"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

const hostKey = "host-key-host-key-host-key-host-key"

// rig is a good deployment behind TLS, beside another site of the same store,
// and a front where a test puts what spoils it.
type rig struct {
	url, elsewhere string
	node           *brokertest.Server
	here, there    *qrlogin.Server
	front          atomic.Pointer[http.Handler]
	transport      *callers
}

// callers is a transport whose requests come from one address after another of
// a network, so that an audit that sends as fast as it can is not told to wait;
// from one only where rates are what is tried.
type callers struct {
	base http.RoundTripper
	n    atomic.Int32
	one  atomic.Bool
}

func (c *callers) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.n.Load()
	if !c.one.Load() {
		n = c.n.Add(1)
	}
	r.Header.Set("X-Test-IP", fmt.Sprintf("198.18.%d.%d", n>>8, n&255))
	return c.base.RoundTrip(r)
}

// newRig starts it, at https://id.test, whatever the port is.
func newRig(t *testing.T) *rig {
	t.Helper()
	g := &rig{node: brokertest.Start(t), url: "https://id.test", elsewhere: "https://other.test"}
	ff, err := fanfare.New(g.node.URL, g.node.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	store, pepper := qrlogin.NewMemory(0), []byte(rand.Text())
	g.here, g.there = g.library(t, ff, store, pepper, g.url), g.library(t, ff, store, pepper, g.elsewhere)
	g.put(nil)
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		if r.Host == "other.test" {
			g.there.ServeHTTP(w, r)
			return
		}
		(*g.front.Load()).ServeHTTP(w, r)
	}))
	plain := httptest.NewServer(http.RedirectHandler("https://id.test/", http.StatusPermanentRedirect))
	t.Cleanup(tls.Close)
	t.Cleanup(plain.Close)
	base := tls.Client().Transport.(*http.Transport)
	base.TLSClientConfig.ServerName = "example.com" // as its certificate says
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		switch address {
		case "id.test:443", "other.test:443":
			address = tls.Listener.Addr().String()
		case "id.test:80":
			address = plain.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(base.CloseIdleConnections)
	g.transport = &callers{base: base}
	return g
}

func (g *rig) library(t *testing.T, ff *fanfare.Client, store qrlogin.Store, pepper []byte, public string) *qrlogin.Server {
	t.Helper()
	s, err := qrlogin.New(qrlogin.Options{
		Fanfare: ff, FanfareURL: g.node.URL, PublicURL: public, Store: store, Pepper: pepper, Logger: slog.New(slog.DiscardHandler),
		ClientIP: func(r *http.Request) netip.Addr {
			ip, err := netip.ParseAddr(r.Header.Get("X-Test-IP"))
			if err != nil { // a host's request for somebody
				return netip.MustParseAddrPort(r.RemoteAddr).Addr()
			}
			return ip
		},
		Hosts: []qrlogin.Host{{Name: "shop", Key: qrlogin.HashOf(hostKey)}},
		PhoneUser: func(r *http.Request) (qrlogin.User, error) {
			c, err := r.Cookie("phone")
			if err != nil || !strings.Contains(c.Value, "/") {
				return qrlogin.User{}, qrlogin.ErrNotSignedIn
			}
			id, _, _ := strings.Cut(c.Value, "/")
			return qrlogin.User{ID: id, Name: strings.ToUpper(id[:1]) + id[1:] + " Example", Session: c.Value}, nil
		},
		OnLogin: func(w http.ResponseWriter, _ *http.Request, _ qrlogin.Login) error {
			http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: rand.Text(), Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put spoils the site; nil mends it.
func (g *rig) put(spoil func(http.Handler) http.Handler) {
	var h http.Handler = g.here
	if spoil != nil {
		h = spoil(h)
	}
	g.front.Store(&h)
}

// audit runs the checks as fast as it goes.
func (g *rig) audit(t *testing.T, only ...string) qraudit.Report {
	t.Helper()
	g.transport.one.Store(false)
	r, err := qraudit.Run(t.Context(), qraudit.Options{
		URL: g.url, Phone: "phone=ada/1", Other: "phone=bob/1", Elsewhere: g.elsewhere, Limits: true, Only: only, Pace: -1, Transport: g.transport,
		OnStart: func(id, _ string) { g.transport.one.Store(id == "T08-guesses" || id == "T10-flood") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answered is what a handler answers, to be changed before it goes out.
type answered struct {
	*httptest.ResponseRecorder
}

func record(next http.Handler, r *http.Request) answered {
	w := httptest.NewRecorder()
	next.ServeHTTP(w, r)
	return answered{w}
}

func (a answered) send(w http.ResponseWriter, body string) {
	for k, v := range a.Header() {
		if k != "Content-Length" {
			w.Header()[k] = v
		}
	}
	w.WriteHeader(a.Code)
	_, _ = io.WriteString(w, body)
}

// before changes requests, after changes answers.
func before(change func(r *http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			next.ServeHTTP(w, r)
		})
	}
}

func after(change func(r *http.Request, h http.Header, body string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := record(next, r)
			a.send(w, change(r, a.Header(), a.Body.String()))
		})
	}
}

// again answers the second request of the same path and key as the first good
// one was answered.
func again(path string, key func(r *http.Request, body string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var mu sync.Mutex
		kept := map[string]answered{}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if !strings.HasSuffix(r.URL.Path, path) {
				next.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			k := key(r, string(body))
			a, ok := kept[k]
			if !ok {
				if a = record(next, r); a.Code == http.StatusOK {
					kept[k] = a
				}
			}
			a.send(w, a.Body.String())
		})
	}
}
