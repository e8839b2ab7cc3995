package webhook_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func guarded(o *webhook.Options) { o.AllowPrivate = false }

func TestPublicAddresses(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "192.167.0.1", "100.63.255.255", "100.128.0.0", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"} {
		if !webhook.Public(a) {
			t.Errorf("%s is an address of the internet", a)
		}
	}
	for _, a := range []string{
		"", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.0.1",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
	} {
		if webhook.Public(a) {
			t.Errorf("%s counts as an address of the internet", a)
		}
	}
}

// claims: 9.31
func TestURLsThatAreNotAllowed(t *testing.T) {
	w := openRoom(t, t.TempDir(), guarded)
	ok := w.create("app1", "https://hooks.example.com:8443/in?x=1")
	for _, u := range []string{"https://8.8.8.8/", "https://[2606:4700:4700::1111]/", "https://EXAMPLE.com."} {
		w.create("app1", u)
	}
	for _, u := range []string{
		"", "x", "/x", "example.com", "https://", "https:///x", "https:example.com", "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)",
		"https://user@example.com/", "https://user:pass@example.com/", "https://example.com/#x", "https://exa mple.com/", "https://example.com:port/", "\nhttps://example.com/", "https://example.com/" + strings.Repeat("a", 2048),
		"https://127.0.0.1/", "https://127.0.0.1:8080/", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data/", "https://0.0.0.0/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/",
		"https://[::ffff:7f00:1]/", "https://[fe80::1%25lo]/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/", "https://localhost/", "https://LOCALHOST./", "https://a.localhost/",
		"https://printer.local/", "https://metadata.google.internal/", "https://intranet/", "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://①②⑦.0.0.1.localhost/",
	} {
		if _, err := w.Create(t.Context(), "app2", protocol.WebhookInput{URL: u}); !errors.Is(err, protocol.NewError(protocol.CodeURLNotAllowed)) {
			t.Errorf("%.80q may be made: %v", u, err)
		}
		if _, err := w.Update(t.Context(), "app1", ok.ID, protocol.WebhookPatch{URL: &u}); !errors.Is(err, protocol.NewError(protocol.CodeURLNotAllowed)) {
			t.Errorf("%.80q may be put in: %v", u, err)
		}
	}
}

// What URLs cannot tell is found when it is dialled: names that stand for
// private addresses, and other ways to write those. The receiver is one on this
// machine, and nothing may reach it.
// claims: 9.31
func TestNothingPrivateIsDialled(t *testing.T) {
	var reached atomic.Int64
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	inside.Config.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	inside.StartTLS()
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	must(t, err)

	w := start(t, t.TempDir(), guarded)
	webhook.Resolve(w.Webhooks, liar())
	webhook.Trust(w.Webhooks, inside.Client())
	webhook.Unchecked(w.Webhooks)
	t.Setenv("HTTPS_PROXY", inside.URL) // no way around the guard
	t.Setenv("HTTP_PROXY", inside.URL)
	h := w.create("app1", "http://placeholder.example.com/")
	for _, host := range []string{
		"127.0.0.1", "rebound.example.com", "example.com", "localhost", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "[::1]", "[::]", "0.0.0.0", "0",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%25lo]", "①②⑦.⓪.⓪.①", "169.254.169.254",
	} {
		for _, scheme := range []string{"http", "https"} {
			url := scheme + "://" + host + ":" + port + "/"
			if _, err := w.Update(t.Context(), "app1", h.ID, protocol.WebhookPatch{URL: &url}); err != nil {
				continue // it is not even a URL
			}
			d, err := w.Test(t.Context(), "app1", h.ID)
			must(t, err)
			if d.OK || d.Status != 0 || d.Error == "" || strings.Contains(d.Error, "127.0.0.1:") {
				t.Errorf("%s: %+v", url, d)
			}
			if host == "rebound.example.com" && !strings.Contains(d.Error, "public internet") {
				t.Errorf("a name that stands for 127.0.0.1: %s", d.Error)
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
}

// liar is a DNS server whose every name stands for 127.0.0.1.
func liar() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			for { // DNS over a stream: a length before each message
				var size [2]byte
				if _, err := io.ReadFull(there, size[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(there, q); err != nil || len(q) < 17 {
					return
				}
				end := 12
				for q[end] != 0 {
					end += int(q[end]) + 1
				}
				end += 5
				a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
				if binary.BigEndian.Uint16(q[end-4:]) == 1 { // an A record is asked for
					a[7] = 1
					a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
				}
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
					return
				}
			}
		}()
		return here, nil
	}}
}

// claims: 9.31 9.34
func TestRedirectsAreNotFollowed(t *testing.T) {
	w, aim := start(t, t.TempDir()), receive(t, nil)
	for _, to := range []string{"http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", aim.URL} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			r := receive(t, func(rw http.ResponseWriter, _ int) {
				rw.Header().Set("Location", to)
				rw.WriteHeader(status)
			})
			h := w.create("app1", r.URL)
			d, err := w.Test(t.Context(), "app1", h.ID)
			must(t, err)
			if d.OK || d.Status != status || !strings.Contains(d.Error, "not followed") {
				t.Errorf("%d to %s: %+v", status, to, d)
			}
			must(t, w.Delete(t.Context(), "app1", h.ID))
		}
	}
	if len(aim.got) != 0 {
		t.Error("a redirect was followed")
	}
}

// An answer without end costs neither memory nor time.
func TestOfAnAnswerOnlyTheBeginningIsRead(t *testing.T) {
	w := start(t, t.TempDir())
	ended := make(chan int64, 1)
	r := receive(t, func(rw http.ResponseWriter, _ int) {
		rw.WriteHeader(500)
		var n int64
		for chunk := []byte(strings.Repeat("a\xff", 8<<10)); ; n += int64(len(chunk)) {
			if _, err := rw.Write(chunk); err != nil {
				ended <- n
				return
			}
		}
	})
	h := w.create("app1", r.URL)
	d, err := w.Test(t.Context(), "app1", h.ID)
	must(t, err)
	if d.Status != 500 || len(d.Answer) > 512 || strings.Contains(d.Answer, "\xff") || d.Answer == "" {
		t.Errorf("%+v", d)
	}
	<-ended // when we hung up
}
