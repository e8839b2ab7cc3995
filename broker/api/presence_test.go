package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// kicked is connections that note who is ended.
type kicked []string

func (k *kicked) Kick(app protocol.AppID, user, session string) int {
	*k = append(*k, fmt.Sprint(app, " ", user, " ", session))
	return 2
}

func (k *kicked) Connections(app protocol.AppID, user, after string, limit int) ([]protocol.Connection, bool) {
	if after != "" {
		return nil, false
	}
	return []protocol.Connection{{Session: "s1", User: user, Door: "ws", Since: time.Unix(1, 0), Channels: []protocol.Channel{}}}, limit == 1
}

// claims: 11.7 4.5
func TestPresenceRoute(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		w.crowd.Attend(w.app, "chat:1", fmt.Sprintf("user%03d", i), hub.Enter, json.RawMessage(fmt.Sprint(i)))
	}
	w.crowd.Attend(w.app, "chat:1", "user007", hub.Enter, json.RawMessage("7"))
	w.crowd.Attend("another", "chat:1", "stranger", hub.Enter, nil)
	type page struct {
		Members []protocol.Member
		Count   int
		Next    string
	}
	var got []protocol.Member
	sizes, next := []int{}, ""
	for first := true; first || next != ""; first = false {
		var p page
		accepted(t, w.send(request{method: "GET", path: "/v1/presence?channel=chat:1&after=" + url.QueryEscape(next), as: w.token}), 200, &p)
		if p.Count != 250 {
			t.Fatalf("count %d", p.Count)
		}
		got, sizes, next = append(got, p.Members...), append(sizes, len(p.Members)), p.Next
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(protocol.Member{User: "user007", Data: json.RawMessage("7"), Connections: 2}, got[7]); diff != "" {
		t.Error(diff)
	}
	var p page
	accepted(t, w.send(request{method: "GET", path: "/v1/presence?channel=chat:none&limit=1000", as: w.secret}), 200, &p)
	if p.Members == nil || len(p.Members) != 0 || p.Count != 0 || p.Next != "" {
		t.Errorf("nobody: %+v", p)
	}
	for path, code := range map[string]protocol.Code{
		"/v1/presence":                           protocol.CodeBadRequest,
		"/v1/presence?channel=":                  protocol.CodeChannelInvalid,
		"/v1/presence?channel=chat:1&limit=0":    protocol.CodeBadRequest,
		"/v1/presence?channel=chat:1&limit=1001": protocol.CodeBadRequest,
		"/v1/presence?channel=chat:1&colour=red": protocol.CodeBadRequest,
		"/v1/presence?channel=other":             protocol.CodeNotGranted,
	} {
		refused(t, w.send(request{method: "GET", path: path, as: w.token}), code)
	}
	rules := []tenant.Rule{{Namespace: "chat", Presence: new(bool)}}
	if _, err := w.tenants.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Rules: &rules}); err != nil {
		t.Fatal(err)
	}
	refused(t, w.send(request{method: "GET", path: "/v1/presence?channel=chat:1", as: w.token}), protocol.CodePresenceOff)
}

// claims: 11.9 4.5
func TestChannelsRoute(t *testing.T) {
	w := newWorld(t)
	who, err := w.tenants.Authenticate(t.Context(), w.secret, "")
	must(t, err)
	for _, ch := range []protocol.Channel{"chat:2", "chat:1", "other"} {
		w.crowd.Subscribe(who, ch, &deaf{})
	}
	w.crowd.Attend(w.app, "chat:1", "ann", hub.Enter, nil)
	w.crowd.Attend("another", "chat:0", "ann", hub.Enter, nil)
	type page struct {
		Channels []protocol.ChannelInfo
		Next     protocol.Channel
	}
	for _, c := range []struct {
		query string
		want  page
	}{
		{"", page{[]protocol.ChannelInfo{busy("chat:1", 1), busy("chat:2", 0), busy("other", 0)}, ""}},
		{"?prefix=chat:&limit=1", page{[]protocol.ChannelInfo{busy("chat:1", 1)}, "chat:1"}},
		{"?prefix=chat:&limit=1&after=chat:1", page{[]protocol.ChannelInfo{busy("chat:2", 0)}, ""}},
		{"?prefix=none", page{[]protocol.ChannelInfo{}, ""}},
	} {
		var got page
		accepted(t, w.send(request{method: "GET", path: "/v1/channels" + c.query, as: w.secret}), 200, &got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: %s", c.query, diff)
		}
	}
	refused(t, w.send(request{method: "GET", path: "/v1/channels?limit=x", as: w.secret}), protocol.CodeBadRequest)
	refused(t, w.send(request{method: "GET", path: "/v1/channels?filter=x", as: w.secret}), protocol.CodeBadRequest)
}

// busy is a channel with one subscriber.
func busy(ch protocol.Channel, members int) protocol.ChannelInfo {
	return protocol.ChannelInfo{Channel: ch, Occupancy: protocol.Occupancy{Subscribers: 1, Members: members}}
}

type deaf struct{ _ time.Time }

func (*deaf) Deliver(*hub.Frame) {}

// claims: 11.10
func TestConnectionsRoute(t *testing.T) {
	w := newWorld(t)
	var got struct{ Ended int }
	accepted(t, w.send(request{method: "DELETE", path: "/v1/connections?user=ann", as: w.secret}), 200, &got)
	accepted(t, w.send(request{method: "DELETE", path: "/v1/connections?session=s1", as: w.secret}), 200, &got)
	if diff := cmp.Diff(kicked{fmt.Sprint(w.app, " ann "), fmt.Sprint(w.app, "  s1")}, w.kicked); diff != "" || got.Ended != 2 {
		t.Error(diff, got)
	}
	for _, query := range []string{"", "?user=", "?user=ann&session=s1", "?all=true"} {
		refused(t, w.send(request{method: "DELETE", path: "/v1/connections" + query, as: w.secret}), protocol.CodeBadRequest)
	}
}
