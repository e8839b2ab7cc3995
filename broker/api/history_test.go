package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/google/go-cmp/cmp"
)

// past is a page of history as a stranger reads it.
type past struct {
	Messages []protocol.Message
	Next     protocol.Position
	Whole    *bool
	Reason   string
}

// data is what a page holds, in order.
func (p past) data() string {
	var out []string
	for _, m := range p.Messages {
		out = append(out, string(m.Data))
	}
	return strings.Join(out, " ")
}

// read asks for history; pairs are parameters and their values.
func (w *world) read(as string, pairs ...string) reply {
	w.tb.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return w.send(request{method: "GET", path: "/v1/messages?" + v.Encode(), as: as})
}

func (w *world) past(pairs ...string) past {
	w.tb.Helper()
	var p past
	accepted(w.tb, w.read(w.token, pairs...), 200, &p)
	return p
}

// say publishes data on channel, and returns where it is.
func (w *world) say(channel, data string) protocol.Position {
	w.tb.Helper()
	var p protocol.Published
	accepted(w.tb, w.send(request{method: "POST", path: "/v1/messages", as: w.token, body: `{"channel":"` + channel + `","data":` + data + `}`}), 200, &p)
	if p.Position == "" {
		w.tb.Fatalf("a message on %s has no position", channel)
	}
	return p.Position
}

// claims: 9.12 4.1 1.6
func TestHistory(t *testing.T) {
	w := newWorld(t)
	if p := w.past("channel", "chat:1"); len(p.Messages) != 0 || p.Messages == nil || p.Next != "" || p.Whole != nil {
		t.Errorf("a channel without messages has %+v", p)
	}
	var at []string
	for i := range 9 {
		at = append(at, string(w.say("chat:1", fmt.Sprint(i))))
		w.say("chat:2", `"another channel's"`)
	}
	for _, tc := range []struct {
		ask  []string
		want string
		next string
	}{
		{nil, "0 1 2 3 4 5 6 7 8", ""},
		{[]string{"limit", "3"}, "0 1 2", at[2]},
		{[]string{"limit", "9"}, "0 1 2 3 4 5 6 7 8", ""},
		{[]string{"after", at[2], "limit", "3"}, "3 4 5", at[5]},
		{[]string{"after", at[5], "limit", "3"}, "6 7 8", ""},
		{[]string{"after", at[8]}, "", ""},
		{[]string{"before", at[3]}, "0 1 2", ""},
		{[]string{"until", at[3]}, "0 1 2 3", ""},
		{[]string{"after", at[1], "before", at[6], "limit", "2"}, "2 3", at[3]},
		{[]string{"after", at[1], "until", at[6]}, "2 3 4 5 6", ""},
		{[]string{"after", at[6], "before", at[1]}, "", ""},
		{[]string{"newest", "true", "limit", "3"}, "6 7 8", at[6]},
		{[]string{"newest", "true", "limit", "3", "before", at[6]}, "3 4 5", at[3]},
		{[]string{"newest", "true", "limit", "3", "before", at[3]}, "0 1 2", ""},
		{[]string{"newest", "true", "limit", "2", "until", at[6]}, "5 6", at[5]},
		{[]string{"newest", "false", "limit", "1"}, "0", at[0]},
		{[]string{"since", time.Now().Add(-time.Minute).Format(time.RFC3339), "limit", "2"}, "0 1", at[1]},
		{[]string{"since", time.Now().Add(time.Minute).Format(time.RFC3339)}, "", ""},
		{[]string{"after", "", "before", "", "until", ""}, "0 1 2 3 4 5 6 7 8", ""},
	} {
		p := w.past(append(tc.ask, "channel", "chat:1")...)
		if p.data() != tc.want || string(p.Next) != tc.next || p.Whole != nil || p.Reason != "" {
			t.Errorf("%q: %s, next %q, whole %v %q; want %s, next %q", tc.ask, p.data(), p.Next, p.Whole, p.Reason, tc.want, tc.next)
		}
	}
	m := w.past("channel", "chat:1", "limit", "2").Messages[1]
	if m.Channel != "chat:1" || m.User != "ann" || m.ID == "" || m.Time == 0 || string(m.Position) != at[1] || string(m.Previous) != at[0] {
		t.Errorf("a message is %+v", m)
	}
	// A time zone whose + was not escaped.
	got := w.send(request{method: "GET", path: "/v1/messages?channel=chat:1&since=2020-01-01T00:00:00+02:00", as: w.token})
	var p past
	accepted(t, got, 200, &p)
	if len(p.Messages) != 9 {
		t.Errorf("%d messages since 2020", len(p.Messages))
	}
}

