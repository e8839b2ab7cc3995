package fanfare

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// servers are the nodes of one cluster, any of which serves. A client keeps to
// one until that does not answer, and goes on to the next. It may be used
// concurrently.
type servers struct {
	all []string // without a slash at the end; one and more
	at  atomic.Uint32
}

// add checks a server's URL.
func (s *servers) add(serverURL string) error {
	u, err := url.Parse(serverURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("fanfare: %q is not the URL of a server: it must look like https://push.example.com", redact(serverURL))
	}
	s.all = append(s.all, strings.TrimRight(u.String(), "/"))
	return nil
}

// now is the one that is asked next.
func (s *servers) now() string { return s.all[int(s.at.Load())%len(s.all)] }

// leave goes on to the next server, unless somebody already has since r was
// made.
func (s *servers) leave(r *http.Request) {
	at := s.at.Load()
	if r != nil && strings.HasPrefix(r.URL.String(), s.all[int(at)%len(s.all)]+"/v1/") {
		s.at.CompareAndSwap(at, at+1)
	}
}

// WithServers names more nodes of the cluster that New's serverURL is one of.
// The Client keeps to one of them until it does not answer, breaks off, or says
// that it cannot serve now (503); then it goes on to the next, and from the
// last to the first. Where a load balancer stands before the nodes, its URL
// alone is enough.
func WithServers(urls ...string) Option {
	return func(c *Client) { c.more = append(c.more, urls...) }
}
