package broker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// watchers open a client of either door that is subscribed to channel and is
// told what the query says.
func watchers() map[string]func(t *testing.T, s *brokertest.Server, credential, channel string, what ...string) (listener, *frame) {
	return map[string]func(*testing.T, *brokertest.Server, string, string, ...string) (listener, *frame){
		"ws": func(t *testing.T, s *brokertest.Server, credential, channel string, what ...string) (listener, *frame) {
			c := dialWS(t, s, "")
			if f := c.hello(credential); f.Type != protocol.TypeWelcome {
				return nil, &f
			}
			more := ""
			for _, w := range what {
				more += fmt.Sprintf(`,%q:true`, w)
			}
			c.send(`{"type":"subscribe","ref":2,"channel":%q%s}`, channel, more)
			if f := c.next(); f.Type != protocol.TypeSubscribed {
				return nil, &f
			}
			return c, nil
		},
		"sse": func(t *testing.T, s *brokertest.Server, credential, channel string, what ...string) (listener, *frame) {
			q := url.Values{"channel": {channel}}
			for _, w := range what {
				q.Set(w, "true")
			}
			return getSSE(t, s, "?"+q.Encode(), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+credential) }, 1)
		},
	}
}

func userToken(t *testing.T, s *brokertest.Server, user string) string {
	t.Helper()
	return makeToken(t, s, fmt.Sprintf(`{"user":%q,"grants":{"subscribe":["*"],"presence":["*"]}}`, user))
}

// user opens a WebSocket of a user with all that presence needs.
func user(t *testing.T, s *brokertest.Server, name string) *wsClient {
	t.Helper()
	c := dialWS(t, s, "")
	if f := c.hello(userToken(t, s, name)); f.Type != protocol.TypeWelcome {
		t.Fatal(f.raw)
	}
	return c
}

// ask sends a presence command and returns the answer.
func ask(c *wsClient, channel, action, data string) frame {
	c.t.Helper()
	more := ""
	if data != "" {
		more = `,"data":` + data
	}
	c.send(`{"type":"presence","ref":77,"channel":%q,"action":%q%s}`, channel, action, more)
	f := c.next()
	if f.Ref != 77 {
		c.t.Fatalf("not the answer: %s", f.raw)
	}
	return f
}

func say(f frame) string {
	parts := []string{f.Type, f.Action}
	for _, m := range f.Members {
		parts = append(parts, fmt.Sprintf("%s %s %d", m.User, m.Data, m.Connections))
	}
	return strings.Join(parts, "|")
}

// claims: 11.1 11.2 11.4 11.6 11.12
func TestPresence(t *testing.T) {
	for name, open := range watchers() {
		t.Run(name, func(t *testing.T) {
			s := brokertest.Start(t)
			ann, again, bob := user(t, s, "ann"), user(t, s, "ann"), user(t, s, "bob")
			is := func(f frame, want string) {
				t.Helper()
				if got := say(f); got != want {
					t.Fatalf("got %s, want %s (%s)", got, want, f.raw)
				}
			}
			is(ask(ann, "room:1", "enter", `{"a":1}`), "presence_ok|enter")
			l, refused := open(t, s, userToken(t, s, "eve"), "room:1", "presence")
			if refused != nil {
				t.Fatal(refused.raw)
			}
			view := map[string]string{}
			sees := func(want map[string]string) {
				t.Helper()
				for cmp.Diff(want, view) != "" {
					f := l.next()
					if f.Type != protocol.TypePresence || f.Channel != "room:1" || f.Members == nil {
						t.Fatalf("got %s while waiting for %v; it sees %v", f.raw, want, view)
					}
					for _, m := range f.Members {
						if f.Action == protocol.PresenceLeave {
							delete(view, m.User)
						} else {
							view[m.User] = fmt.Sprintf("%s %d", m.Data, m.Connections)
						}
					}
				}
			}
			sees(map[string]string{"ann": `{"a":1} 1`})
			ask(bob, "room:1", "enter", "")
			sees(map[string]string{"ann": `{"a":1} 1`, "bob": " 1"})
			ask(again, "room:1", "enter", "2")
			sees(map[string]string{"ann": `2 2`, "bob": " 1"})
			is(ask(bob, "room:1", "members", ""), "presence_ok|members|ann 2 2|bob  1")
			is(ask(bob, "room:1", "update", `"b"`), "presence_ok|update")
			sees(map[string]string{"ann": `2 2`, "bob": `"b" 1`})
			ask(ann, "room:1", "leave", "")
			is(ask(bob, "room:1", "leave", ""), "presence_ok|leave")
			sees(map[string]string{"ann": `2 1`})
			status, body := call(t, s, http.MethodGet, "/v1/presence?channel=room:1", s.SecretKey, "")
			if want := `{"members":[{"user":"ann","data":2,"connections":1}],"count":1}`; status != 200 || strings.TrimSpace(body) != want {
				t.Errorf("REST: %d %s", status, body)
			}
			is(ask(again, "room:2", "members", ""), "presence_ok|members")
			publish(t, s, "room:1", "1") // messages come as ever
			if f := message(t, l); string(f.Data) != "1" {
				t.Error(f.raw)
			}
		})
	}
}

