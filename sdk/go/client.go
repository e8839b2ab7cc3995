package fanfare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const userAgent = "fanfare-go/1"

// dialTime is how long a machine that is gone is waited for.
const dialTime = 10 * time.Second

// Client talks to one app of one Fanfare server or cluster. It may be used
// concurrently; one for the whole program is enough. It has no goroutines
// of its own and needs no Close; its subscriptions do.
type Client struct {
	servers servers
	more    []string // of WithServers; of New
	key     string
	source  func(context.Context) (string, error)
	http    *http.Client // for requests that are answered at once
	stream  *http.Client // the same without Timeout: streams last
	onGap   func(ch protocol.Channel, reason string)
}

// Option changes how a Client works.
type Option func(*Client)

// WithHTTPClient makes the Client send its requests through h, for a proxy,
// certificates or tracing of one's own. h's Timeout bounds publishes, but not
// subscriptions. The default gives up a publish after 30 s and follows no
// redirects.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) {
		if h != nil {
			c.http = h
		}
	}
}

// WithTokenSource makes the Client send tokens instead of its key, which may
// then be "". source is asked anew before each connection and each publish,
// possibly concurrently, so it should keep a token that is still good. It is
// what lets a subscription live on after its token has expired.
func WithTokenSource(source func(context.Context) (string, error)) Option {
	return func(c *Client) { c.source = source }
}

// WithOnGap has f called for each channel of which messages may be missing,
// because the connection broke and the server could not bring all of the past
// back: read again what the channel is about. reason is why: "expired" or
// "evicted" (the channel keeps less than was missed), "epoch" (the server lost
// or moved what it had), "ephemeral" (the channel keeps nothing), or "". f runs
// in the range over Subscription.All, at the place of the gap.
func WithOnGap(f func(ch protocol.Channel, reason string)) Option {
	return func(c *Client) { c.onGap = f }
}

// New makes a Client of the server at serverURL, such as
// "https://push.example.com"; nothing is sent yet. key is a secret key (ffs_…)
// of the app, for publishing and signing; or a publishable key (ffp_…) or a
// token, which may do what they grant. Keep secret keys out of programs that
// others run. A key that cannot be one is a *protocol.Error.
func New(serverURL, key string, opts ...Option) (*Client, error) {
	transport := http.DefaultTransport
	if t, ok := transport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = 32 // all connections go to one host
		t.DialContext = (&net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}).DialContext
		transport = t
	}
	c := &Client{
		key: key,
		http: &http.Client{
			Transport: transport,
			Timeout:   30 * time.Second,
			// A redirect would turn a publish into a GET, and could carry the
			// key to another server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, o := range opts {
		o(c)
	}
	for _, one := range append([]string{serverURL}, c.more...) {
		if err := c.servers.add(one); err != nil {
			return nil, err
		}
	}
	stream := *c.http
	stream.Timeout = 0
	c.stream = &stream
	if key == "" && c.source != nil {
		return c, nil
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return c, nil
}

// CloseIdleConnections lets go of the connections that wait for the next
// request. The Client may be used afterwards.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// checkKey refuses what the server would refuse, with words that fit better.
func checkKey(key string) error {
	switch {
	case key == "":
		return protocol.NewError(protocol.CodeCredentialMissing)
	case strings.HasPrefix(key, "ffa_"):
		return protocol.Errorf(protocol.CodeKeyKind, "This is an account token (ffa_), which administers; an app's key (ffs_ or ffp_) is needed.")
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return protocol.Errorf(protocol.CodeKeyInvalid, "The key has spaces or other characters in it that no key has.")
	case !strings.HasPrefix(key, "ffs_") && !strings.HasPrefix(key, "ffp_") && strings.Count(key, ".") != 2:
		return protocol.Errorf(protocol.CodeKeyInvalid, "The key begins with neither ffs_ nor ffp_, and it is no token.")
	}
	return nil
}

// credential is what the next request is sent with.
func (c *Client) credential(ctx context.Context) (string, error) {
	if c.source == nil {
		return c.key, nil
	}
	token, err := c.source(ctx)
	if err != nil {
		return "", fmt.Errorf("fanfare: the token source failed: %w", err)
	}
	if token == "" {
		return "", errors.New("fanfare: the token source gave no token")
	}
	return token, nil
}

// request makes a request with the credential and the headers that all have.
func (c *Client) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	credential, err := c.credential(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.servers.now()+path, bodyOf(body))
	if err != nil {
		return nil, fmt.Errorf("fanfare: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+credential)
	r.Header.Set("User-Agent", userAgent)
	return r, nil
}

// redact takes away what may be secret in a URL before it is told.
func redact(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	if scheme, rest, ok := strings.Cut(raw, "://"); ok {
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			return scheme + "://…@" + rest[i+1:]
		}
	}
	return raw
}
