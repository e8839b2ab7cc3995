package fanfare_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func TestBrokerChannelsAndKick(t *testing.T) {
	s := brokertest.Start(t)
	server := newClient(t, s.URL, s.SecretKey)
	token, err := server.Token("ann", protocol.AllGrants(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := newClient(t, s.URL, token).Subscribe(t.Context(), "room:1", "room:2", "hall")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	channels, err := server.Channels(t.Context(), "room:")
	if err != nil {
		t.Fatal(err)
	}
	one := protocol.Occupancy{Subscribers: 1}
	if diff := cmp.Diff([]fanfare.ChannelInfo{{Channel: "room:1", Occupancy: one}, {Channel: "room:2", Occupancy: one}}, channels); diff != "" {
		t.Error(diff)
	}
	if members, err := server.Presence(t.Context(), "room:1"); err != nil || len(members) != 0 {
		t.Errorf("%+v, %v", members, err)
	}
	if n, err := server.Kick(t.Context(), "bob"); n != 0 || err != nil {
		t.Errorf("bob: %d, %v", n, err)
	}
	if n, err := server.Kick(t.Context(), "ann"); n != 1 || err != nil {
		t.Errorf("ann: %d, %v", n, err)
	}
	timer := time.AfterFunc(patience, sub.Close)
	defer timer.Stop()
	var last error
	for _, last = range sub.All() {
	}
	wantCode(t, last, protocol.CodeKicked)

	page := newClient(t, s.URL, s.PublishableKey)
	_, err = page.Channels(t.Context(), "")
	wantCode(t, err, protocol.CodeKeyKind)
	_, err = page.Presence(t.Context(), "room:1")
	wantCode(t, err, protocol.CodeNotGranted)
	_, err = page.Presence(t.Context(), "")
	wantCode(t, err, protocol.CodeChannelInvalid)
	_, err = page.Kick(t.Context(), "ann")
	wantCode(t, err, protocol.CodeKeyKind)
}

// All pages are asked for, each from the end of the one before.
func TestPresencePages(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, fmt.Sprint(r.URL.Path, " ", q.Get("channel"), " ", q.Get("after")))
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/v1/presence" && q.Get("after") == "":
			fmt.Fprint(w, `{"members":[{"user":"ann","data":{"a":1},"connections":2}],"count":2,"next":"ann"}`)
		case r.URL.Path == "/v1/presence":
			fmt.Fprint(w, `{"members":[{"user":"bob","connections":1}],"count":2}`)
		case q.Get("after") == "":
			fmt.Fprint(w, `{"channels":[{"channel":"a","subscribers":1,"members":2}],"next":"a"}`)
		default:
			fmt.Fprint(w, `{"channels":[{"channel":"b","subscribers":3,"members":0}]}`)
		}
	}))
	defer server.Close()
	c := newClient(t, server.URL, "ffs_x")
	members, err := c.Presence(t.Context(), "room")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]fanfare.Member{{User: "ann", Data: []byte(`{"a":1}`), Connections: 2}, {User: "bob", Connections: 1}}, members); diff != "" {
		t.Error(diff)
	}
	channels, err := c.Channels(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []fanfare.ChannelInfo{{Channel: "a", Occupancy: protocol.Occupancy{Subscribers: 1, Members: 2}}, {Channel: "b", Occupancy: protocol.Occupancy{Subscribers: 3}}}
	if diff := cmp.Diff(want, channels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/v1/presence room ", "/v1/presence room ann", "/v1/channels  ", "/v1/channels  a"}, asked); diff != "" {
		t.Error(diff)
	}
}
