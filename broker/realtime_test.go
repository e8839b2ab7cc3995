package broker_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// ready is a WebSocket client that has said hello.
func ready(t *testing.T, s *brokertest.Server, credential string) *wsClient {
	t.Helper()
	c := dialWS(t, s, "")
	if f := c.hello(credential); f.Type != protocol.TypeWelcome {
		t.Fatalf("hello: %s", f.raw)
	}
	return c
}

// want reads the next frame and fails unless it is of that type and code.
func (c *wsClient) want(kind string, code protocol.Code) frame {
	c.t.Helper()
	f := c.next()
	if f.Type != kind || f.Code != code {
		c.t.Fatalf("got %s, want %s %s", f.raw, kind, code)
	}
	if code != "" && (f.Message == "" || f.Remedy == "") {
		c.t.Errorf("no message or remedy: %s", f.raw)
	}
	return f
}

// ended reads on until the connection is closed and checks the code.
func (c *wsClient) ended(code protocol.Code) {
	c.t.Helper()
	info, _ := code.Info()
	if f := c.next(); f.Type != protocol.TypeClose || f.Code != code || f.Close != info.Close {
		c.t.Fatalf("got %s, want close %s", f.raw, code)
	}
	if f := c.next(); f.Type != "end" || f.Close != info.Close || f.Message != string(code) {
		c.t.Fatalf("got %+v, want close code %d %s", f, info.Close, code)
	}
}

// claims: 2.1
func TestHandshake(t *testing.T) {
	s := brokertest.Start(t)
	status, body := call(t, s, http.MethodGet, "/v1/ws", "", "")
	if status != http.StatusUpgradeRequired || !strings.Contains(body, `"upgrade_required"`) {
		t.Errorf("without upgrade: %d %s", status, body)
	}
	c := dialWS(t, s, "")
	if got := c.conn.Subprotocol(); got != protocol.Subprotocol {
		t.Errorf("subprotocol %q", got)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/v1/ws?key="+s.SecretKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := &wsClient{t: t, conn: conn}
	defer u.close()
	u.send(`{"type":"hello"}`)
	u.ended(protocol.CodeCredentialMissing) // the URL's key counts for nothing
}

// claims: 2.3 2.4 2.5 6.2 1.7 1.8
func TestHello(t *testing.T) {
	s := brokertest.Start(t)

	c := dialWS(t, s, "")
	c.send(`{"type":"hello","ref":7,"key":%q,"client":"test/1","later":{"version":"may add members"}}`+"\n"+`{"type":"subscribe","ref":8,"channel":"a"}`, s.PublishableKey)
	f := c.want(protocol.TypeWelcome, "")
	if f.Ref != 7 || f.Session == "" || f.PingInterval != 25 || f.MaxData != 65536 || f.MaxChannels != 1000 || f.Expires != 0 ||
		time.Since(time.UnixMilli(f.Time)).Abs() > time.Minute {
		t.Errorf("welcome: %s", f.raw)
	}
	if f := c.want(protocol.TypeSubscribed, ""); f.Ref != 8 || f.Position == nil {
		t.Errorf("subscribed: %s", f.raw)
	}
	c.send(`{"type":"hello","ref":9,"key":%q}`, s.PublishableKey)
	if f := c.want(protocol.TypeError, protocol.CodeHelloRepeated); f.Ref != 9 {
		t.Errorf("second hello: %s", f.raw)
	}

	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"]},"ttl":600}`)
	c = dialWS(t, s, "")
	if f := c.hello(token); f.User != "ann" || time.Until(time.Unix(f.Expires, 0)) > 10*time.Minute || time.Until(time.Unix(f.Expires, 0)) < 5*time.Minute {
		t.Errorf("welcome with a token: %s", f.raw)
	}

	for _, first := range []string{`{"type":"subscribe","channel":"a"}`, `{"type":"ping"}`, `no json`, `[]`, `{"type":"later"}`} {
		c := dialWS(t, s, "")
		c.send("%s", first)
		c.ended(protocol.CodeHelloExpected)
	}
	c = dialWS(t, s, "")
	c.send(`{"type":"hello","ref":1}`)
	c.ended(protocol.CodeCredentialMissing)
}

// claims: 3.1 3.2 3.3 3.4 3.5 3.6 4.3 4.4 1.6
func TestCommands(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.SecretKey)

	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	if f := c.want(protocol.TypeSubscribed, ""); f.Ref != 2 || f.Channel != "a" || *f.Position == "" || f.Recovered != nil {
		t.Errorf("%s", f.raw)
	}
	c.send(`{"type":"subscribe","ref":3,"channel":"a"}`)
	if f := c.want(protocol.TypeError, protocol.CodeAlreadySubscribed); f.Ref != 3 || f.Channel != "a" {
		t.Errorf("%s", f.raw)
	}
	c.send(`{"type":"subscribe","ref":4,"channel":"b","since":"epoch:4"}`)
	if f := c.want(protocol.TypeSubscribed, ""); f.Recovered == nil || *f.Recovered || f.Reason != "epoch" {
		t.Errorf("a position of another epoch: %s", f.raw)
	}
	c.send(`{"type":"subscribe","ref":5,"channel":"c","since":"wrong"}`)
	c.want(protocol.TypeError, protocol.CodePositionInvalid)

	c.send(`{"type":"publish","ref":6,"channel":"a","data":{"x":1},"event":"e","id":"m1"}`)
	answer, got := c.next(), c.next()
	if answer.Type == protocol.TypeMessage {
		answer, got = got, answer // either may be first
	}
	if answer.Type != protocol.TypePublished || answer.Ref != 6 || answer.ID != "m1" || answer.Position == nil {
		t.Errorf("answer %s", answer.raw)
	}
	if got.Type != protocol.TypeMessage || string(got.Data) != `{"x":1}` || got.Event != "e" || got.ID != "m1" || got.Position == nil || got.User != "" {
		t.Errorf("message %s", got.raw)
	}
	c.send(`{"type":"publish","ref":7,"channel":"nobody:here","data":1}`)
	if f := c.want(protocol.TypePublished, ""); f.Ref != 7 || f.ID == "" {
		t.Errorf("%s", f.raw)
	}

	c.send(`{"type":"unsubscribe","ref":8,"channel":"a"}`)
	if f := c.want(protocol.TypeUnsubscribed, ""); f.Ref != 8 || f.Channel != "a" {
		t.Errorf("%s", f.raw)
	}
	c.send(`{"type":"unsubscribe","ref":9,"channel":"a"}`)
	c.want(protocol.TypeError, protocol.CodeNotSubscribed)
	publish(t, s, "a", `"not for me"`)

	// Without ref success is silent: the next frame is that of the ping.
	c.send(`{"type":"subscribe","channel":"d"}` + "\n" + `{"type":"publish","channel":"nobody","data":1}` + "\n" +
		`{"type":"unsubscribe","channel":"d"}` + "\n\n" + `{"type":"ping","ref":10}`)
	if f := c.want(protocol.TypePong, ""); f.Ref != 10 {
		t.Errorf("%s", f.raw)
	}
}