// claims: 11.1 11.2 11.8 11.12
func TestPresenceIsRefused(t *testing.T) {
	s := brokertest.Start(t)
	off := `{"rules":[{"namespace":"dark","presence":false},{"namespace":"counted","occupancy":true}]}`
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, off); status != 200 {
		t.Fatal(body)
	}
	ann := user(t, s, "ann")
	nobody := dialWS(t, s, "")
	nobody.hello(s.SecretKey)
	weak := dialWS(t, s, "")
	weak.hello(makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"],"presence":["other"]}}`))
	long := `"` + strings.Repeat("x", 1023) + `"`
	for _, c := range []struct {
		who                   *wsClient
		channel, action, data string
		code                  protocol.Code
	}{
		{ann, "a", "dance", "", protocol.CodePresenceInvalid},
		{ann, "a", "sync", "", protocol.CodePresenceInvalid},
		{ann, "a", "enter", long, protocol.CodePresenceInvalid},
		{ann, "a", "update", "1", protocol.CodeNotPresent},
		{ann, "a", "leave", "", protocol.CodeNotPresent},
		{ann, "dark:a", "enter", "", protocol.CodePresenceOff},
		{ann, "dark:a", "members", "", protocol.CodePresenceOff},
		{nobody, "a", "enter", "", protocol.CodeUserMissing},
		{weak, "a", "enter", "", protocol.CodeNotGranted},
		{weak, "a", "members", "", protocol.CodeNotGranted},
	} {
		if f := ask(c.who, c.channel, c.action, c.data); f.Type != protocol.TypeError || f.Code != c.code || string(f.Channel) != c.channel {
			t.Errorf("%s %s %.10s: got %s, want %s", c.action, c.channel, c.data, f.raw, c.code)
		}
	}
	if f := ask(ann, "a", "enter", `"`+strings.Repeat("x", 1022)+`"`); f.Type != protocol.TypePresenceOK {
		t.Errorf("1024 bytes: %s", f.raw)
	}
	token := userToken(t, s, "ann")
	poor := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"]}}`)
	for name, open := range watchers() {
		for _, c := range []struct {
			credential, channel, what string
			code                      protocol.Code
		}{
			{poor, "a", "presence", protocol.CodeNotGranted},
			{token, "dark:a", "presence", protocol.CodePresenceOff},
			{token, "a", "occupancy", protocol.CodePresenceOff},
		} {
			if _, refused := open(t, s, c.credential, c.channel, c.what); refused == nil || refused.Code != c.code {
				t.Errorf("%s %s %s: %+v, want %s", name, c.channel, c.what, refused, c.code)
			}
		}
		l, refused := open(t, s, poor, "counted:"+name, "occupancy")
		if refused != nil {
			t.Fatal(refused.raw)
		}
		if f := l.next(); f.Type != protocol.TypeOccupancy || *f.Occupancy != (protocol.Occupancy{Subscribers: 1}) {
			t.Errorf("%s: %s", name, f.raw)
		}
		other, _ := openWS(t, s, s.SecretKey, "", "counted:"+name)
		if f := l.next(); f.Type != protocol.TypeOccupancy || *f.Occupancy != (protocol.Occupancy{Subscribers: 2}) {
			t.Errorf("%s: %s", name, f.raw)
		}
		other.close()
	}
}