// claims: 9.12
func TestHistoryTellsWhatIsGone(t *testing.T) {
	w := newWorld(t)
	first := string(w.say("chat:1", "1"))
	_, err := w.tenants.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Rules: &[]tenant.Rule{
		{Namespace: "chat", History: &tenant.History{Messages: 2, Age: 300}}, {Namespace: "chat:x", Ephemeral: new(true)},
	}})
	must(t, err)
	for i := range 3 {
		w.say("chat:1", fmt.Sprint(i+2))
	}
	if p := w.past("channel", "chat:1"); p.data() != "3 4" || p.Whole != nil {
		t.Errorf("two messages are kept: %s, whole %v", p.data(), p.Whole)
	}
	gone := func(p past, reason string) {
		t.Helper()
		if p.Whole == nil || *p.Whole || p.Reason != reason {
			t.Errorf("whole %v, reason %q; want false, %q", p.Whole, p.Reason, reason)
		}
	}
	gone(w.past("channel", "chat:1", "after", first), "evicted")
	_, seq, _ := strings.Cut(first, ":")
	gone(w.past("channel", "chat:1", "after", "anotherlife:"+seq), "epoch")
	gone(w.past("channel", "chat:x:1"), "ephemeral")
}

// claims: 9.12 8.3 4.5
func TestHistoryNeedsItsGrant(t *testing.T) {
	w := newWorld(t)
	w.say("chat:1", `"ours"`)
	for _, as := range []string{w.token, w.publishable} {
		p := refused(t, w.read(as, "channel", "admin:1"), protocol.CodeNotGranted)
		if p.Channel != "admin:1" {
			t.Errorf("the problem is about %q", p.Channel)
		}
	}
	k := w.key(tenant.KeyInput{Kind: tenant.KindPublishable, Grants: &protocol.Grants{Subscribe: []string{"*"}, Publish: []string{"*"}}})
	refused(t, w.read(k.Text, "channel", "chat:1"), protocol.CodeNotGranted)
	accepted(t, w.read(w.secret, "channel", "admin:1"), 200, nil)

	app, err := w.tenants.CreateApp(t.Context(), w.other, tenant.AppInput{Name: "theirs"})
	must(t, err)
	theirs, err := w.tenants.CreateKey(t.Context(), w.other, app.ID, tenant.KeyInput{Kind: tenant.KindSecret})
	must(t, err)
	if got := w.read(theirs.Text, "channel", "chat:1"); got.body != `{"messages":[]}` {
		t.Errorf("another app reads %s", got.body)
	}
}

// claims: 9.12
func TestWrongHistoryQueries(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		query string
		code  protocol.Code
		say   string
	}{
		{"", protocol.CodeBadRequest, `"channel" is missing`},
		{"channel=", protocol.CodeChannelInvalid, "empty"},
		{"channel=a%00", protocol.CodeChannelInvalid, "control"},
		{"channel=chat:1&channel=chat:2", protocol.CodeBadRequest, `"channel" is there twice`},
		{"channel=chat:1&chanel=1", protocol.CodeBadRequest, `"chanel"`},
		{"channel=chat:1&%zz", protocol.CodeBadRequest, "well formed"},
		{"channel=chat:1&limit=0", protocol.CodeBadRequest, `"limit" must be a whole number from 1 to 1000`},
		{"channel=chat:1&limit=1001", protocol.CodeBadRequest, `"limit"`},
		{"channel=chat:1&limit=", protocol.CodeBadRequest, `"limit"`},
		{"channel=chat:1&limit=ten", protocol.CodeBadRequest, `"limit"`},
		{"channel=chat:1&after=7", protocol.CodePositionInvalid, `"after"`},
		{"channel=chat:1&before=e:-1", protocol.CodePositionInvalid, `"before"`},
		{"channel=chat:1&until=:1", protocol.CodePositionInvalid, `"until"`},
		{"channel=chat:1&since=yesterday", protocol.CodeBadRequest, `"since"`},
		{"channel=chat:1&newest=yes", protocol.CodeBadRequest, `"newest"`},
	} {
		for method, as := range map[string]string{"GET": w.token, "DELETE": w.secret} {
			if method == "DELETE" && !strings.Contains(tc.say, "chan") && tc.code != protocol.CodeChannelInvalid {
				continue
			}
			p := refused(t, w.send(request{method: method, path: "/v1/messages?" + tc.query, as: as}), tc.code)
			if !strings.Contains(p.Detail, tc.say) {
				t.Errorf("%s %s: %q does not say %q", method, tc.query, p.Detail, tc.say)
			}
		}
	}
	refused(t, w.send(request{method: "DELETE", path: "/v1/messages?channel=chat:1&limit=1", as: w.secret}), protocol.CodeBadRequest)
}

