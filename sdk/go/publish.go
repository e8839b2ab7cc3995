package fanfare

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxBatch      = 1000    // messages of a request (PROTOCOL.md, clause 9.3)
	maxBatchBytes = 1 << 20 // bytes of a request with more than one message
	maxRetries    = 3
	maxRetryWait  = 5 * time.Second
)

// Message is one message to publish.
type Message struct {
	Channel string // 1 to 200 bytes of UTF-8 without control characters
	// Data is written as JSON by encoding/json; nil is null. Mind that it
	// writes a []byte as a base64 string: give JSON text as json.RawMessage.
	Data  any
	Event string // up to 200 bytes; optional
	ID    string // up to 64 of A-Z a-z 0-9 . _ : -; "" has one made
	// IfPosition, if any, has the message published only where the channel's
	// last message is at that position; "" is a channel without any.
	IfPosition *protocol.Position
}

// PublishOption adds something to a message that Publish sends.
type PublishOption func(*Message)

// Event names what the message is, up to 200 bytes.
func Event(name string) PublishOption { return func(m *Message) { m.Event = name } }

// ID sets the message's id, which is random otherwise: up to 64 characters of
// A-Z a-z 0-9 . _ : -.
func ID(id string) PublishOption { return func(m *Message) { m.ID = id } }

// IfPosition has the message published only where the channel's last message
// is at p ("": where it has none). Else the error is position_conflict, and
// its Position says where the channel is.
func IfPosition(p protocol.Position) PublishOption {
	return func(m *Message) { m.IfPosition = &p }
}

// Publish sends one message to all who are subscribed to channel, and says
// what became of it. data is anything that encoding/json writes (see
// Message.Data).
//
// A publish that nobody has answered, because no connection could be made or
// it broke, or that was answered with 503, is tried up to three times more, for
// as long as ctx lives. The message has an id, by which the server knows it
// again for two minutes: on durable channels, which is what channels are unless
// a rule says otherwise, it is never there twice. Ephemeral channels remember
// no ids: there a message may come twice, with the same id. When all tries
// went unanswered, the error says that the outcome is unknown.
func (c *Client) Publish(ctx context.Context, channel string, data any, opts ...PublishOption) (protocol.Published, error) {
	m := Message{Channel: channel, Data: data}
	for _, o := range opts {
		o(&m)
	}
	body, id, err := encode(m)
	if err != nil {
		return protocol.Published{}, err
	}
	var answer protocol.Published
	if err := c.post(ctx, asFirst(m, body), body, &answer); err != nil {
		return protocol.Published{}, err
	}
	if answer.ID == "" {
		answer.ID = id
	}
	answer.Channel = protocol.Channel(channel)
	return answer, nil
}

