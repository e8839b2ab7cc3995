package pusher_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	oracle "github.com/pusher/pusher-http-go/v5"
)

func TestPublicChannel(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := w.connect(), w.connect()
	a.subscribe("room")
	b.subscribe("room")
	if err := w.lib.Trigger("room", "said", map[string]any{"text": "<hi> & \"bye\""}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*socket{a, b} {
		if e := s.next("said"); e.Channel != "room" || e.text() == "" || !json.Valid([]byte(e.text())) {
			t.Errorf("got %+v", e)
		}
	}
	// not to the socket that is left out
	if _, err := w.lib.TriggerWithParams("room", "said", "2", oracle.TriggerParams{SocketID: &a.id}); err != nil {
		t.Fatal(err)
	}
	b.next("said")
	a.quiet()
	// strings come as they went
	for _, text := range []string{"hello", `"quoted"`, " 1 ", "", "line\nbreak", `{"a":1.0}`, `{"a":
1}`, "12", "null"} {
		if err := w.lib.Trigger("room", "text", text); err != nil {
			t.Fatal(err)
		}
		if e := b.next("text"); e.text() != text {
			t.Errorf("sent %q, got %q", text, e.text())
		}
		a.next("text")
	}
	a.send(`{"event":"pusher:unsubscribe","data":{"channel":"room"}}`)
	a.send(`{"event":"pusher:unsubscribe","data":{"channel":"room"}}`)
	a.quiet()
	if err := w.lib.Trigger("room", "after", "1"); err != nil {
		t.Fatal(err)
	}
	b.next("after")
	a.quiet()
}

func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	w := start(t)
	for path, code := range map[string]int{
		"/app/" + w.key:                           4008,
		"/app/" + w.key + "?protocol=x":           4006,
		"/app/" + w.key + "?protocol=8":           4007,
		"/app/" + w.key + "?protocol=4":           4007,
		"/app/nobody?protocol=7":                  4001,
		"/app/" + w.key + "/more?protocol=7":      4005,
		"/app/" + w.key + "?protocol=7;protocol=": 4008,
	} {
		s := w.open(path)
		var told struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		e := s.next("pusher:error")
		if err := json.Unmarshal(e.Data, &told); err != nil || told.Code != code || told.Message == "" {
			t.Errorf("%s: told %s", path, e.Data)
		}
		s.closed(code)
	}
	live := w.connect()
	w.patch(`{"doors":{"pusher":false}}`)
	live.next("pusher:error")
	live.closed(4003)
	w.open("/app/" + w.key + "?protocol=7").closed(4003)
}