// A new token that grants less ends what it does not grant.
//
// claims: 11.13
func TestPresenceAfterANewToken(t *testing.T) {
	s := brokertest.Start(t)
	ann, eve := user(t, s, "ann"), user(t, s, "eve")
	eve.send(`{"type":"subscribe","channel":"a","presence":true}`)
	ann.send(`{"type":"subscribe","channel":"a","presence":true}`)
	ask2 := func(c *wsClient) frame { // past what is told meanwhile
		for {
			if f := c.next(); f.Type != protocol.TypePresence {
				return f
			}
		}
	}
	ann.send(`{"type":"presence","ref":1,"channel":"a","action":"enter"}`)
	if f := ask2(ann); f.Type != protocol.TypePresenceOK {
		t.Fatal(f.raw)
	}
	for f := eve.next(); f.Action != protocol.PresenceEnter && len(f.Members) == 0; f = eve.next() {
	}
	ann.send(`{"type":"auth","ref":2,"token":%q}`, makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"]}}`))
	if f := ask2(ann); f.Type != protocol.TypeAuthorized {
		t.Fatal(f.raw)
	}
	if f := ask2(ann); f.Type != protocol.TypeError || f.Code != protocol.CodeNotGranted || f.Channel != "a" {
		t.Fatal(f.raw)
	}
	for f := eve.next(); f.Action != protocol.PresenceLeave; f = eve.next() {
	}
	ask(eve, "b", "members", "")
	publish(t, s, "a", "1") // it is subscribed as before
	if f := message(t, ann); f.Channel != "a" {
		t.Error(f.raw)
	}
}

// claims: 11.10 4.5
func TestKick(t *testing.T) {
	s := brokertest.Start(t)
	_, otherSecret := makeApp(t, s, "other")
	var kicked, left []listener
	for _, open := range watchers() {
		for _, name := range []string{"ann", "bob"} {
			l, refused := open(t, s, userToken(t, s, name), "a")
			if refused != nil {
				t.Fatal(refused.raw)
			}
			if name == "ann" {
				kicked = append(kicked, l)
			} else {
				left = append(left, l)
			}
		}
	}
	kick := func(secret, query string, want int) {
		t.Helper()
		status, body := call(t, s, http.MethodDelete, "/v1/connections"+query, secret, "")
		if status != 200 || strings.TrimSpace(body) != fmt.Sprintf(`{"ended":%d}`, want) {
			t.Errorf("%s: %d %s, want %d", query, status, body, want)
		}
	}
	kick(otherSecret, "?user=ann", 0)
	kick(s.SecretKey, "?user=nobody", 0)
	kick(s.SecretKey, "?user=ann", 2)
	for _, l := range kicked {
		if f := l.next(); f.Type != protocol.TypeClose || f.Code != protocol.CodeKicked || f.Close != 4310 {
			t.Errorf("got %s", f.raw)
		}
		if f := l.next(); f.Type != "end" || f.Close != 0 && (f.Close != 4310 || f.Message != "kicked") {
			t.Errorf("the end: %+v", f)
		}
	}
	one := dialWS(t, s, "")
	welcome := one.hello(userToken(t, s, "bob"))
	kick(otherSecret, "?session="+welcome.Session, 0)
	kick(s.SecretKey, "?session="+welcome.Session, 1)
	if f := one.next(); f.Code != protocol.CodeKicked {
		t.Error(f.raw)
	}
	publish(t, s, "a", "1")
	for _, l := range left {
		message(t, l)
	}
}

// Whoever lives by a key that is revoked, or in an app that is deleted, is
// gone within a second; others live on.
//
// claims: 11.11 8.8
func TestRevokedKeyEndsConnections(t *testing.T) {
	s := brokertest.Start(t)
	own := *s
	for name, open := range watchers() {
		page, pageID := makeKey(t, s, `{"kind":"publishable","grants":{"subscribe":["*"]}}`)
		var signerID string
		own.SecretKey, signerID = makeKey(t, s, `{"kind":"secret"}`)
		signed := makeToken(t, &own, `{"user":"ann","grants":{"subscribe":["*"]}}`)
		app, appSecret := makeApp(t, s, "doomed "+name)
		survivor, _ := open(t, s, s.PublishableKey, "a")
		for _, c := range []struct {
			credential, gone string
			code             protocol.Code
		}{
			{page, "/v1/apps/" + s.App + "/keys/" + pageID, protocol.CodeKeyExpired},
			{signed, "/v1/apps/" + s.App + "/keys/" + signerID, protocol.CodeTokenInvalid},
			{appSecret, "/v1/apps/" + app, protocol.CodeAppNotFound},
		} {
			l, refused := open(t, s, c.credential, "a")
			if refused != nil {
				t.Fatalf("%s: %s", name, refused.raw)
			}
			if status, body := call(t, s, http.MethodDelete, c.gone, s.AccountToken, ""); status != http.StatusNoContent {
				t.Fatal(body)
			}
			at := time.Now()
			f := l.next()
			if took := time.Since(at); f.Type != protocol.TypeClose || f.Code != c.code || took > time.Second {
				t.Errorf("%s: after %v: %s, want %s within a second", name, took, f.raw, c.code)
			}
		}
		publish(t, s, "a", "1")
		message(t, survivor)
	}
}

// claims: 11.6
func TestMembersInPages(t *testing.T) {
	s := brokertest.Start(t)
	const n = 30
	var want []string
	data := `"` + strings.Repeat("x", 1000) + `"`
	for i := range n * 3 {
		name := fmt.Sprintf("user%02d", i)
		want = append(want, name)
		if f := ask(user(t, s, name), "room", "enter", data); f.Type != protocol.TypePresenceOK {
			t.Fatal(f.raw)
		}
	}
	eve := user(t, s, "eve")
	var got []string
	pages := 0
	for f := ask(eve, "room", "members", ""); ; f = eve.next() {
		pages++
		for _, m := range f.Members {
			got = append(got, m.User)
		}
		if f.Ref != 77 || len(f.raw) > 1<<17 {
			t.Fatalf("ref %d, %d bytes", f.Ref, len(f.raw))
		}
		if !f.More {
			break
		}
	}
	if pages < 2 || !slices.Equal(got, want) {
		t.Errorf("%d pages: %q", pages, got)
	}
	var all struct{ Channels []protocol.ChannelInfo }
	_, body := call(t, s, http.MethodGet, "/v1/channels", s.SecretKey, "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.Channels) != 1 || all.Channels[0].Members != 3*n {
		t.Error(body)
	}
}
