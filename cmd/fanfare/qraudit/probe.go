package qraudit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// probe sends an audit's requests: one after the other at a polite pace, a
// bounded number of them, without following redirects and without keeping
// cookies. It waits where the site says so. Only send may be called by several
// goroutines at once.
type probe struct {
	o      Options
	ctx    context.Context // of the run, which is the probe's life
	base   *url.URL
	page   string // one more page, "" is none
	client *http.Client

	begun   answer     // of the first attempt
	refused string     // why no attempt can be begun
	two     [2]attempt // see shared
	seen    []attempt  // all that were begun at the site

	mu     sync.Mutex
	next   time.Time
	sent   int
	failed error // of the check that runs: the first request that did not get through
}

func newProbe(ctx context.Context, o Options) (*probe, error) {
	base, page, err := siteOf(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Elsewhere != "" {
		if _, _, err := siteOf(o.Elsewhere); err != nil {
			return nil, err
		}
	}
	if o.Pace == 0 {
		o.Pace = 100 * time.Millisecond
	}
	return &probe{o: o, ctx: ctx, base: base, page: page, client: &http.Client{
		Transport: o.Transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call is a request: JSON unless it is a form.
type call struct {
	method, path string
	body         any // JSON
	form         url.Values
	cookie       string
	header       map[string]string
	site         string // another origin
	now          bool   // a 429 is an answer, not a reason to wait
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
	set    []*http.Cookie
	tls    *tls.ConnectionState
	at     time.Time // half way
	took   time.Duration
}

func (a answer) str(key string) string { s, _ := a.json[key].(string); return s }

func (a answer) time(key string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, a.str(key)) // the zero time is as good as no time
	return t
}

// same reports whether two answers tell a stranger the same.
func (a answer) same(b answer) bool {
	return a.status == b.status && a.text == b.text && a.header.Get("Content-Type") == b.header.Get("Content-Type") && len(a.set) == len(b.set)
}

const (
	maxAnswer   = 1 << 20
	maxPatience = 65 * time.Second
)

// send sends and, where the site says that it was too often, waits and sends
// again. What does not get through is noted, and answered by the zero answer.
func (p *probe) send(c call) answer {
	var waited time.Duration
	for {
		a, err := p.once(c)
		if err != nil {
			p.mu.Lock()
			if p.failed == nil {
				p.failed = err
			}
			p.mu.Unlock()
			return answer{header: http.Header{}}
		}
		seconds, _ := strconv.Atoi(a.header.Get("Retry-After"))
		wait := time.Duration(seconds) * time.Second
		if waited += wait; a.status != http.StatusTooManyRequests || c.now || seconds <= 0 || waited > maxPatience {
			return a
		}
		if err := pause(p.ctx, wait); err != nil {
			return answer{header: http.Header{}}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// turn waits for the next request's time.
func (p *probe) turn() error {
	p.mu.Lock()
	if p.sent++; p.sent > maxRequests {
		p.mu.Unlock()
		return errors.New("the audit has sent all the requests that it may")
	}
	now := time.Now()
	wait := p.next.Sub(now)
	p.next = now.Add(max(wait, 0) + p.o.Pace)
	p.mu.Unlock()
	if wait <= 0 {
		return p.ctx.Err()
	}
	return pause(p.ctx, wait)
}

func (p *probe) request(c call) (*http.Request, error) {
	var payload []byte
	kind := ""
	if c.form != nil {
		payload, kind = []byte(c.form.Encode()), "application/x-www-form-urlencoded"
	} else if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		payload, kind = text, "application/json"
	}
	site := c.site
	if site == "" {
		site = p.base.String()
	}
	r, err := http.NewRequestWithContext(p.ctx, c.method, site+c.path, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "fanfare-qr-audit/1")
	r.Header.Set("Accept", "application/json, text/html;q=0.5")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	return r, nil
}

func (p *probe) once(c call) (answer, error) {
	if err := p.turn(); err != nil {
		return answer{}, err
	}
	r, err := p.request(c)
	if err != nil {
		return answer{}, err
	}
	began := time.Now()
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}, withoutPath(err)
	}
	defer resp.Body.Close()
	took := time.Since(began)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(text), set: resp.Cookies(), tls: resp.TLS, at: began.Add(took / 2), took: took}
	_ = json.Unmarshal(text, &a.json) // not everything is JSON
	return a, nil
}

// withoutPath is a client's error without the URL, which may hold a ticket.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// reach begins a first attempt, and so finds out whether there is one of ours.
func (p *probe) reach() error {
	a := p.shared(0).begun
	p.begun = a
	switch {
	case a.status == http.StatusCreated && len(a.str("attempt_id")) > 0 && a.str("qr_url") != "":
		return nil
	case a.str("code") == "https_only":
		p.refused = "the site refuses sign-in over plain http, as it should: give its https URL"
		return nil
	case p.failed != nil:
		return fmt.Errorf("%w: %w", ErrNotOurs, p.failed)
	}
	return fmt.Errorf("%w: POST /qr/attempts is answered with status %d", ErrNotOurs, a.status)
}

// loopback reports whether the site is on this computer.
func (p *probe) loopback() bool {
	host := p.base.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// plainTwin is the site's address over plain http, "" where there can be none.
func (p *probe) plainTwin() string {
	if host, port, err := net.SplitHostPort(p.base.Host); err == nil && port != "443" {
		return ""
	} else if err == nil {
		return "http://" + host
	}
	return "http://" + p.base.Host
}

// with is h and one more header.
func with(h map[string]string, key, value string) map[string]string {
	out := maps.Clone(h)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}
