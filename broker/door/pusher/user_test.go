package pusher_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
)

func hmacHex(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// signIn signs a client in as what userData says.
func (w *world) signIn(s *socket, userData string) {
	w.t.Helper()
	s.send(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":"%s:%s","user_data":%q}}`, w.key, hmacHex(w.secret, s.id+"::user::"+userData), userData))
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.connect()
	data := `{"id":"ann","user_info":{"name":"Ann"}}`
	w.signIn(s, data)
	var told struct {
		UserData string `json:"user_data"`
	}
	if e := s.next("pusher:signin_success"); json.Unmarshal([]byte(e.text()), &told) != nil || told.UserData != data {
		t.Errorf("told %s", e.text())
	}
	if err := w.lib.SendToUser("ann", "note", "1"); err != nil {
		t.Fatal(err)
	}
	s.next("note") // it did not subscribe to the user's channel
	s.send(`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-ann"}}`)
	s.next("pusher_internal:subscription_succeeded")
	if err := w.lib.SendToUser("ann", "note", "2"); err != nil {
		t.Fatal(err)
	}
	if e := s.next("note"); e.Channel != "#server-to-user-ann" || e.text() != "2" {
		t.Errorf("got %+v", e)
	}
	s.quiet() // once
	s.send(`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-bob"}}`)
	s.next("pusher:subscription_error")
	// a presence channel knows who has signed in
	w.ask(s, "presence-x", nil)
	if e := s.next("pusher_internal:subscription_succeeded"); e.text() != `{"presence":{"count":1,"ids":["ann"],"hash":{"ann":{"name":"Ann"}}}}` {
		t.Errorf("got %s", e.text())
	}
	w.signIn(s, data) // again is no harm
	s.next("pusher:signin_success")
	channels, err := w.lib.Channels(nilChannels())
	if err != nil || len(channels.Channels) != 1 {
		t.Errorf("the library sees %v (%v)", channels, err)
	}

	other := w.connect()
	w.signIn(other, `{"id":"bob"}`)
	other.next("pusher:signin_success")
	if status, text := w.do("POST", w.url(request{method: "POST", path: "/apps/" + w.appID + "/users/ann/terminate_connections", body: "{}"}), "{}"); status != 200 {
		t.Fatal(status, text)
	}
	s.closed(4009)
	other.quiet()
	w.signIn(other, `{"id":"ann"}`)
	other.closed(4009)

	for _, data := range []string{`{"id":""}`, `{"id":7}`, `{}`, "x"} {
		s := w.connect()
		w.signIn(s, data)
		s.closed(4009)
	}
	s = w.connect()
	s.send(`{"event":"pusher:signin","data":{"auth":"` + w.key + `:00","user_data":"{\"id\":\"ann\"}"}}`)
	s.closed(4009)
}

func TestWatchlist(t *testing.T) {
	t.Parallel()
	w := start(t)
	bob := w.connect()
	w.signIn(bob, `{"id":"bob"}`)
	bob.next("pusher:signin_success")
	ann := w.connect()
	w.signIn(ann, `{"id":"ann","watchlist":["bob","cat"]}`)
	ann.next("pusher:signin_success")
	online := func(name, user string) {
		t.Helper()
		if e := ann.next("pusher_internal:watchlist_events"); e.text() != fmt.Sprintf(`{"events":[{"name":"%s","user_ids":["%s"]}]}`, name, user) {
			t.Errorf("got %s", e.text())
		}
	}
	online("online", "bob")
	cat := w.connect()
	w.signIn(cat, `{"id":"cat"}`)
	cat.next("pusher:signin_success")
	online("online", "cat")
	_ = cat.conn.CloseNow()
	online("offline", "cat")

	many := w.connect()
	list := `"u0"`
	for i := range 100 {
		list += fmt.Sprintf(`,"u%d"`, i+1)
	}
	w.signIn(many, `{"id":"many","watchlist":[`+list+`]}`)
	many.next("pusher:signin_success")
	if e := many.next("pusher:error"); string(e.Data) == "" || !json.Valid(e.Data) {
		t.Errorf("told %s", e.Data)
	}
}
