package broker_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// since subscribes with a position and returns the answer.
func (c *wsClient) since(channel string, since protocol.Position, more string) frame {
	c.t.Helper()
	c.send(`{"type":"subscribe","ref":50,"channel":%q,"since":%q%s}`, channel, since, more)
	return c.want(protocol.TypeSubscribed, "")
}

// data reads n messages and returns their data, with the last one's position.
func (c *wsClient) data(n int) (string, protocol.Position) {
	c.t.Helper()
	var all []string
	var last protocol.Position
	for range n {
		f := message(c.t, c)
		all, last = append(all, string(f.Data)), *f.Position
	}
	return strings.Join(all, " "), last
}

// claims: 3.3 3.9 4.3
func TestResume(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.PublishableKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	attached := *c.want(protocol.TypeSubscribed, "").Position
	publish(t, s, "a", "1")
	publish(t, s, "a", "2")
	got, last := c.data(2)
	if got != "1 2" {
		t.Fatal(got)
	}
	c.close()
	for i := range 50 {
		publish(t, s, "a", fmt.Sprint(i+3))
		publish(t, s, "other", "0")
	}

	c = ready(t, s, s.PublishableKey)
	if f := c.since("a", last, ""); f.Recovered == nil || !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	publish(t, s, "a", `"live"`)
	previous := last
	for i := range 51 {
		f := message(t, c)
		want := fmt.Sprint(i + 3)
		if i == 50 {
			want = `"live"`
		}
		if string(f.Data) != want || i > 0 && f.Previous != previous {
			t.Fatalf("got %s, want %s behind %s", f.raw, want, previous)
		}
		previous = *f.Position
	}

	// From where one attached, with the server's time; without anything missed.
	c = ready(t, s, s.PublishableKey)
	if f := c.since("a", attached, fmt.Sprintf(`,"at":%d`, time.Now().UnixMilli())); f.Recovered == nil || !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	if got, _ := c.data(53); !strings.HasPrefix(got, "1 2 3 ") {
		t.Fatal(got)
	}
	c.send(`{"type":"unsubscribe","ref":5,"channel":"a"}`)
	c.want(protocol.TypeUnsubscribed, "")
	if f := c.since("a", previous, ""); f.Recovered == nil || !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	c.send(`{"type":"ping","ref":6}`)
	c.want(protocol.TypePong, "")
}

