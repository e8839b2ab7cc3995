package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// tail is a client of some channels that writes down all that it gets, over
// one connection after the other, and knows where to resume. A goroutine
// reads; the rest may be called concurrently.
type tail struct {
	t        *testing.T
	channels []string

	mu   sync.Mutex
	got  map[protocol.Channel][]frame
	pos  map[protocol.Channel]protocol.Position
	told []frame // the subscribed frames of the last connection
	at   int64   // the time of the last frame that had one
	id   string  // of the last event
	last string  // the last frame that was neither of these
	down chan struct{}
	cut  func()
}

func newTail(t *testing.T, channels ...string) *tail {
	c := &tail{t: t, channels: channels, got: map[protocol.Channel][]frame{}, pos: map[protocol.Channel]protocol.Position{}}
	t.Cleanup(c.drop)
	return c
}

// take writes down one frame.
func (c *tail) take(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Time > 0 {
		c.at = f.Time
	}
	switch f.Type {
	case protocol.TypeMessage:
		c.got[f.Channel] = append(c.got[f.Channel], f)
		c.pos[f.Channel] = *f.Position
	case protocol.TypeSubscribed:
		c.told = append(c.told, f)
		if f.Recovered == nil || !*f.Recovered {
			c.pos[f.Channel] = *f.Position
		}
	default:
		c.last = f.raw
	}
}

// overWS connects, resumes where it was, and returns when all is subscribed.
func (c *tail) overWS(s *brokertest.Server) {
	c.t.Helper()
	ws := dialWS(c.t, s, "")
	if f := ws.hello(s.PublishableKey); f.Type != protocol.TypeWelcome {
		c.t.Fatalf("hello: %s", f.raw)
	}
	c.begin(ws.close)
	for _, ch := range c.channels {
		since := ""
		if p := c.pos[protocol.Channel(ch)]; p != "" {
			since = fmt.Sprintf(`,"since":%q,"at":%d`, p, c.at)
		}
		ws.send(`{"type":"subscribe","ref":1,"channel":%q%s}`, ch, since)
	}
	go func() {
		defer close(c.down)
		for {
			kind, b, err := ws.conn.Read(context.Background())
			if err != nil || kind != websocket.MessageText {
				return
			}
			for line := range strings.SplitSeq(string(b), "\n") {
				f := frame{raw: line}
				if json.Unmarshal([]byte(line), &f) == nil {
					c.take(f)
				}
			}
		}
	}()
	c.subscribed()
}

// overSSE does the same over server-sent events.
func (c *tail) overSSE(s *brokertest.Server) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/sse?"+url.Values{"channel": c.channels}.Encode(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.PublishableKey)
	if c.id != "" {
		r.Header.Set("Last-Event-ID", c.id)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("stream: %v %v", err, resp)
	}
	c.begin(cancel)
	go func() {
		defer close(c.down)
		defer resp.Body.Close()
		id, data := "", ""
		for lines := bufio.NewReader(resp.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // what the end cut off counts for nothing
			}
			line = strings.TrimSuffix(line, "\n")
			name, value, _ := strings.Cut(line, ": ")
			switch {
			case name == "id":
				id = value
			case name == "data":
				data = value
			case line == "":
				if data != "" {
					c.take(decode(c.t, data))
				}
				c.mu.Lock()
				if id != "" {
					c.id = id
				}
				c.mu.Unlock()
				data = ""
			}
		}
	}()
	c.subscribed()
}

func (c *tail) begin(cut func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.cut, c.down = nil, cut, make(chan struct{})
}

func (c *tail) subscribed() {
	c.t.Helper()
	eventually(c.t, "all is subscribed", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		select {
		case <-c.down:
			c.t.Fatalf("the connection ended; it was told %+v, and at last %s", c.told, c.last)
		default:
		}
		return len(c.told) == len(c.channels)
	})
}

// recovered reports whether the last connection got all of the past back.
func (c *tail) recovered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.told, func(f frame) bool { return f.Recovered == nil || !*f.Recovered })
}

// drop cuts the connection and waits until nothing of it comes any more.
func (c *tail) drop() {
	if c.cut != nil {
		c.cut()
		<-c.down
	}
}

// count is how many messages came.
func (c *tail) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, fs := range c.got {
		n += len(fs)
	}
	return n
}

// of is what came of a channel.
func (c *tail) of(ch string) []frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got[protocol.Channel(ch)])
}

// history reads all that is kept of a channel, page by page.
func history(t *testing.T, s *brokertest.Server, ch string) []frame {
	t.Helper()
	var all []frame
	for after := ""; ; {
		q := url.Values{"channel": {ch}, "limit": {"1000"}}
		if after != "" {
			q.Set("after", after)
		}
		status, body := call(t, s, http.MethodGet, "/v1/messages?"+q.Encode(), s.SecretKey, "")
		var page struct {
			Messages []frame
			Next     string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("history of %s: %d %v %.300s", ch, status, err, body)
		}
		all = append(all, page.Messages...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// sequence is the second half of a position.
func sequence(t *testing.T, p *protocol.Position) (epoch string, seq uint64) {
	t.Helper()
	epoch, seq, err := p.Parse()
	if err != nil {
		t.Fatalf("position %q: %v", *p, err)
	}
	return epoch, seq
}

// rising fails unless positions grow within one epoch, and returns that.
func rising(t *testing.T, what string, fs []frame) (epoch string) {
	t.Helper()
	last := uint64(0)
	for i, f := range fs {
		e, seq := sequence(t, f.Position)
		if i > 0 && (e != epoch || seq <= last) {
			t.Fatalf("%s: %s comes after %s:%d", what, *f.Position, epoch, last)
		}
		epoch, last = e, seq
	}
	return epoch
}

// idsOf are the ids of messages, in their order.
func idsOf(fs []frame) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.ID
	}
	return out
}

// setRules gives the demo app rules (JSON).
func setRules(t *testing.T, s *brokertest.Server, rules string) {
	t.Helper()
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, `{"rules":`+rules+`}`); status != http.StatusOK {
		t.Fatalf("rules: %d %s", status, body)
	}
}