// claims: 5.2
func TestPing(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.PublishableKey)
	c.send(`{"type":"ping","ref":9007199254740991}`)
	if f := c.want(protocol.TypePong, ""); f.Ref != protocol.MaxRef {
		t.Errorf("%s", f.raw)
	}
}

// claims: 9.9
func TestTenThousandSubscribes(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.PublishableKey)
	go func() {
		for i := range 100 {
			var lines []string
			for j := range 100 {
				n := i*100 + j
				lines = append(lines, fmt.Sprintf(`{"type":"subscribe","ref":%d,"channel":"c%d"}`, n+1, n))
			}
			if c.conn.Write(t.Context(), websocket.MessageText, []byte(strings.Join(lines, "\n"))) != nil {
				return
			}
		}
	}()
	live := 0
	for range 10_000 {
		switch f := c.next(); {
		case f.Type == protocol.TypeSubscribed:
			live++
		case f.Code == protocol.CodeChannelLimit && strings.Contains(f.Message, "1000"):
		default:
			t.Fatalf("got %s", f.raw)
		}
	}
	if live != 1000 {
		t.Errorf("%d subscriptions, want 1000", live)
	}
	publish(t, s, "c999", "1")
	if f := c.next(); f.Channel != "c999" {
		t.Errorf("got %s", f.raw)
	}
}

// claims: 3.7 8.4 8.6
func TestTokenRefresh(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, makeToken(t, s, `{"user":"ann","grants":{"subscribe":["a","b"]},"ttl":60}`))
	c.send(`{"type":"subscribe","ref":2,"channel":"a"}`)
	c.want(protocol.TypeSubscribed, "")
	c.send(`{"type":"subscribe","ref":3,"channel":"b"}`)
	c.want(protocol.TypeSubscribed, "")

	c.send(`{"type":"auth","ref":4,"token":%q}`, makeToken(t, s, `{"user":"bob","grants":{"subscribe":["*"]}}`))
	c.want(protocol.TypeError, protocol.CodeTokenMismatch)

	c.send(`{"type":"auth","ref":5,"token":%q}`, makeToken(t, s, `{"user":"ann","grants":{"subscribe":["a"]},"ttl":2}`))
	if f := c.want(protocol.TypeAuthorized, ""); f.Ref != 5 || f.Expires == 0 {
		t.Errorf("%s", f.raw)
	}
	if f := c.want(protocol.TypeUnsubscribed, protocol.CodeNotGranted); f.Channel != "b" {
		t.Errorf("%s", f.raw)
	}
	publish(t, s, "b", `"lost right"`)
	publish(t, s, "a", `"kept"`)
	if f := c.next(); string(f.Data) != `"kept"` {
		t.Errorf("got %s", f.raw)
	}
	c.ended(protocol.CodeTokenExpired)
}

