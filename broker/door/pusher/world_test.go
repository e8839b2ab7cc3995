package pusher_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	oracle "github.com/pusher/pusher-http-go/v5"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// world is a node, its demo app and Pusher's own Go library pointed at it.
type world struct {
	*brokertest.Server
	t                  testing.TB
	host               string
	appID, key, secret string
	lib                *oracle.Client
}

func start(t testing.TB, change ...func(*broker.Config)) *world {
	t.Helper()
	return on(t, brokertest.Start(t, change...))
}

func on(t testing.TB, s *brokertest.Server) *world {
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: s, t: t, host: u.Host, appID: s.Doors["FANFARE_PUSHER_APP_ID"], key: s.Doors["FANFARE_PUSHER_KEY"], secret: s.Doors["FANFARE_PUSHER_SECRET"]}
	w.lib = &oracle.Client{AppID: w.appID, Key: w.key, Secret: w.secret, Host: w.host, HTTPClient: &http.Client{Timeout: time.Minute},
		EncryptionMasterKeyBase64: "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="}
	return w
}

// patch changes the demo app.
func (w *world) patch(body string) {
	w.t.Helper()
	w.admin("PATCH", "/v1/apps/"+w.App, body, 200)
}

// admin does a request with the account's token and returns its answer.
func (w *world) admin(method, path, body string, status int) map[string]any {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	token := w.AccountToken
	if strings.HasPrefix(path, "/v1/messages") || strings.HasPrefix(path, "/v1/presence") {
		token = w.SecretKey
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			w.t.Fatal(err)
		}
	}
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: %d %v", method, path, resp.StatusCode, out)
	}
	return out
}

// socket is a client by hand.
type socket struct {
	t    testing.TB
	conn *websocket.Conn
	id   string
}

// event is what a client gets.
type event struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  string          `json:"user_id"`
}

// text is the data of an event that comes as a string.
func (e event) text() string {
	var s string
	if json.Unmarshal(e.Data, &s) != nil {
		return string(e.Data)
	}
	return s
}

// open opens a WebSocket and says nothing.
func (w *world) open(path string) *socket {
	w.t.Helper()
	conn, _, err := websocket.Dial(w.t.Context(), "ws://"+w.host+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	w.t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t: w.t, conn: conn}
}

// connect is open with the right path and waits for the greeting.
func (w *world) connect() *socket {
	w.t.Helper()
	s := w.open("/app/" + w.key + "?protocol=7&client=test&version=1")
	var hello struct {
		SocketID string `json:"socket_id"`
		Timeout  int    `json:"activity_timeout"`
	}
	e := s.next("pusher:connection_established")
	if err := json.Unmarshal([]byte(e.text()), &hello); err != nil || hello.Timeout != 120 {
		w.t.Fatalf("the greeting is %s (%v)", e.Data, err)
	}
	s.id = hello.SocketID
	return s
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.conn.Write(s.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// read is the next event but pings.
func (s *socket) read() (event, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return event{}, err
		}
		var e event
		if err := json.Unmarshal(b, &e); err != nil {
			s.t.Fatalf("%s: %v", b, err)
		}
		if e.Event == "pusher:ping" {
			s.send(`{"event":"pusher:pong","data":{}}`)
			continue
		}
		return e, nil
	}
}

// next wants an event of that name to be the next.
func (s *socket) next(name string) event {
	s.t.Helper()
	e, err := s.read()
	if err != nil {
		s.t.Fatalf("waiting for %s: %v", name, err)
	}
	if e.Event != name {
		s.t.Fatalf("got %s on %s (%s), want %s", e.Event, e.Channel, e.Data, name)
	}
	return e
}

// closed wants the connection to end with an error event and a close code.
func (s *socket) closed(code int) {
	s.t.Helper()
	for {
		_, err := s.read()
		if err == nil {
			continue
		}
		if got := int(websocket.CloseStatus(err)); got != code {
			s.t.Fatalf("closed with %d (%v), want %d", got, err, code)
		}
		return
	}
}

// quiet wants nothing to come before the answer to a ping.
func (s *socket) quiet() {
	s.t.Helper()
	s.send(`{"event":"pusher:ping","data":{}}`)
	s.next("pusher:pong")
}

// subscribe subscribes to a public channel.
func (s *socket) subscribe(channel string) {
	s.t.Helper()
	s.send(`{"event":"pusher:subscribe","data":{"channel":"` + channel + `","auth":""}}`)
	if e := s.next("pusher_internal:subscription_succeeded"); e.Channel != channel || e.text() != "{}" {
		s.t.Fatalf("got %+v", e)
	}
}

// private subscribes to a channel with what the library signs. data is the
// member of a presence channel, or nil.
func (w *world) private(s *socket, channel string, data *oracle.MemberData) event {
	w.t.Helper()
	w.ask(s, channel, data)
	return s.next("pusher_internal:subscription_succeeded")
}

func (w *world) ask(s *socket, channel string, data *oracle.MemberData) {
	w.t.Helper()
	params := url.Values{"socket_id": {s.id}, "channel_name": {channel}}
	var auth []byte
	var err error
	if data != nil {
		auth, err = w.lib.AuthorizePresenceChannel([]byte(params.Encode()), *data)
	} else {
		auth, err = w.lib.AuthorizePrivateChannel([]byte(params.Encode()))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var signed map[string]any
	if err := json.Unmarshal(auth, &signed); err != nil {
		w.t.Fatal(err)
	}
	signed["channel"] = channel
	b, err := json.Marshal(map[string]any{"event": "pusher:subscribe", "data": signed})
	if err != nil {
		w.t.Fatal(err)
	}
	s.send(string(b))
}

// eventually waits for a condition.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it did not come about")
		}
	}
}
