package fanfare_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// fake is a server without a network: each request waits on conns for the test
// to say what becomes of it. With it a test runs on synctest's clock.
type fake struct{ conns chan *conn }

// conn is one request for a stream.
type conn struct {
	t      *testing.T
	req    *http.Request
	at     time.Time
	answer chan func() (*http.Response, error)
	w      *io.PipeWriter
}

func newFake() *fake { return &fake{conns: make(chan *conn)} }

// RoundTrip is part of http.RoundTripper.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	c := &conn{req: r, at: time.Now(), answer: make(chan func() (*http.Response, error), 1)}
	select {
	case f.conns <- c:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	select {
	case answer := <-c.answer:
		return answer()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// next waits for the next request. No back-off is longer than 30 s.
func (f *fake) next(t *testing.T) *conn {
	t.Helper()
	select {
	case c := <-f.conns:
		c.t = t
		return c
	case <-time.After(time.Minute):
		t.Fatal("the client does not come back")
		return nil
	}
}

// none fails if a request comes within a long time.
func (f *fake) none(t *testing.T) {
	t.Helper()
	select {
	case c := <-f.conns:
		t.Fatalf("the client came back: %s", c.req.URL)
	case <-time.After(time.Hour):
	}
}

// refuse answers with an error.
func (c *conn) refuse(status int, kind, body string) {
	c.answer <- func() (*http.Response, error) { return answer(status, kind, body), nil }
}

// begin begins a stream without any event.
func (c *conn) begin() *conn {
	r, w := io.Pipe()
	c.w = w
	context.AfterFunc(c.req.Context(), func() { _ = w.CloseWithError(c.req.Context().Err()) })
	c.answer <- func() (*http.Response, error) {
		resp := answer(200, "text/event-stream", "")
		resp.Body = r
		return resp, nil
	}
	return c
}

// write writes lines of the stream.
func (c *conn) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.w, text); err != nil {
		c.t.Errorf("write %.60q: %v", text, err)
	}
}

// open begins a stream with welcome and what the client asked for.
func (c *conn) open() *conn {
	c.begin().write(`event: welcome` + "\n" + `data: {"type":"welcome","session":"s","time":1,"ping_interval":15,"max_data":65536,"max_channels":1000}` + "\n\n")
	for _, ch := range c.req.URL.Query()["channel"] {
		c.subscribed(ch, "")
	}
	return c
}

func (c *conn) subscribed(channel, extra string) {
	c.write(fmt.Sprintf("event: subscribed\ndata: {\"type\":\"subscribed\",\"channel\":%q,\"position\":\"\"%s}\n\n", channel, extra))
}

func (c *conn) message(id, position string) {
	if position != "" {
		c.write("id: " + position + "\n")
	}
	c.write(fmt.Sprintf("data: {\"type\":\"message\",\"channel\":\"a\",\"id\":%q,\"position\":%q,\"previous\":\"\",\"time\":1,\"data\":1}\n\n", id, position))
}

func (c *conn) closing(code protocol.Code, closeCode int) {
	c.write(fmt.Sprintf("event: close\ndata: {\"type\":\"close\",\"close\":%d,\"code\":%q,\"message\":\"M.\",\"remedy\":\"R.\"}\n\n", closeCode, code))
	_ = c.w.Close()
}

// subscribeTo subscribes against f, whose first request goes to first.
func subscribeTo(t *testing.T, f *fake, first func(*conn), opts ...fanfare.Option) (*fanfare.Subscription, error) {
	t.Helper()
	go func() {
		select {
		case c := <-f.conns:
			c.t = t
			first(c)
		case <-time.After(time.Minute):
			t.Error("no request came")
		}
	}()
	opts = append([]fanfare.Option{fanfare.WithHTTPClient(&http.Client{Transport: f})}, opts...)
	return newClient(t, "http://h", publishableKey, opts...).Subscribe(t.Context(), "a")
}

// subscribed is subscribeTo a stream that begins well; the stream and the
// subscription end with the test.
func subscribed(t *testing.T, f *fake, opts ...fanfare.Option) (*fanfare.Subscription, *conn) {
	t.Helper()
	opened := make(chan *conn, 1)
	sub, err := subscribeTo(t, f, func(c *conn) { opened <- c.open() }, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub, <-opened
}

// take reads n messages and returns their ids.
func take(t *testing.T, sub *fanfare.Subscription, n int) (ids []string) {
	t.Helper()
	if n == 0 {
		return nil
	}
	for m, err := range sub.All() {
		if err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, m.ID); len(ids) == n {
			break
		}
	}
	return ids
}

// end reads until the subscription ends and returns why it did.
func end(t *testing.T, sub *fanfare.Subscription) error {
	t.Helper()
	var last error
	for _, err := range sub.All() {
		if last != nil {
			t.Errorf("something came after the error %v", last)
		}
		last = err
	}
	return last
}

func inBubble(f func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func isBreak(err error, part string) bool {
	_, told := errors.AsType[*protocol.Error](err)
	return err != nil && !told && strings.Contains(errText(err), part)
}
