package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// patience is how long a test waits for what must come. It is no measure of
// speed: only a fault makes a test wait so long.
const patience = time.Minute

// frame is any frame from the server, message or reply.
type frame struct {
	protocol.Reply
	Event    string            `json:"event"`
	Previous protocol.Position `json:"previous"`
	Data     json.RawMessage   `json:"data"`
	raw      string
}

// listener is a client of either door that is subscribed to some channels.
type listener interface {
	// next is the next frame that is no ping; at the end of the connection a
	// frame of type "end".
	next() frame
	close()
}

// door opens a listener; a refusal comes as the frame that told it.
type door struct {
	name string
	open func(t *testing.T, s *brokertest.Server, credential, origin string, channels ...string) (listener, *frame)
}

func doors() []door {
	return []door{{"ws", openWS}, {"sse", openSSE}}
}

// wsClient is a WebSocket client made for tests: it sends whatever it is told.
type wsClient struct {
	t     *testing.T
	conn  *websocket.Conn
	lines []string
}

func dialWS(t *testing.T, s *brokertest.Server, origin string) *wsClient {
	t.Helper()
	head := http.Header{}
	if origin != "" {
		head.Set("Origin", origin)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/v1/ws", &websocket.DialOptions{
		Subprotocols: []string{protocol.Subprotocol}, HTTPHeader: head,
	})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	conn.SetReadLimit(-1)
	c := &wsClient{t: t, conn: conn}
	t.Cleanup(c.close)
	return c
}

func (c *wsClient) close() { _ = c.conn.CloseNow() }

func (c *wsClient) send(format string, args ...any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_ = c.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)) // a dead connection shows in next
}

func (c *wsClient) next() frame {
	c.t.Helper()
	for {
		if f := c.any(); f.Type != protocol.TypePing {
			return f
		}
	}
}

// pong waits for a ping and answers it.
func (c *wsClient) pong() {
	c.t.Helper()
	for c.any().Type != protocol.TypePing {
	}
	c.send(`{"type":"pong"}`)
}

// any is next, pings included.
func (c *wsClient) any() frame {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for len(c.lines) == 0 {
		kind, b, err := c.conn.Read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				c.t.Fatal("nothing came")
			}
			f := frame{raw: err.Error()}
			f.Type = "end"
			if ce, ok := errors.AsType[websocket.CloseError](err); ok {
				f.Close, f.Message = int(ce.Code), ce.Reason
			}
			return f
		}
		if kind != websocket.MessageText {
			c.t.Fatal("a binary frame came")
		}
		c.lines = strings.Split(string(b), "\n")
	}
	f := decode(c.t, c.lines[0])
	c.lines = c.lines[1:]
	return f
}

func decode(t *testing.T, line string) frame {
	t.Helper()
	f := frame{raw: line}
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		t.Fatalf("frame %q: %v", line, err)
	}
	return f
}

// hello says hello with a key or token and returns the answer.
func (c *wsClient) hello(credential string) frame {
	c.t.Helper()
	member := "token"
	if strings.HasPrefix(credential, "ff") {
		member = "key"
	}
	c.send(`{"type":"hello","ref":1,%q:%q}`, member, credential)
	return c.next()
}

func openWS(t *testing.T, s *brokertest.Server, credential, origin string, channels ...string) (listener, *frame) {
	t.Helper()
	c := dialWS(t, s, origin)
	if f := c.hello(credential); f.Type != protocol.TypeWelcome {
		return nil, &f
	}
	for i, ch := range channels {
		name, err := json.Marshal(ch)
		if err != nil {
			t.Fatal(err)
		}
		c.send(`{"type":"subscribe","ref":%d,"channel":%s}`, i+2, name)
		if f := c.next(); f.Type != protocol.TypeSubscribed {
			return nil, &f
		}
	}
	return c, nil
}

// sseClient reads a stream of server-sent events.
type sseClient struct {
	t      *testing.T
	cancel context.CancelFunc
	body   io.ReadCloser
	lines  *bufio.Reader
	id     string // the last one that came
}

func openSSE(t *testing.T, s *brokertest.Server, credential, origin string, channels ...string) (listener, *frame) {
	t.Helper()
	q := url.Values{"channel": channels}
	return getSSE(t, s, "?"+q.Encode(), func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+credential)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
	}, len(channels))
}

