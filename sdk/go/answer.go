package fanfare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxAnswer bounds what is read of an answer, in bytes: a page of history is
// the largest.
const maxAnswer = 16 << 20

func bodyOf(b []byte) io.Reader {
	if b == nil {
		return nil
	}
	return bytes.NewReader(b)
}

// unreachable says that no server answered at all.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("fanfare: %s: %w", c.servers.now(), cause)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // its text repeats the URL, with the channels' names
	}
	return fmt.Errorf("fanfare: cannot reach the server at %s: %w. Check that it runs there (fanfare doctor) and that the URL is right", c.servers.now(), err)
}

// neverSent reports whether err came before there was a connection, so that
// the server certainly did not see the request.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// stranger says that something answered which is no Fanfare server. Its text
// is not told: it may be a page of any size.
type stranger struct {
	url    string
	status string
	kind   string // Content-Type
}

func (s *stranger) Error() string {
	return fmt.Sprintf("fanfare: %s answered %s with %q, which is not an answer of a Fanfare server. Check the URL, and any proxy before the server", s.url, s.status, s.kind)
}

// refusal reads the error that an answer other than 2xx is. It is a
// *protocol.Error where a Fanfare server answered, else a *stranger.
func (c *Client) refusal(resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var p struct {
		Code    protocol.Code    `json:"code"`
		Title   string           `json:"title"`
		Detail  string           `json:"detail"`
		Remedy  string           `json:"remedy"`
		Channel protocol.Channel `json:"channel"`
		Index   *int             `json:"index"`

		Position   *protocol.Position `json:"position"`
		RetryAfter int64              `json:"retry_after"` // milliseconds
	}
	if err != nil || kind != "application/problem+json" || json.Unmarshal(raw, &p) != nil || p.Code == "" {
		return &stranger{c.servers.now(), resp.Status, kind}
	}
	e := &protocol.Error{Code: p.Code, Message: p.Detail, Remedy: p.Remedy, Channel: p.Channel, Index: -1}
	if e.Message == "" {
		e.Message = p.Title
	}
	if p.Index != nil {
		e.Index = *p.Index
	}
	e.Position = p.Position
	e.RetryAfter = time.Duration(p.RetryAfter) * time.Millisecond
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && e.RetryAfter <= 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// wait waits d, or until ctx ends: then it returns why it did.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
