package webhook

import (
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Through sends w's requests through rt in place of the network.
func Through(w *Webhooks, rt http.RoundTripper) { w.client.Transport = rt }

// Resolve looks names up with r.
func Resolve(w *Webhooks, r *net.Resolver) { w.client = w.guard.client(r) }

// Trust trusts the certificates that the client trusts.
func Trust(w *Webhooks, c *http.Client) {
	w.client.Transport.(*http.Transport).TLSClientConfig = c.Transport.(*http.Transport).TLSClientConfig
}

// Unchecked lets every URL be an endpoint's, and leaves the guard on what is
// dialled.
func Unchecked(w *Webhooks) {
	dialled := w.client
	w.guard = newGuard(true)
	w.client = dialled
}

// Public is what the guard thinks of an address.
func Public(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && newGuard(false).public(a)
}

// Pause is the pause after a number of tries.
func Pause(tries int, asked time.Duration) (time.Duration, bool) { return pause(tries, asked) }

// RetryAfter reads the header.
func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, now) }
