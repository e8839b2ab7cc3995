package broker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// look reads what the app's owner is told at path below the app.
func look(t *testing.T, s *brokertest.Server, path string, v any) string {
	t.Helper()
	status, body := call(t, s, http.MethodGet, "/v1/apps/"+s.App+path, s.AccountToken, "")
	if err := json.Unmarshal([]byte(body), v); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s %v", path, status, body, err)
	}
	return body
}

type connections struct {
	Connections []protocol.Connection
	Next        string
}

// TestConnectionsAreShown: the owner sees who is connected, and may end one.
//
// claims: 9.38
func TestConnectionsAreShown(t *testing.T) {
	s := brokertest.Start(t)
	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"]}}`)
	ann := dialWS(t, s, "")
	ann.send(`{"type":"hello","ref":1,"token":%q,"client":"js/1.2\u0007"}`, token)
	name := ann.want(protocol.TypeWelcome, "").Session
	for _, ch := range []string{"room:2", "room:1", "gone"} {
		ann.send(`{"type":"subscribe","ref":2,"channel":%q}`, ch)
		ann.want(protocol.TypeSubscribed, "")
	}
	ann.send(`{"type":"unsubscribe","ref":3,"channel":"gone"}`)
	ann.want(protocol.TypeUnsubscribed, "")
	stream, refusal := openSSE(t, s, s.PublishableKey, "", "room:1")
	if refusal != nil {
		t.Fatal(refusal.raw)
	}
	defer stream.close()
	dialWS(t, s, "") // somebody who has not said hello is nobody's

	var all connections
	look(t, s, "/connections", &all)
	if len(all.Connections) != 2 || all.Next != "" {
		t.Fatalf("%+v", all)
	}
	var one connections
	look(t, s, "/connections?user=ann", &one)
	if len(one.Connections) != 1 {
		t.Fatalf("ann has %+v", one)
	}
	c := one.Connections[0]
	if c.Session != name || c.User != "ann" || c.Door != "ws" || c.Client != "js/1.2" || c.Count != 2 || fmt.Sprint(c.Channels) != "[room:1 room:2]" || c.Expires == 0 || !strings.HasPrefix(c.Key, "ffs_") || time.Since(c.Since) > time.Hour {
		t.Errorf("ann's connection: %+v", c)
	}
	seen := map[string]bool{}
	for after := ""; ; {
		var page connections
		look(t, s, "/connections?limit=1&after="+after, &page)
		for _, c := range page.Connections {
			seen[c.Door] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if !seen["ws"] || !seen["sse"] || len(seen) != 2 {
		t.Errorf("page by page: %v", seen)
	}
	var channels struct{ Channels []protocol.ChannelInfo }
	look(t, s, "/channels?prefix=room:", &channels)
	if len(channels.Channels) != 2 || channels.Channels[0].Channel != "room:1" || channels.Channels[0].Subscribers != 2 {
		t.Errorf("channels: %+v", channels)
	}
	if status, body := call(t, s, http.MethodDelete, "/v1/apps/"+s.App+"/connections?session="+name, s.AccountToken, ""); status != http.StatusOK || !strings.Contains(body, `"ended":1`) {
		t.Errorf("kick: %d %s", status, body)
	}
	ann.want(protocol.TypeClose, protocol.CodeKicked)
	eventually(t, "the connection is gone", func() bool {
		look(t, s, "/connections?user=ann", &one)
		return len(one.Connections) == 0
	})
}

// TestRefusalsAreExplained: what was refused is told to the app's owner with
// its remedy, and never a secret or a message.
//
// claims: 9.38
func TestRefusalsAreExplained(t *testing.T) {
	s := brokertest.Start(t)
	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["room:*"],"publish":["room:*"]}}`)
	const private = "private words"
	if status, _ := post(t, s, "/v1/messages", token, `{"channel":"other","data":"`+private+`"}`); status != http.StatusForbidden {
		t.Fatal(status)
	}
	ann := ready(t, s, token)
	ann.send(`{"type":"publish","ref":2,"channel":"other","data":%q}`, private)
	ann.want(protocol.TypeError, protocol.CodeNotGranted)
	ann.send(`{"type":"subscribe","ref":3,"channel":"secret:1"}`)
	ann.want(protocol.TypeError, protocol.CodeNotGranted)
	forged := token[:len(token)-4] + "AAAA"
	if f := dialWS(t, s, "").hello(forged); f.Code != protocol.CodeTokenInvalid {
		t.Fatal(f.raw)
	}
	if _, f := openSSE(t, s, token, "", "nowhere"); f == nil || f.Code != protocol.CodeNotGranted {
		t.Fatalf("%+v", f)
	}
	if status, _ := post(t, s, "/v1/messages", s.SecretKey, `{"channel":"a","data":"`+private+`",}`); status != http.StatusBadRequest {
		t.Fatal(status)
	}
	var got struct{ Refusals []protocol.Refusal }
	body := look(t, s, "/refusals", &got)
	say := func(r protocol.Refusal) string {
		return fmt.Sprint(r.Code, " ", r.Door, " ", r.What, " ", r.Channel, " ", r.User)
	}
	var said []string
	for _, r := range got.Refusals {
		said = append(said, say(r))
		if r.Message == "" || r.Remedy == "" || r.Time.IsZero() || !strings.HasPrefix(r.Key, "ffs_") || len(r.Key) != 14 {
			t.Errorf("not whole: %+v", r)
		}
	}
	want := []string{
		"bad_json rest POST /v1/messages  ", "not_granted sse GET /v1/sse nowhere ann", "token_invalid ws hello  ",
		"not_granted ws subscribe secret:1 ann", "not_granted ws publish other ann", "not_granted rest POST /v1/messages other ",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range []string{private, token, forged, s.SecretKey, s.SecretKey[14:]} {
		if strings.Contains(body, secret) {
			t.Errorf("%q is told", secret)
		}
	}
	look(t, s, "/refusals?limit=2", &got)
	if len(got.Refusals) != 2 || say(got.Refusals[0]) != want[0] {
		t.Errorf("the last two: %+v", got)
	}
	// Who makes up credentials fills no other app's list, and no list without end.
	id, secret := makeApp(t, s, "other")
	for range 150 {
		post(t, s, "/v1/messages", secret, `{"channel":"","data":1}`)
	}
	if status, list := call(t, s, http.MethodGet, "/v1/apps/"+id+"/refusals?limit=1000", s.AccountToken, ""); status != http.StatusOK || strings.Count(list, "channel_invalid") != 100 || strings.Contains(list, "not_granted") {
		t.Errorf("the other app is told %d refusals: %d", strings.Count(list, "channel_invalid"), status)
	}
}

// inspected: what one node knows is told by all.
func (c *nodes) inspected(t *testing.T) {
	token := makeToken(t, c.all[0].Server, `{"user":"inspected","grants":{"subscribe":["a"]}}`)
	for _, p := range c.all {
		ann := ready(t, p.Server, token)
		ann.send(`{"type":"subscribe","ref":2,"channel":"b"}`)
		ann.want(protocol.TypeError, protocol.CodeNotGranted)
	}
	for i, p := range c.all {
		eventually(t, fmt.Sprintf("node %d shows all", i), func() bool {
			var all connections
			look(t, p.Server, "/connections?user=inspected", &all)
			return len(all.Connections) == 3 && strings.Count(look(t, p.Server, "/refusals", &all), `"user":"inspected"`) == 3
		})
	}
}