// claims: 4.1 4.4 8.9
func TestPublishFromClients(t *testing.T) {
	s := brokertest.Start(t)
	rules := `{"rules":[{"namespace":"silent","echo":false},{"namespace":"server","publish_from_clients":false}]}`
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, rules); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"],"publish":["*"]}}`)
	c, other := ready(t, s, token), ready(t, s, token)
	for i, ch := range []string{"silent:1", "loud:1"} {
		for _, c := range []*wsClient{c, other} {
			c.send(`{"type":"subscribe","ref":%d,"channel":%q}`, i+2, ch)
			c.want(protocol.TypeSubscribed, "")
		}
	}
	c.send(`{"type":"publish","channel":"silent:1","data":1}` + "\n" + `{"type":"publish","channel":"loud:1","data":2}`)
	if f := c.next(); string(f.Data) != "2" || f.User != "ann" {
		t.Errorf("the publisher got %s", f.raw)
	}
	got := map[string]bool{}
	for range 2 { // two channels have no order between them
		f := other.next()
		got[string(f.Data)] = f.User == "ann"
	}
	if !got["1"] || !got["2"] {
		t.Errorf("the other got %v", got)
	}
	c.send(`{"type":"publish","ref":9,"channel":"server:1","data":1}`)
	c.want(protocol.TypeError, protocol.CodePublishOff)
	publish(t, s, "server:1", "1") // a secret key still may
}

// A reader that stops reading is closed; nobody else notices.
//
// claims: 5.4
func TestSlowClient(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.QueueBytes = 64 << 10 })
	slow, fast := ready(t, s, s.SecretKey), ready(t, s, s.SecretKey)
	for _, c := range []*wsClient{slow, fast} {
		c.send(`{"type":"subscribe","ref":2,"channel":"flood"}`)
		c.want(protocol.TypeSubscribed, "")
	}
	data := `"` + strings.Repeat("x", 60_000) + `"`
	const most = 2000 // 120 MB: more than any socket buffer takes
	for i := range most {
		publish(t, s, "flood", data)
		if f := fast.next(); len(f.Data) != len(data) {
			t.Fatalf("the fast one got %.100s", f.raw)
		}
		if i%20 == 0 {
			if _, body := call(t, s, http.MethodGet, "/metrics", "", ""); strings.Contains(body, `code="slow_client"`) {
				break
			}
		}
		if i == most-1 {
			t.Fatal("the slow one was never closed")
		}
	}
	got := 0
	for f := slow.next(); f.Type != "end"; f = slow.next() {
		if f.Type == protocol.TypeMessage {
			got++
		}
	}
	if got >= most {
		t.Errorf("the slow one got all")
	}
	publish(t, s, "flood", `"still here"`)
	if f := fast.next(); string(f.Data) != `"still here"` {
		t.Errorf("the fast one got %.100s", f.raw)
	}
}

// claims: 9.9
func TestConnectionLimit(t *testing.T) {
	s := brokertest.Start(t)
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, `{"limits":{"connections":2}}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	one := ready(t, s, s.SecretKey)
	must(t, s, door{"sse", openSSE}, s.SecretKey, "a")
	third := dialWS(t, s, "")
	if f := third.hello(s.SecretKey); f.Code != protocol.CodeConnectionLimit || f.Close != 4101 || !strings.Contains(f.Message, "2") {
		t.Errorf("got %s", f.raw)
	}
	if _, refused := openSSE(t, s, s.SecretKey, "", "a"); refused == nil || refused.Code != protocol.CodeConnectionLimit {
		t.Errorf("got %+v", refused)
	}
	one.close()
	eventually(t, "a place becomes free", func() bool {
		c := dialWS(t, s, "")
		return c.hello(s.SecretKey).Type == protocol.TypeWelcome
	})
}

// eventually waits until ok, asking again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came that %s", what)
}

// A stop tells every client to come back, and then ends.
func TestDrain(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.DrainTime = 50 * time.Millisecond })
	var clients []*wsClient
	for range 10 {
		clients = append(clients, ready(t, s, s.PublishableKey))
	}
	stream := must(t, s, door{"sse", openSSE}, s.PublishableKey, "a")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.ended(protocol.CodeRestarting)
	}
	if f := stream.next(); f.Type != protocol.TypeClose || f.Close != 4200 {
		t.Errorf("the stream got %s", f.raw)
	}
}

// Connections that never say anything whole hold nobody up and are closed.
func TestSlowloris(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.PingInterval = 100 * time.Millisecond })
	for range 50 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /v1/ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")); err != nil {
			t.Fatal(err)
		}
	}
	c := ready(t, s, s.PublishableKey)
	c.send(`{"type":"ping","ref":5}`)
	c.want(protocol.TypePong, "")

	// Half a frame, and never the rest: as good as silent.
	half := dialWS(t, s, "")
	half.hello(s.PublishableKey)
	w, err := half.conn.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(strings.Repeat(" ", 5000))); err != nil {
		t.Fatal(err)
	}
	half.ended(protocol.CodePingTimeout)
}