// claims: 9.14
func TestForget(t *testing.T) {
	w := newWorld(t)
	before := w.say("chat:1", "1")
	w.say("chat:2", "1")
	accepted(t, w.send(request{method: "DELETE", path: "/v1/messages?channel=chat:1", as: w.secret}), 204, nil)
	if p := w.past("channel", "chat:1"); p.data() != "" {
		t.Errorf("after it was forgotten there is %s", p.data())
	}
	if p := w.past("channel", "chat:2"); p.data() != "1" {
		t.Errorf("another channel has %q", p.data())
	}
	after := w.say("chat:1", "2")
	e1, s1, err1 := before.Parse()
	e2, s2, err2 := after.Parse()
	if err1 != nil || err2 != nil || e1 != e2 || s2 <= s1 {
		t.Errorf("positions %s and %s do not go on", before, after)
	}
}

// claims: 3.11 9.11
func TestAnIDIsPublishedOnce(t *testing.T) {
	w := newWorld(t)
	send := func(body string, header map[string]string) protocol.Published {
		t.Helper()
		var p protocol.Published
		accepted(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: body, header: header}), 200, &p)
		return p
	}
	key := func(v string) map[string]string { return map[string]string{"Idempotency-Key": v} }
	first := send(`{"channel":"chat:1","data":1}`, key("order-42"))
	if first.ID != "order-42" || first.Duplicate || first.Position == "" {
		t.Errorf("the first publish is answered %+v", first)
	}
	want := first
	want.Duplicate = true
	for name, again := range map[string]protocol.Published{
		"header":         send(`{"channel":"chat:1","data":2}`, key("order-42")),
		"quoted header":  send(`{"channel":"chat:1","data":2}`, key(`"order-42"`)),
		"member":         send(`{"channel":"chat:1","data":2,"id":"order-42"}`, nil),
		"both, member's": send(`{"channel":"chat:1","data":2,"id":"order-42"}`, key("other")),
	} {
		if d := cmp.Diff(want, again); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if p := send(`{"channel":"chat:2","data":1}`, key("order-42")); p.Duplicate {
		t.Error("an id of one channel is a duplicate on another")
	}
	var many struct{ Messages []protocol.Published }
	accepted(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret,
		body: `{"messages":[{"channel":"chat:1","data":3,"id":"order-42"},{"channel":"chat:1","data":4,"id":"order-43"}]}`}), 200, &many)
	if m := many.Messages; len(m) != 2 || !m[0].Duplicate || m[0].Position != first.Position || m[1].Duplicate {
		t.Errorf("a batch is answered %+v", m)
	}
	if p := w.past("channel", "chat:1"); p.data() != "1 4" {
		t.Errorf("published: %s", p.data())
	}
}

// claims: 9.11
func TestWrongIdempotencyKeys(t *testing.T) {
	var r recorder
	w := newWorld(t, withHub(r.publish))
	for _, tc := range []struct {
		key, body string
		code      protocol.Code
	}{
		{"", `{"channel":"a","data":1}`, protocol.CodeIDInvalid},
		{`""`, `{"channel":"a","data":1}`, protocol.CodeIDInvalid},
		{"a b", `{"channel":"a","data":1}`, protocol.CodeIDInvalid},
		{strings.Repeat("x", 65), `{"channel":"a","data":1}`, protocol.CodeIDInvalid},
		{"k", `{"channels":["a"],"data":1}`, protocol.CodeBadRequest},
		{"k", `{"messages":[{"channel":"a","data":1}]}`, protocol.CodeBadRequest},
	} {
		p := refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: tc.body, header: map[string]string{"Idempotency-Key": tc.key}}), tc.code)
		if !strings.Contains(p.Detail, "Idempotency-Key") {
			t.Errorf("%q: the message does not name the header: %s", tc.key, p.Detail)
		}
	}
	if len(r.msgs) != 0 {
		t.Errorf("%d messages reached the hub", len(r.msgs))
	}
}