func getSSE(t *testing.T, s *brokertest.Server, query string, change func(*http.Request), channels int) (listener, *frame) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/sse"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	c := &sseClient{t: t, cancel: cancel, body: resp.Body, lines: bufio.NewReader(resp.Body)}
	t.Cleanup(c.close)
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		f := frame{raw: string(b)}
		var p struct{ Code, Detail, Remedy, Channel string }
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatalf("refusal %q: %v", b, err)
		}
		f.Type, f.Code, f.Message, f.Remedy, f.Channel = "problem", protocol.Code(p.Code), p.Detail, p.Remedy, protocol.Channel(p.Channel)
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/problem+json") {
			t.Errorf("refusal has content type %q", got)
		}
		return nil, &f
	}
	if f := c.next(); f.Type != protocol.TypeWelcome {
		return nil, &f
	}
	for range channels {
		if f := c.next(); f.Type != protocol.TypeSubscribed {
			return nil, &f
		}
	}
	return c, nil
}

func (c *sseClient) close() { c.cancel(); _ = c.body.Close() }

func (c *sseClient) next() frame {
	c.t.Helper()
	stuck := time.AfterFunc(patience, c.close)
	defer stuck.Stop()
	var event string
	var data []string
	for {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			f := frame{raw: err.Error()}
			f.Type = "end"
			return f
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "event":
			event = value
		case name == "id":
			c.id = value
		case name == "data":
			data = append(data, value)
		case name == "" && data != nil:
			f := decode(c.t, strings.Join(data, "\n"))
			if want := f.Type; want == protocol.TypeMessage && event != "" || want != protocol.TypeMessage && event != want {
				c.t.Errorf("event %q carries a frame of type %q", event, f.Type)
			}
			return f
		}
	}
}

// post calls the REST interface and returns status and body.
func post(t *testing.T, s *brokertest.Server, path, credential, body string) (int, string) {
	t.Helper()
	return call(t, s, http.MethodPost, path, credential, body)
}

func call(t *testing.T, s *brokertest.Server, method, path, credential, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// publish publishes data (JSON) to channel with the secret key.
func publish(t *testing.T, s *brokertest.Server, channel, data string) {
	t.Helper()
	name, err := json.Marshal(channel)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t, s, "/v1/messages", s.SecretKey, fmt.Sprintf(`{"channel":%s,"data":%s}`, name, data)); status != http.StatusOK {
		t.Fatalf("publish: %d %s", status, body)
	}
}

// makeKey makes a key of the demo app and returns its text and id.
func makeKey(t *testing.T, s *brokertest.Server, body string) (text, id string) {
	t.Helper()
	status, answer := post(t, s, "/v1/apps/"+s.App+"/keys", s.AccountToken, body)
	var key struct{ Key, ID string }
	if err := json.Unmarshal([]byte(answer), &key); err != nil || status != http.StatusCreated {
		t.Fatalf("make key: %d %s", status, answer)
	}
	return key.Key, key.ID
}

// makeToken makes a token of the demo app.
func makeToken(t *testing.T, s *brokertest.Server, body string) string {
	t.Helper()
	status, answer := post(t, s, "/v1/tokens", s.SecretKey, body)
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &token); err != nil || status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("make token: %d %s", status, answer)
	}
	return token.Token
}

// makeApp makes another app in the same account and returns its id and a
// secret key of it.
func makeApp(t *testing.T, s *brokertest.Server, name string) (id, secret string) {
	t.Helper()
	status, answer := post(t, s, "/v1/apps", s.AccountToken, fmt.Sprintf(`{"name":%q}`, name))
	var app struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &app); err != nil || status != http.StatusCreated {
		t.Fatalf("make app: %d %s", status, answer)
	}
	status, answer = post(t, s, "/v1/apps/"+app.ID+"/keys", s.AccountToken, `{"kind":"secret"}`)
	var key struct{ Key string }
	if err := json.Unmarshal([]byte(answer), &key); err != nil || status != http.StatusCreated {
		t.Fatalf("make key: %d %s", status, answer)
	}
	return app.ID, key.Key
}
