package goeasy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// raw is a client that sends whatever it is told.
type raw struct {
	t    *testing.T
	conn *websocket.Conn
	n    int
}

// reply is what calls are answered with.
type reply struct {
	Code    int             `json:"resultCode"`
	Content json.RawMessage `json:"content"`
	Session string          `json:"sid"`
	Publish bool            `json:"enablePublish"`
}

func dial(t *testing.T, s *brokertest.Server) *raw {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/socket.io/?EIO=3&transport=websocket&b64=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	c := &raw{t: t, conn: conn}
	if open := c.next(); !strings.HasPrefix(open, `0{"sid":"`) || c.next() != "40" {
		t.Fatalf("it begins with %q", open)
	}
	return c
}

func (c *raw) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next packet; "end" where the connection ends.
func (c *raw) next() string {
	ctx, stop := context.WithTimeout(c.t.Context(), patience)
	defer stop()
	_, b, err := c.conn.Read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			c.t.Fatal("nothing comes")
		}
		return "end"
	}
	return string(b)
}

// call sends an event and returns its answer; other packets that come before
// are returned, too.
func (c *raw) call(event string, body any) (r reply, before []string) {
	c.t.Helper()
	text, err := json.Marshal([]any{event, body})
	if err != nil {
		c.t.Fatal(err)
	}
	c.n++
	c.send(fmt.Sprintf("42%d%s", c.n, text))
	head := fmt.Sprintf("43%d", c.n)
	for {
		p := c.next()
		if p == "end" {
			c.t.Fatalf("%s: the connection ended", event)
		}
		if rest, ok := strings.CutPrefix(p, head); ok {
			all := []reply{}
			if err := json.Unmarshal([]byte(rest), &all); err != nil || len(all) != 1 {
				c.t.Fatalf("%s: the answer is %s", event, p)
			}
			return all[0], before
		}
		before = append(before, p)
	}
}

// is checks the code of an answer.
func (c *raw) is(code int, event string, body any) reply {
	c.t.Helper()
	r, _ := c.call(event, body)
	if r.Code != code {
		c.t.Fatalf("%s %v: %d %s, want %d", event, body, r.Code, r.Content, code)
	}
	return r
}

type m = map[string]any

func login(key, user string) m { return m{"appkey": key, "userId": user, "artifactVersion": "2.14.9"} }

func enter(t *testing.T, s *brokertest.Server, role, user string) *raw {
	t.Helper()
	c := dial(t, s)
	c.is(200, "authorize", login(s.Doors["FANFARE_GOEASY_"+role], user))
	return c
}