// claims: 3.3
func TestWhatCannotBeResumed(t *testing.T) {
	s := brokertest.Start(t)
	rules := `{"rules":[{"namespace":"short","history":{"messages":3,"age":60}},{"namespace":"none","ephemeral":true}]}`
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, rules); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	c := ready(t, s, s.SecretKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"short:1"}`)
	c.want(protocol.TypeSubscribed, "")
	for i := range 6 {
		publish(t, s, "short:1", fmt.Sprint(i))
	}
	var at []protocol.Position
	for range 6 {
		at = append(at, *message(t, c).Position)
	}
	// While somebody is subscribed the node remembers more than the rule keeps.
	c.send(`{"type":"unsubscribe","ref":3,"channel":"short:1"}`)
	c.want(protocol.TypeUnsubscribed, "")
	for _, x := range []struct {
		channel string
		since   protocol.Position
		reason  string
		want    string
	}{
		{"short:1", at[2], "", "3 4 5"},
		{"short:1", at[1], "evicted", ""},
		{"short:1", "elsewher:7", "epoch", ""},
		{"none:1", at[2], "ephemeral", ""},
	} {
		c := ready(t, s, s.SecretKey)
		f := c.since(x.channel, x.since, "")
		if f.Recovered == nil || *f.Recovered != (x.reason == "") || f.Reason != x.reason {
			t.Errorf("%s since %s: got %s", x.channel, x.since, f.raw)
		}
		if x.want != "" {
			if got, _ := c.data(3); got != x.want {
				t.Errorf("%s since %s: got %s", x.channel, x.since, got)
			}
		}
		publish(t, s, x.channel, `"live"`)
		if f := message(t, c); string(f.Data) != `"live"` {
			t.Errorf("%s since %s: got %s", x.channel, x.since, f.raw)
		}
	}
}

// claims: 3.10
func TestRewind(t *testing.T) {
	s := brokertest.Start(t)
	for i := range 10 {
		publish(t, s, "a", fmt.Sprint(i))
	}
	for _, x := range []struct{ rewind, want string }{
		{`{"count":3}`, "7 8 9"}, {`{"seconds":60}`, "0 1 2 3 4 5 6 7 8 9"}, {`{"count":100}`, "0 1 2 3 4 5 6 7 8 9"},
	} {
		c := ready(t, s, s.PublishableKey)
		c.send(`{"type":"subscribe","ref":2,"channel":"a","rewind":%s}`, x.rewind)
		c.want(protocol.TypeSubscribed, "")
		if got, _ := c.data(len(strings.Fields(x.want))); got != x.want {
			t.Errorf("%s: got %s", x.rewind, got)
		}
		c.send(`{"type":"ping","ref":3}`)
		c.want(protocol.TypePong, "")
	}
	c := ready(t, s, s.PublishableKey)
	for _, bad := range []string{`{}`, `{"count":101}`, `{"count":-1}`, `{"count":1,"seconds":1}`} {
		c.send(`{"type":"subscribe","ref":2,"channel":"a","rewind":%s}`, bad)
		c.want(protocol.TypeError, protocol.CodeRewindInvalid)
	}
	if f := c.since("a", "elsewher:1", `,"rewind":{"count":1}`); *f.Recovered {
		t.Errorf("got %s", f.raw)
	}
	if got, _ := c.data(1); got != "9" {
		t.Errorf("got %s", got)
	}
}

// claims: 3.11 3.12 4.6
func TestPublishOnceAndConditionally(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.SecretKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	c.want(protocol.TypeSubscribed, "")
	c.send(`{"type":"publish","ref":3,"channel":"a","id":"once","data":1}`)
	first, _ := c.answerAndMessage()
	c.send(`{"type":"publish","ref":4,"channel":"a","id":"once","data":2}`)
	if f := c.want(protocol.TypePublished, ""); !f.Duplicate || *f.Position != *first.Position {
		t.Errorf("again: %s, first %s", f.raw, first.raw)
	}
	c.send(`{"type":"publish","ref":5,"channel":"a","data":3,"if_position":""}`)
	if f := c.want(protocol.TypeError, protocol.CodePositionConflict); f.Position == nil || *f.Position != *first.Position {
		t.Errorf("conflict: %s", f.raw)
	}
	c.send(`{"type":"publish","ref":6,"channel":"a","data":4,"if_position":%q}`, *first.Position)
	if _, m := c.answerAndMessage(); string(m.Data) != "4" {
		t.Errorf("got %s", m.raw)
	}
}

// answerAndMessage reads two frames, which may come in either order.
func (c *wsClient) answerAndMessage() (answer, m frame) {
	c.t.Helper()
	answer, m = c.next(), c.next()
	if answer.Type == protocol.TypeMessage {
		answer, m = m, answer
	}
	if answer.Type != protocol.TypePublished || m.Type != protocol.TypeMessage {
		c.t.Fatalf("got %s and %s", answer.raw, m.raw)
	}
	return answer, m
}

// A client goes on where it was after the node was stopped and started again.
func TestResumeAfterARestart(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.PublishableKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	c.want(protocol.TypeSubscribed, "")
	publish(t, s, "a", "1")
	_, last := c.data(1)
	c.close()
	publish(t, s, "a", "2")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	again := brokertest.Start(t, func(c *broker.Config) { c.Data = s.Data })
	publish(t, again, "a", "3")
	c = ready(t, again, s.PublishableKey)
	if f := c.since("a", last, ""); !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	if got, _ := c.data(2); got != "2 3" {
		t.Fatal(got)
	}
}

// A backlog that is larger than the client's queue is sent as it reads.
func TestLargeReplayIsPaced(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.QueueBytes = 64 << 10 })
	c := ready(t, s, s.SecretKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	start := *c.want(protocol.TypeSubscribed, "").Position
	c.close()
	pad := strings.Repeat("x", 20_000)
	for i := range 90 {
		publish(t, s, "a", fmt.Sprintf(`"%d %s"`, i, pad))
	}
	c = ready(t, s, s.SecretKey)
	if f := c.since("a", start, fmt.Sprintf(`,"at":%d`, time.Now().UnixMilli())); !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	for i := range 90 {
		if i == 45 {
			publish(t, s, "a", `"90 live"`)
		}
		if f := message(t, c); !strings.HasPrefix(string(f.Data), fmt.Sprintf(`"%d `, i)) {
			t.Fatalf("message %d: %.60s", i, f.raw)
		}
	}
	if f := message(t, c); string(f.Data) != `"90 live"` {
		t.Fatalf("got %.60s", f.raw)
	}
}