// claims: 3.12 9.2
func TestConditionalPublish(t *testing.T) {
	w := newWorld(t)
	send := func(data, at string) reply {
		return w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"chat:1","data":` + data + `,"if_position":"` + at + `"}`})
	}
	var first, second protocol.Published
	accepted(t, send("1", ""), 200, &first)
	p := refused(t, send("2", ""), protocol.CodePositionConflict)
	if p.Position == nil || *p.Position != first.Position || p.Channel != "chat:1" || p.Index != nil {
		t.Errorf("the conflict says %+v, want position %s", p, first.Position)
	}
	accepted(t, send("2", string(*p.Position)), 200, &second)
	p = refused(t, send("3", string(first.Position)), protocol.CodePositionConflict)
	if *p.Position != second.Position {
		t.Errorf("the conflict says %s, want %s", *p.Position, second.Position)
	}
	if p := w.past("channel", "chat:1"); p.data() != "1 2" {
		t.Errorf("published: %s", p.data())
	}
	// Where the channel has nothing, that is told too.
	p = refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"chat:9","data":1,"if_position":"` + string(first.Position) + `"}`}), protocol.CodePositionConflict)
	if p.Position == nil || *p.Position != "" {
		t.Errorf("the position of an empty channel is %v", p.Position)
	}
}

// pastHub is a hub whose History answers as it says.
type pastHub struct {
	fakeHub
	page hub.HistoryPage
	err  error
	got  hub.HistoryQuery
}

func (h *pastHub) History(_ context.Context, _ hub.Reader, q hub.HistoryQuery) (hub.HistoryPage, error) {
	h.got = q
	return h.page, h.err
}

func (h *pastHub) Forget(context.Context, hub.Reader, protocol.Channel) error { return h.err }

// What is kept goes out byte by byte as it is, and what was asked for arrives.
// claims: 9.12
func TestHistoryHandsOn(t *testing.T) {
	line := func(data string) *hub.Frame {
		return &hub.Frame{Line: []byte(`{"type":"message","position":"e:1","previous":"","channel":"a","id":"i","time":1,"data":` + data + `}`)}
	}
	h := &pastHub{page: hub.HistoryPage{Frames: []*hub.Frame{line(`{"b" : 2.50}`), line(`"<é>"`)}, Reason: "expired", Next: "e:2"}}
	w := newWorld(t, func(o *api.Options) { o.Hub = h })
	got := w.read(w.token, "channel", "a", "limit", "7", "after", "e:1", "before", "e:9", "until", "e:8", "since", "2026-01-02T03:04:05.5+01:00", "newest", "true")
	if want := `{"messages":[` + string(h.page.Frames[0].Line) + `,` + string(h.page.Frames[1].Line) + `],"next":"e:2","reason":"expired","whole":false}`; got.body != want {
		t.Errorf("answer %s\nwant   %s", got.body, want)
	}
	if ct, cache := got.header.Get("Content-Type"), got.header.Get("Cache-Control"); ct != "application/json" || cache != "no-store" {
		t.Errorf("Content-Type %q, Cache-Control %q", ct, cache)
	}
	since := time.Date(2026, 1, 2, 2, 4, 5, 500_000_000, time.UTC)
	if q := h.got; !q.Since.Equal(since) || q.Channel != "a" || q.Limit != 7 || q.After != "e:1" || q.Before != "e:9" || q.Until != "e:8" || !q.Newest {
		t.Errorf("the hub was asked %+v", q)
	}
	h.err = protocol.NewError(protocol.CodeUnavailable).On("a").After(time.Second)
	refused(t, w.read(w.token, "channel", "a"), protocol.CodeUnavailable)
	refused(t, w.send(request{method: "DELETE", path: "/v1/messages?channel=a", as: w.secret}), protocol.CodeUnavailable)
}

// claims: 9.2
func TestDiskFull(t *testing.T) {
	w := newWorld(t, withHub(func(context.Context, hub.Publisher, hub.Origin, []protocol.Outgoing) ([]protocol.Published, error) {
		return nil, protocol.NewError(protocol.CodeDiskFull).On("a").At(0)
	}))
	got := w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"a","data":1}`})
	p := refused(t, got, protocol.CodeDiskFull)
	if got.status != 507 || p.Remedy == "" || p.Channel != "a" {
		t.Errorf("%d %+v", got.status, p)
	}
}

func BenchmarkHistory(b *testing.B) {
	h := &pastHub{page: hub.HistoryPage{Whole: true}}
	for range 100 {
		h.page.Frames = append(h.page.Frames, &hub.Frame{Line: []byte(`{"type":"message","position":"abcdefgh:12345","previous":"abcdefgh:12344","channel":"chat:1","id":"` + strings.Repeat("i", 26) + `","time":1760000000000,"data":{"text":"hello, world","n":12345}}`)})
	}
	w := newWorld(b, func(o *api.Options) { o.Hub, o.Logger = h, quiet() })
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("GET", "/v1/messages?channel=chat:1", nil)
		req.Header.Set("Authorization", "Bearer "+w.secret)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, req)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}
