package main

import (
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/cmd/fanfare/qraudit"
)

// TestAudit has `fanfare qr audit` try the real program behind a proxy that
// does TLS: everything that can be tried passes.
func TestAudit(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	public := "https://" + listener.Addr().String()
	p := start(t, nil, "--public-url", public)
	to, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	// The audit sends at full speed, so it comes from many addresses, but where
	// rates are tried.
	var n atomic.Int32
	var one atomic.Bool
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		if !one.Load() {
			n.Add(1)
		}
		r.Out.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", n.Load()>>8, n.Load()&255))
	}})
	front.Listener = listener
	front.StartTLS()
	t.Cleanup(front.Close)
	p.host = listener.Addr().String()
	cookie := func(a *agent) string { return "__Host-session=" + a.cookies["__Host-session"] }
	r, err := qraudit.Run(t.Context(), qraudit.Options{
		URL: public + "/login", Phone: cookie(p.phoneOf("ada")), Other: cookie(p.phoneOf("bob")), Limits: true, Pace: -1, Transport: front.Client().Transport,
		OnStart: func(id, _ string) { one.Store(id == "T08-guesses" || id == "T10-flood") },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Verdict != qraudit.Pass && f.ID != "T14-elsewhere" { // there is no other site
			t.Errorf("%s: %s: %s", f.ID, f.Verdict, f.Detail)
		}
	}
	if !r.OK || r.Count(qraudit.Pass) < 30 {
		t.Errorf("ok %v, %d passed", r.OK, r.Count(qraudit.Pass))
	}
	t.Logf("%d checks passed with %d requests in %.1f s", r.Count(qraudit.Pass), r.Requests, r.Seconds)
}