// admin sends a request of administration.
func admin(t *testing.T, s *brokertest.Server, method, path, body string, want int) string {
	t.Helper()
	status, text := call(t, method, s.URL+path, "application/json", s.AccountToken, body)
	if status != want {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// Who is wrong is told so in GoEasy's own way, nothing leaks, and the server
// goes on.
func TestBadInput(t *testing.T) {
	s := brokertest.Start(t)
	t.Run("before authorize", func(t *testing.T) { badBeginnings(t, s) })
	t.Run("calls", func(t *testing.T) { badCalls(t, s) })
	t.Run("packets", func(t *testing.T) { badPackets(t, s) })
	t.Run("handshakes", func(t *testing.T) { badHandshakes(t, s) })
	enter(t, s, "COMMON_KEY", "u").is(200, "publish", m{"channel": "c", "content": "the server goes on"})
}

func badBeginnings(t *testing.T, s *brokertest.Server) {
	key := s.Doors["FANFARE_GOEASY_COMMON_KEY"]
	c := dial(t, s)
	for _, event := range []string{"subscribe", "publish", "historyMessages", "hereNow", "PUBSUB_PRESENCE_HERENOW"} {
		c.is(401, event, m{"channel": "c"})
	}
	c.is(400, "authorize", login("BC-nobodys", "u"))
	c.is(401, "authorize", login(s.Doors["FANFARE_GOEASY_REST_KEY"], "u"))
	c.is(400, "authorize", login(s.SecretKey, "u"))
	c.is(400, "authorize", m{"appkey": 7})
	c.is(400, "authorize", m{"appkey": key, "userId": strings.Repeat("u", 129)})
	c.is(400, "authorize", m{"appkey": key, "userId": "u", "userData": strings.Repeat("d", 301)})
	c.is(200, "authorize", login(key, "u"))
	c.is(200, "authorize", login(key, "u")) // twice is well
	c.is(403, "authorize", login(key, "other"))
}

func badCalls(t *testing.T, s *brokertest.Server) {
	c := enter(t, s, "COMMON_KEY", "u")
	many := make([]string, 301)
	for i := range many {
		many[i] = fmt.Sprint("c", i)
	}
	c.is(400, "subscribe", m{"channels": many})
	c.is(200, "subscribe", m{"channels": many[:300]})
	c.is(200, "subscribe", m{"channels": []string{"twice", "twice"}})
	c.is(200, "subscribe", m{"channel": "twice"})
	for _, event := range []string{"subscribe", "historyMessages", "PUBSUB_PRESENCE_SUBSCRIBE", "PUBSUB_PRESENCE_HERENOW", "publish"} {
		c.is(401, event, m{"channel": "#server-to-user-ann", "content": "x"})
		c.is(401, event, m{"channel": "protected-a", "content": "x"})
		c.is(400, event, m{"channel": strings.Repeat("c", 201), "content": "x"})
		c.is(400, event, m{"channel": "a\nb", "content": "x"})
		c.is(400, event, m{"channel": "", "content": "x"})
		c.is(400, event, m{"channel": []string{"c"}, "content": "x"})
		c.is(400, event, "no object")
	}
	c.is(400, "publish", m{"channel": "c", "content": m{"an": "object"}})
	c.is(400, "publish", m{"channel": "c", "content": "x", "guid": "not an id"})
	c.is(400, "publish", m{"channel": "c", "content": nil})
	c.is(413, "publish", m{"channel": "c", "content": strings.Repeat("x", 65_537)})
	c.is(400, "historyMessages", m{"channel": "c", "limit": 101})
	c.is(400, "historyMessages", m{"channel": "c", "start": 5, "end": 1})
	c.is(400, "PUBSUB_PRESENCE_HERENOW", m{"channel": "c", "limit": 101})
	c.is(400, "noSuchEvent", m{})
	c.is(200, "unsubscribe", m{"channel": "never"})
	c.is(200, "publish", m{"channel": "c", "content": "still here"})
}

func badPackets(t *testing.T, s *brokertest.Server) {
	for _, text := range []string{"", "4", "42", "42[]", `42{"a":1}`, "42[1]", "4\xff", "9", "5", "0{}", "451-[\"x\"]", "2" + strings.Repeat("p", 100), "42" + strings.Repeat("9", 30) + `["x"]`} {
		c := enter(t, s, "COMMON_KEY", "u")
		c.send(text)
		if got := c.next(); got != "end" { // never 41: with that their clients are lost for good
			t.Errorf("%q is answered with %q", text, got)
		}
	}
	c := enter(t, s, "COMMON_KEY", "u")
	for range 30 { // answers to what nobody asked
		if err := c.conn.Write(t.Context(), websocket.MessageText, []byte("437[]")); err != nil {
			break
		}
	}
	if got := c.next(); got != "end" {
		t.Errorf("wrong answers: %q", got)
	}
	c = enter(t, s, "COMMON_KEY", "u")
	c.send("40/admin")
	if got := c.next(); got != `44/admin,"Invalid namespace"` {
		t.Errorf("another namespace: %q", got)
	}
	c.send(`42["ack",{"publishGuid":"nonsense"}]`)
	c.send(`42["ack",{"i":"a:1.00000000"}]`)
	c.send("2")
	if got := c.next(); got != "3" {
		t.Errorf("a ping is answered with %q", got)
	}
	c = dial(t, s)
	c.send(`421["authorize",{"appkey":"` + strings.Repeat("k", 20_000) + `"}]`)
	if got := c.next(); got != "end" {
		t.Errorf("oversize is answered with %q", got)
	}
}

func badHandshakes(t *testing.T, s *brokertest.Server) {
	for _, c := range []struct {
		method, query, body string
		status              int
		want                string
	}{
		{"GET", "EIO=3&transport=flash", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=polling", "", 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=3&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`},
		{"GET", "EIO=3&transport=polling&sid=nobodys", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=3&transport=polling&sid=nobodys", "1:2", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=3&transport=polling", "1:2", 400, `{"code":2,"message":"Bad handshake method"}`},
	} {
		if status, text := call(t, c.method, s.URL+"/socket.io/?"+c.query, "", "", c.body); status != c.status || text != c.want {
			t.Errorf("%s %s: %d %s", c.method, c.query, status, text)
		}
	}
	for _, c := range []struct {
		body   string
		status int
	}{{"1:2", 200}, {"nonsense", 400}, {"5:4", 400}, {strings.Repeat("1:2", 1001), 400}, {strings.Repeat("x", 100_000), 413}} {
		_, text := call(t, "GET", s.URL+"/socket.io/?EIO=3&transport=polling", "", "", "")
		_, rest, _ := strings.Cut(text, `{"sid":"`)
		sid, _, _ := strings.Cut(rest, `"`)
		status, said := call(t, "POST", s.URL+"/socket.io/?EIO=3&transport=polling&sid="+sid, "text/plain", "", c.body)
		if status != c.status {
			t.Errorf("%.20q: %d %s", c.body, status, said)
		}
		if status == 200 {
			if _, text = call(t, "GET", s.URL+"/socket.io/?EIO=3&transport=polling&j=3&sid="+sid, "", "", ""); text != `___eio[3]("1:3");` {
				t.Errorf("as a script: %s", text)
			}
		}
	}
}

// What a key may is what it is for; a door that is closed and another app's key
// say no more than a key of nobody.
func TestRights(t *testing.T) {
	s := brokertest.Start(t)
	c := enter(t, s, "SUBSCRIBE_KEY", "")
	c.is(200, "subscribe", m{"channel": "c"})
	c.is(401, "publish", m{"channel": "c", "content": "x"})
	c.is(400, "subscribe", m{"channel": "p", "presence": m{"enable": "yes"}})
	c.is(403, "subscribe", m{"channel": "p", "presence": m{"enable": true}}) // it has no user

	// Another app, with keys of GoEasy's that were taken over.
	var app struct{ ID string }
	if err := json.Unmarshal([]byte(admin(t, s, "POST", "/v1/apps", `{"name":"other"}`, 201)), &app); err != nil {
		t.Fatal(err)
	}
	admin(t, s, "POST", "/v1/apps/"+app.ID+"/door-keys", `{"door":"goeasy","parts":["BC-o","BS-o","PR-o","0123456789abcdef","CK-o"]}`, 201)
	o := dial(t, s)
	o.is(200, "authorize", login("BC-o", "spy"))
	o.is(200, "subscribe", m{"channel": "c", "presence": m{"enable": true}})
	a := enter(t, s, "COMMON_KEY", "ann")
	a.is(200, "publish", m{"channel": "c", "content": "secret", "q": 1})
	_, got := o.call("publish", m{"channel": "c", "content": "own"})
	if len(got) == 0 {
		got = append(got, o.next())
	}
	if !strings.Contains(got[0], "own") {
		t.Errorf("another app got %s", got)
	}
	if r := o.is(200, "historyMessages", m{"channel": "c"}); strings.Contains(string(r.Content), "secret") {
		t.Errorf("another app reads %s", r.Content)
	}
	if r := a.is(200, "PUBSUB_PRESENCE_HERENOW", m{"channel": "c"}); string(r.Content) != `{"channel":"c","amount":0,"members":[]}` {
		t.Errorf("who is there, of another app: %s", r.Content)
	}

	// A one-time password, once; and again for who comes back with it.
	password := otp(t, "0123456789abcdef", time.Now())
	g := dial(t, s)
	g.is(401, "authorize", m{"appkey": "CK-o", "otp": ""})
	g.is(401, "authorize", m{"appkey": "CK-o", "otp": otp(t, "fedcba9876543210", time.Now())})
	g.is(401, "authorize", m{"appkey": "CK-o", "otp": otp(t, "0123456789abcdef", time.Now().Add(-time.Hour))})
	sid := g.is(200, "authorize", m{"appkey": "CK-o", "otp": password}).Session
	dial(t, s).is(401, "authorize", m{"appkey": "CK-o", "otp": password})
	if again := dial(t, s).is(200, "authorize", m{"appkey": "CK-o", "otp": password, "sid": sid}); !again.Publish || again.Session == sid {
		t.Errorf("who comes back gets %+v", again)
	}

	// Channels that are protected, with tokens.
	claims := m{"id": "ann", "channel": "protected-x", "r": true, "exp": time.Now().Add(time.Hour).Unix()}
	with := func(change m) string {
		all := m{}
		for k, v := range claims {
			all[k] = v
		}
		for k, v := range change {
			all[k] = v
		}
		return token(t, s.Doors["FANFARE_GOEASY_SECRET"], all)
	}
	a.is(200, "subscribe", m{"channel": "protected-x", "accessToken": with(nil)})
	a.is(401, "publish", m{"channel": "protected-x", "content": "x", "at": with(nil)})
	a.is(200, "publish", m{"channel": "protected-x", "content": "x", "at": with(m{"w": true})})
	for _, bad := range []string{
		with(m{"id": "bob"}), with(m{"channel": "protected-y"}), with(m{"exp": time.Now().Add(-time.Hour).Unix()}), with(m{"exp": time.Now().Add(4 * time.Hour).Unix()}),
		with(m{"exp": nil}), token(t, "another secret!!", claims), "nonsense", with(m{"r": false}),
	} {
		b := enter(t, s, "COMMON_KEY", "ann")
		if r, _ := b.call("subscribe", m{"channel": "protected-x", "accessToken": bad}); r.Code != 401 && r.Code != 403 {
			t.Errorf("a wrong token is answered with %d %s", r.Code, r.Content)
		}
	}

	// The door closes: who is in is out, and nobody comes in.
	admin(t, s, "PATCH", "/v1/apps/"+app.ID, `{"doors":{"goeasy":false}}`, 200)
	for o.next() != "end" {
	}
	closed, nobody := dial(t, s).is(400, "authorize", login("BC-o", "u")), dial(t, s).is(400, "authorize", login("BC-nobodys", "u"))
	if string(closed.Content) != string(nobody.Content) {
		t.Errorf("a closed door says %s, a key of nobody %s", closed.Content, nobody.Content)
	}
	if status, text := call(t, http.MethodPost, s.URL+"/publish", "application/json", "", `{"appkey":"PR-o","channel":"c","content":"x"}`); status != 400 || !strings.Contains(text, "appkey is invalid") {
		t.Errorf("REST at a closed door: %d %s", status, text)
	}
}