// claims: 7.7 7.4
func TestStreamResumes(t *testing.T) {
	s := brokertest.Start(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	open := func(id string) (*sseClient, []frame) {
		t.Helper()
		q := "?key=" + s.PublishableKey
		for _, n := range names {
			q += "&channel=" + n
		}
		l, refused := getSSE(t, s, q, func(r *http.Request) {
			if id != "" {
				r.Header.Set("Last-Event-ID", id)
			}
		}, 0)
		if refused != nil {
			t.Fatal(refused.raw)
		}
		c := l.(*sseClient)
		var frames []frame
		answers := 0
		for answers < len(names) || len(frames) < answers {
			f := c.next()
			frames = append(frames, f)
			if f.Type == protocol.TypeSubscribed {
				answers++
			}
		}
		return c, frames
	}
	c, _ := open("")
	want := map[protocol.Channel]int{}
	next := 0
	send := func(n int) {
		for range n {
			publish(t, s, names[next%len(names)], fmt.Sprint(next))
			next++
		}
	}
	check := func(f frame) {
		t.Helper()
		i, ok := want[f.Channel]
		if !ok {
			i = strings.Index("abcdef", string(f.Channel))
		}
		if string(f.Data) != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", f.raw, i)
		}
		want[f.Channel] = i + len(names)
	}
	send(30)
	for range 30 {
		check(message(t, c))
	}
	id := c.id
	if id == "" {
		t.Fatal("no id came")
	}
	c.close()
	send(60)
	c, frames := open(id)
	seen := 0
	for _, f := range frames {
		switch f.Type {
		case protocol.TypeSubscribed:
			if f.Recovered == nil || !*f.Recovered {
				t.Errorf("got %s", f.raw)
			}
		case protocol.TypeMessage:
			seen++
			check(f)
		}
	}
	for ; seen < 60; seen++ {
		check(message(t, c))
	}
	send(6)
	for range 6 {
		check(message(t, c))
	}
	for _, bad := range []string{"nonsense", "a:1@x", ",", "@5"} {
		_, refused := getSSE(t, s, "?channel=a&key="+s.PublishableKey, func(r *http.Request) { r.Header.Set("Last-Event-ID", bad) }, 1)
		if refused == nil || refused.Code != protocol.CodePositionInvalid {
			t.Errorf("id %q: got %+v", bad, refused)
		}
	}
	l, refused := getSSE(t, s, "?channel=a&rewind=2&key="+s.PublishableKey, func(*http.Request) {}, 1)
	if refused != nil {
		t.Fatal(refused.raw)
	}
	for range 2 {
		message(t, l)
	}
}

// More comes live during a replay than is held back: it is read again.
func TestReplayUnderLiveTraffic(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.QueueBytes = 64 << 10 })
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, `{"rules":[{"namespace":"","history":{"messages":2000,"age":600}}]}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	c := ready(t, s, s.SecretKey)
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	start := *c.want(protocol.TypeSubscribed, "").Position
	c.close()
	pad := strings.Repeat("x", 20_000)
	const half = 300
	send := func(from int) { // in few requests: a client that takes nothing for ten seconds is cut off
		for i := 0; i < half; i += 50 {
			var batch []string
			for j := range 50 {
				batch = append(batch, fmt.Sprintf(`{"channel":"a","data":"%d %s"}`, from+i+j, pad))
			}
			if status, body := post(t, s, "/v1/messages", s.SecretKey, `{"messages":[`+strings.Join(batch, ",")+`]}`); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
		}
	}
	send(0)
	c = ready(t, s, s.SecretKey)
	if f := c.since("a", start, fmt.Sprintf(`,"at":%d`, time.Now().UnixMilli())); !*f.Recovered {
		t.Fatalf("got %s", f.raw)
	}
	send(half) // the client does not read meanwhile, so its replay stands still
	for i := range 2 * half {
		if f := message(t, c); !strings.HasPrefix(string(f.Data), fmt.Sprintf(`"%d `, i)) {
			t.Fatalf("message %d: %.80s", i, f.raw)
		}
	}
	publish(t, s, "a", `"live"`)
	if f := message(t, c); string(f.Data) != `"live"` {
		t.Fatalf("got %.80s", f.raw)
	}
}