// PublishAll sends messages in requests of at most 1000, one after the other,
// and says what became of each, in the same order. The server checks all of a
// request before it publishes any of it. When a request fails, PublishAll
// returns what earlier ones published, and the error; where that is a
// *protocol.Error about one message, its Index is that message's place in
// msgs. Requests are repeated as by Publish; each message has its own id.
func (c *Client) PublishAll(ctx context.Context, msgs ...Message) ([]protocol.Published, error) {
	encoded, firsts := make([][]byte, len(msgs)), make([][]byte, len(msgs))
	for i, m := range msgs {
		body, _, err := encode(m)
		if err != nil {
			if e, ok := errors.AsType[*protocol.Error](err); ok {
				return nil, e.At(i)
			}
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		encoded[i], firsts[i] = body, asFirst(m, body)
	}
	published := make([]protocol.Published, 0, len(msgs))
	for len(encoded) > 0 {
		n := batchLen(encoded)
		var answer struct {
			Messages []protocol.Published `json:"messages"`
		}
		err := c.post(ctx, batch(firsts[:n]), batch(encoded[:n]), &answer)
		if e, ok := errors.AsType[*protocol.Error](err); ok && e.Index >= 0 {
			err = e.At(len(published) + e.Index)
		}
		if err != nil {
			return published, err
		}
		if len(answer.Messages) != n {
			return published, fmt.Errorf("fanfare: %s answered for %d messages, but %d were sent", c.servers.now(), len(answer.Messages), n)
		}
		published = append(published, answer.Messages...)
		encoded, firsts = encoded[n:], firsts[n:]
	}
	return published, nil
}

// batch is the body of a request with several messages.
func batch(encoded [][]byte) []byte {
	body := append([]byte(`{"messages":[`), bytes.Join(encoded, []byte{','})...)
	return append(body, "]}"...)
}

// asFirst is the body of m's first try: it says that its id is new, where that
// was made here (PROTOCOL.md, clause 3.13).
func asFirst(m Message, body []byte) []byte {
	if m.ID != "" {
		return body
	}
	return append([]byte(`{"first":true,`), body[1:]...)
}

// batchLen is how many of encoded go into one request: at least one.
func batchLen(encoded [][]byte) int {
	size := 0
	for i, m := range encoded {
		if size += len(m) + 1; i == maxBatch || (i > 0 && size > maxBatchBytes) {
			return i
		}
	}
	return len(encoded)
}

// encode checks m and writes it as the server takes it.
func encode(m Message) (body []byte, id string, err error) {
	ch, err := protocol.ParseChannel(m.Channel)
	if err != nil {
		return nil, "", err
	}
	if err := protocol.CheckEvent(m.Event); err != nil {
		return nil, "", protocol.AsError(err).On(ch)
	}
	if err := protocol.CheckID(m.ID); err != nil {
		return nil, "", protocol.AsError(err).On(ch)
	}
	if m.ID == "" {
		m.ID = rand.Text()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // data goes out as it is written here
	err = enc.Encode(struct {
		Channel string `json:"channel"`
		ID      string `json:"id"`
		Event   string `json:"event,omitempty"`
		Data    any    `json:"data"`

		IfPosition *protocol.Position `json:"if_position,omitempty"`
	}{m.Channel, m.ID, m.Event, m.Data, m.IfPosition})
	if err != nil {
		return nil, "", fmt.Errorf("fanfare: the data for channel %q cannot be written as JSON: %w", m.Channel, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), m.ID, nil
}

// post sends first to /v1/messages, and after that again, and reads the answer.
func (c *Client) post(ctx context.Context, first, again []byte, answer any) error {
	body := first
	err := c.repeat(ctx, func() error {
		err := c.ask(ctx, http.MethodPost, "/v1/messages", body, answer)
		body = again
		return err
	})
	if _, ok := errors.AsType[*unanswered](err); ok {
		return fmt.Errorf("%w; whether the messages were published is unknown", err)
	}
	return err
}

// repeat does try again where it was not answered, or with 503.
func (c *Client) repeat(ctx context.Context, try func() error) error {
	for n := 0; ; n++ {
		err := try()
		if err == nil {
			return nil
		}
		pause := backoff(n)
		_, again := errors.AsType[*unanswered](err)
		again = again || neverSent(err)
		if e, ok := errors.AsType[*protocol.Error](err); ok && e.Status() == http.StatusServiceUnavailable {
			again, pause = true, max(pause, e.RetryAfter)
		}
		deadline, bounded := ctx.Deadline()
		if !again || n == maxRetries || pause > maxRetryWait || (bounded && time.Until(deadline) < pause) {
			return err
		}
		if wait(ctx, pause) != nil {
			return err
		}
	}
}

// unanswered means that a request went out and no answer of the server's came.
type unanswered struct{ err error }

func (u *unanswered) Error() string { return u.err.Error() }
func (u *unanswered) Unwrap() error { return u.err }

// ask sends one request and reads its answer.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		told := c.unreachable(ctx, err)
		if ctx.Err() == nil {
			c.servers.leave(r)
		}
		if neverSent(err) {
			return told
		}
		return &unanswered{told}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		err := c.refusal(resp)
		if resp.StatusCode >= 502 && resp.StatusCode <= 504 {
			c.servers.leave(r)
		}
		if s, ok := errors.AsType[*stranger](err); ok && resp.StatusCode >= 502 && resp.StatusCode <= 504 {
			return &unanswered{s} // a gateway that lost the server
		}
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		told := c.unreachable(ctx, err)
		c.servers.leave(r)
		return &unanswered{told}
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return &stranger{c.servers.now(), resp.Status, resp.Header.Get("Content-Type")}
	}
	return nil
}