func TestPrivateChannels(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.connect()
	for _, ch := range []string{"private-a", "private-encrypted-a", "private-cache-a"} {
		s.send(`{"event":"pusher:subscribe","data":{"channel":"` + ch + `","auth":"` + w.key + `:00"}}`)
		var told struct {
			Type   string
			Status int
		}
		if e := s.next("pusher:subscription_error"); e.Channel != ch || json.Unmarshal(e.Data, &told) != nil || told.Type != "AuthError" || told.Status != 401 {
			t.Errorf("%s: %+v", ch, e)
		}
	}
	w.private(s, "private-a", nil)
	// another app's key signs nothing here
	other := w.admin("POST", "/v1/apps", `{"name":"other"}`, 201)["id"].(string)
	w.admin("POST", "/v1/apps/"+other+"/door-keys", `{"door":"pusher","parts":["1","otherkey","othersecret"]}`, 201)
	lib := *w.lib
	lib.Key, lib.Secret = "otherkey", "othersecret"
	auth, err := lib.AuthorizePrivateChannel([]byte(url.Values{"socket_id": {s.id}, "channel_name": {"private-b"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	s.send(`{"event":"pusher:subscribe","data":{"channel":"private-b",` + string(auth[1:]) + `}`)
	s.next("pusher:subscription_error")
	// one of the app's own others does
	k := w.admin("POST", "/v1/apps/"+w.App+"/door-keys", `{"door":"pusher"}`, 201)
	lib.Key, lib.Secret = k["keys"].(map[string]any)["key"].(string), k["secret"].(string)
	if auth, err = lib.AuthorizePrivateChannel([]byte(url.Values{"socket_id": {s.id}, "channel_name": {"private-b"}}.Encode())); err != nil {
		t.Fatal(err)
	}
	s.send(`{"event":"pusher:subscribe","data":{"channel":"private-b",` + string(auth[1:]) + `}`)
	s.next("pusher_internal:subscription_succeeded")
	// an encrypted event passes as it is
	w.private(s, "private-encrypted-a", nil)
	if err := w.lib.Trigger("private-encrypted-a", "secret", "x"); err != nil {
		t.Fatal(err)
	}
	if e := s.next("secret"); !strings.Contains(e.text(), `"ciphertext"`) {
		t.Errorf("got %s", e.text())
	}
}

func TestClientEvents(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := w.connect(), w.connect()
	rejected := func(text string) {
		t.Helper()
		a.send(text)
		if e := a.next("pusher:error"); !strings.Contains(string(e.Data), "4301") {
			t.Errorf("%s: told %s", text, e.Data)
		}
	}
	a.subscribe("open")
	rejected(`{"event":"client-x","channel":"open","data":{}}`)
	rejected(`{"event":"client-x","channel":"private-a","data":{}}`)
	for _, s := range []*socket{a, b} {
		w.private(s, "private-a", nil)
		w.private(s, "private-encrypted-a", nil)
	}
	rejected(`{"event":"client-x","channel":"private-encrypted-a","data":{}}`)
	a.send(`{"event":"client-x","channel":"private-a","data":{"n":1}}`)
	if e := b.next("client-x"); e.text() != `{"n":1}` || e.UserID != "" {
		t.Errorf("got %+v", e)
	}
	a.quiet() // no echo

	began := time.Now()
	for range 100 { // ten a second pass; the rest is told
		a.send(`{"event":"client-y","channel":"private-a","data":"z"}`)
	}
	over := 0
	for a.send(`{"event":"pusher:ping"}`); ; over++ {
		if e, err := a.read(); err != nil || e.Event == "pusher:pong" {
			break
		}
	}
	if most := 10 * (int(time.Since(began)/time.Second) + 2); over < 100-most || over == 100 {
		t.Errorf("of 100 client events %d were rejected, where at most %d may pass", over, most)
	}
	off := `{"rules":[{"namespace":"","publish_from_clients":false}]}`
	c := w.connect()
	w.private(c, "private-a", nil)
	w.patch(off)
	c.send(`{"event":"client-x","channel":"private-a","data":{}}`)
	c.next("pusher:error")
}

func TestPresenceChannel(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, b := w.connect(), w.connect()
	ann := &oracle.MemberData{UserID: "ann", UserInfo: map[string]string{"name": "Ann <a>"}}
	if e := w.private(a, "presence-r", ann); e.text() != `{"presence":{"count":1,"ids":["ann"],"hash":{"ann":{"name":"Ann <a>"}}}}` && !strings.Contains(e.text(), `"count":1`) {
		t.Errorf("got %s", e.text())
	}
	// a number stays one
	text := `{"user_id":7,"user_info":{"n":1}}`
	b.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"presence-r","auth":"%s:%s","channel_data":%q}}`, w.key, hmacHex(w.secret, b.id+":presence-r:"+text), text))
	var roll struct {
		Presence struct {
			Count int
			IDs   []any
			Hash  map[string]any
		}
	}
	e := b.next("pusher_internal:subscription_succeeded")
	if json.Unmarshal([]byte(e.text()), &roll) != nil || roll.Presence.Count != 2 || len(roll.Presence.Hash) != 2 {
		t.Errorf("got %s", e.text())
	}
	if e := a.next("pusher_internal:member_added"); e.text() != text {
		t.Errorf("got %s", e.text())
	}
	// a second connection of a user is no news, nor is its end
	c := w.connect()
	w.private(c, "presence-r", ann)
	a.send(`{"event":"client-hi","channel":"presence-r","data":{}}`)
	if e := b.next("client-hi"); e.UserID != "ann" {
		t.Errorf("got %+v", e)
	}
	c.next("client-hi")
	_ = c.conn.CloseNow()
	b.send(`{"event":"pusher:unsubscribe","data":{"channel":"presence-r"}}`)
	if e := a.next("pusher_internal:member_removed"); e.text() != `{"user_id":7}` {
		t.Errorf("got %s", e.text())
	}
	// everybody else sees them, too
	members := w.admin("GET", "/v1/presence?channel=presence-r", "", 200)["members"].([]any)
	if len(members) != 1 || members[0].(map[string]any)["user"] != "ann" {
		t.Errorf("REST says %v", members)
	}
	users, err := w.lib.GetChannelUsers("presence-r")
	if err != nil || len(users.List) != 1 || users.List[0].ID != "ann" {
		t.Errorf("the library says %+v (%v)", users, err)
	}
	// forged data
	b.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"presence-r","auth":"%s:%s","channel_data":%q}}`, w.key, hmacHex(w.secret, b.id+":presence-r:"+text), `{"user_id":"ann"}`))
	b.next("pusher:subscription_error")
	b.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"presence-r","auth":"%s:%s"}}`, w.key, hmacHex(w.secret, b.id+":presence-r")))
	b.next("pusher:subscription_error")
}

func TestCacheChannels(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := w.connect()
	a.subscribe("cache-x")
	if e := a.next("pusher:cache_miss"); e.Channel != "cache-x" || e.Data != nil {
		t.Errorf("got %+v", e)
	}
	if err := w.lib.Trigger("cache-x", "price", map[string]int{"usd": 1}); err != nil {
		t.Fatal(err)
	}
	a.next("price")
	b := w.connect()
	b.subscribe("cache-x")
	if e := b.next("price"); e.text() != `{"usd":1}` {
		t.Errorf("got %+v", e)
	}
	// what clients say is not shown to who comes
	w.private(a, "private-cache-x", nil)
	a.next("pusher:cache_miss")
	a.send(`{"event":"client-x","channel":"private-cache-x","data":{}}`)
	a.quiet()
	w.private(b, "private-cache-x", nil)
	b.next("pusher:cache_miss")
}

func TestSubscriptionCount(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.patch(`{"rules":[{"namespace":"","occupancy":true}]}`)
	a := w.connect()
	a.subscribe("room")
	if e := a.next("pusher_internal:subscription_count"); e.text() != `{"subscription_count":1}` {
		t.Errorf("got %+v", e)
	}
	b := w.connect()
	b.subscribe("room")
	if e := a.next("pusher_internal:subscription_count"); e.Channel != "room" || e.text() != `{"subscription_count":2}` {
		t.Errorf("got %+v", e)
	}
}

func TestWrongFrames(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.connect()
	wrong := []string{
		"", "x", "[]", "{}", `{"event":1}`, `{"event":"pusher:subscribe"}`, `{"event":"pusher:subscribe","data":"x"}`, `{"event":"other","data":{}}`,
		`{"event":"pusher:signin","data":[]}`, `{"event":"pusher:unsubscribe","data":null}`,
	}
	for _, text := range wrong {
		s.send(text)
		s.next("pusher:error")
	}
	for _, ch := range []string{"", "#server-to-user-ann", "a:b", strings.Repeat("a", 165), "ü"} {
		b, err := json.Marshal(ch)
		if err != nil {
			t.Fatal(err)
		}
		s.send(`{"event":"pusher:subscribe","data":{"channel":` + string(b) + `,"auth":""}}`)
		s.next("pusher:subscription_error")
	}
	for range 20 - len(wrong) - 1 {
		s.send("x")
		s.next("pusher:error")
	}
	s.send("x")
	s.closed(4009)
}
