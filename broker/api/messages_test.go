package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/google/go-cmp/cmp"
)

// recorder is a hub that takes all and remembers it.
type recorder struct{ msgs []protocol.Outgoing }

func (r *recorder) publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error) {
	r.msgs = append(r.msgs, msgs...)
	return takesAll(ctx, by, from, msgs)
}

// claims: 9.3 1.5
func TestPublishForms(t *testing.T) {
	at, none := protocol.Position("e:1"), protocol.Position("")
	for _, tc := range []struct {
		name, body string
		want       []protocol.Outgoing
		answer     string
	}{
		{"one, if the channel is there", `{"channel":"a","data":1,"if_position":"e:1"}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`1`), IfPosition: &at}}, `{"id":"m0","position":""}`},
		{"one, if the channel has none", `{"channel":"a","data":1,"if_position":""}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`1`), IfPosition: &none}}, `{"id":"m0","position":""}`},
		{"one, wherever the channel is", `{"channel":"a","data":1,"if_position":null}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`1`)}}, `{"id":"m0","position":""}`},
		{"one", `{"channel":"a","data":{"b" : [1, 2.50]},"event":"e","id":"i"}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`{"b" : [1, 2.50]}`), Event: "e", ID: "i"}}, `{"id":"m0","position":""}`},
		{"one, null is data", ` { "data" : null , "channel" : "a" } `,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`null`)}}, `{"id":"m0","position":""}`},
		{"one, null for what is left out", `{"channel":"a","data":1,"event":null,"id":null}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`1`)}}, `{"id":"m0","position":""}`},
		{"one, escapes", `{"chann\u0065l":"\u00e9\"\\","data":"}],\\\""}`,
			[]protocol.Outgoing{{Channel: `é"\`, Data: json.RawMessage(`"}],\\\""`)}}, `{"id":"m0","position":""}`},
		{"channels", `{"channels":["a","b"],"data":{},"event":"e"}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`{}`), Event: "e"}, {Channel: "b", Data: json.RawMessage(`{}`), Event: "e"}},
			`{"messages":[{"channel":"a","id":"m0","position":""},{"channel":"b","id":"m1","position":""}]}`},
		{"messages", `{"messages":[{"channel":"a","data":1},{"data":[],"channel":"b","id":"x"}]}`,
			[]protocol.Outgoing{{Channel: "a", Data: json.RawMessage(`1`)}, {Channel: "b", Data: json.RawMessage(`[]`), ID: "x"}},
			`{"messages":[{"channel":"a","id":"m0","position":""},{"channel":"b","id":"m1","position":""}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r recorder
			w := newWorld(t, withHub(r.publish))
			got := w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: tc.body})
			accepted(t, got, 200, nil)
			if got.body != tc.answer {
				t.Errorf("answer %s, want %s", got.body, tc.answer)
			}
			if d := cmp.Diff(tc.want, r.msgs); d != "" {
				t.Error(d)
			}
		})
	}
}

// claims: 9.3 9.2 1.1 1.3 1.4
func TestPublishRefused(t *testing.T) {
	w := newWorld(t)
	item := func(i int) *int { return &i }
	for _, tc := range []struct {
		body  string
		code  protocol.Code
		index *int
		say   string // in the detail
	}{
		{`{"data":1}`, protocol.CodeBadRequest, nil, `"channel" is missing`},
		{`{}`, protocol.CodeBadRequest, nil, `"channel" is missing`},
		{`{"channel":"a"}`, protocol.CodeDataMissing, nil, "data"},
		{`{"channel":7,"data":1}`, protocol.CodeBadRequest, nil, `"channel" is not a string`},
		{`{"channel":null,"data":1}`, protocol.CodeBadRequest, nil, `"channel" is not a string`},
		{`{"channel":"","data":1}`, protocol.CodeChannelInvalid, nil, "empty"},
		{`{"channel":"a\u0000","data":1}`, protocol.CodeChannelInvalid, nil, "control"},
		{`{"channel":"a","data":1,"event":1}`, protocol.CodeBadRequest, nil, `"event" is not a string`},
		{`{"channel":"a","data":1,"event":"\n"}`, protocol.CodeEventInvalid, nil, "event"},
		{`{"channel":"a","data":1,"id":"ä"}`, protocol.CodeIDInvalid, nil, "id"},
		{`{"channel":"a","data":1,"Event":"x"}`, protocol.CodeBadRequest, nil, `"Event" is not one`},
		{`{"channel":"a","data":1,"` + strings.Repeat("x", 500) + `":1}`, protocol.CodeBadRequest, nil, "xxx"},
		{`{"channel":"a","data":1,"data":2}`, protocol.CodeBadRequest, nil, `"data" is there twice`},
		{`{"channel":"a","channels":["b"],"data":1}`, protocol.CodeBadRequest, nil, `either "channel" or "channels"`},
		{`{"messages":[{"channel":"a","data":1}],"data":1}`, protocol.CodeBadRequest, nil, `"messages" alone`},
		{`{"messages":[{"channel":"a","data":1}],"messages":[]}`, protocol.CodeBadRequest, nil, `"messages" is there twice`},
		{`{"messages":[]}`, protocol.CodeBadRequest, nil, `"messages" is empty`},
		{`{"messages":{}}`, protocol.CodeBadRequest, nil, `"messages" is not an array`},
		{`{"channels":[],"data":1}`, protocol.CodeBadRequest, nil, `"channels" is empty`},
		{`{"channels":"a","data":1}`, protocol.CodeBadRequest, nil, `"channels" is not an array`},
		{`{"channels":["a",1],"data":1}`, protocol.CodeBadRequest, item(1), `"channels[1]" is not a string`},
		{`{"channels":["a",""],"data":1}`, protocol.CodeChannelInvalid, item(1), "empty"},
		{`{"messages":[{"channel":"a","data":1},7]}`, protocol.CodeBadRequest, item(1), `"messages[1]" is not a JSON object`},
		{`{"messages":[{"channel":"a","data":1},{"data":1}]}`, protocol.CodeBadRequest, item(1), `"messages[1].channel" is missing`},
		{`{"messages":[{"channel":"a","data":1},{"channel":"a","data":1,"chanel":1}]}`, protocol.CodeBadRequest, item(1), `"chanel" is not one`},
		{`{"messages":[{"channel":"a","data":1},{"channel":"a"}]}`, protocol.CodeDataMissing, item(1), "data"},
		{`{"channel":"a","data":1,"if_position":7}`, protocol.CodeBadRequest, nil, `"if_position" is not a string`},
		{`{"channel":"a","data":1,"if_position":"7"}`, protocol.CodePositionInvalid, nil, "position"},
		{`{"channels":["a"],"data":1,"if_position":""}`, protocol.CodeBadRequest, nil, `"if_position" is for one message`},
		{`{"messages":[{"channel":"a","data":1},{"channel":"a","data":1,"if_position":""}]}`, protocol.CodeBadRequest, item(1), `"if_position" is for one message`},
		{`{"channel":"a","data":"` + strings.Repeat("x", 65535) + `"}`, protocol.CodeMessageTooLarge, nil, "65536"},
	} {
		name := tc.body[:min(len(tc.body), 60)]
		t.Run(name, func(t *testing.T) {
			p := refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: tc.body}), tc.code)
			if d := cmp.Diff(tc.index, p.Index); d != "" {
				t.Errorf("index: %s", d)
			}
			if !strings.Contains(p.Detail, tc.say) || len(p.Detail) > 300 {
				t.Errorf("detail %q, want %q in it", p.Detail, tc.say)
			}
		})
	}
}

// claims: 9.3
func TestBatchSizes(t *testing.T) {
	var r recorder
	w := newWorld(t, withHub(r.publish))
	batch := func(n int) (messages, channels string) {
		m, c := make([]string, n), make([]string, n)
		for i := range n {
			m[i], c[i] = fmt.Sprintf(`{"channel":"c%d","data":%d}`, i, i), fmt.Sprintf(`"c%d"`, i)
		}
		return `{"messages":[` + strings.Join(m, ",") + `]}`, `{"data":1,"channels":[` + strings.Join(c, ",") + `]}`
	}
	m, c := batch(1000)
	for _, body := range []string{m, c} {
		r.msgs = nil
		var out struct{ Messages []protocol.Published }
		accepted(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: body}), 200, &out)
		if len(out.Messages) != 1000 || len(r.msgs) != 1000 {
			t.Fatalf("%d published, %d answered, want 1000", len(r.msgs), len(out.Messages))
		}
		for i, p := range out.Messages {
			if want := protocol.Channel(fmt.Sprint("c", i)); p.Channel != want || p.ID != fmt.Sprint("m", i) {
				t.Fatalf("answer %d is of %s %s, want %s", i, p.Channel, p.ID, want)
			}
		}
	}
	r.msgs = nil
	m, c = batch(1001)
	for _, body := range []string{m, c} {
		refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: body}), protocol.CodeBatchTooLarge)
	}
	if len(r.msgs) != 0 {
		t.Errorf("%d of a batch that was refused reached the hub", len(r.msgs))
	}
}

// line collects the data that a channel brings.
type line chan string

func (l line) Deliver(f *hub.Frame) { l <- string(f.Line) }

// claims: 9.3 8.3 8.9 4.5
func TestAllOrNothing(t *testing.T) {
	var h *hub.Hub
	w := newWorld(t, func(o *api.Options) { h = o.Hub.(*hub.Hub) })
	got := make(line, 10)
	who, err := w.tenants.Authenticate(t.Context(), w.token, "")
	must(t, err)
	h.Subscribe(who, "chat:1", got)
	send := func(as, body string) reply {
		return w.send(request{method: "POST", path: "/v1/messages", as: as, body: body})
	}
	p := refused(t, send(w.token, `{"messages":[{"channel":"chat:1","data":"half"},{"channel":"admin:1","data":1}]}`), protocol.CodeNotGranted)
	if p.Index == nil || *p.Index != 1 || p.Channel != "admin:1" {
		t.Errorf("index and channel of %+v, want 1 and admin:1", p)
	}
	p = refused(t, send(w.token, `{"channel":"admin:1","data":1}`), protocol.CodeNotGranted)
	if p.Index != nil {
		t.Errorf("index %d of a publish that is no batch", *p.Index)
	}
	off := false
	_, err = w.tenants.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Rules: &[]tenant.Rule{{Namespace: "chat", PublishFromClients: &off}}})
	must(t, err)
	refused(t, send(w.token, `{"channel":"chat:1","data":"off"}`), protocol.CodePublishOff)
	accepted(t, send(w.secret, `{"channel":"chat:1","data":"whole"}`), 200, nil)
	select {
	case m := <-got:
		if !strings.Contains(m, `"data":"whole"`) {
			t.Errorf("a message of a refused request got through: %s", m)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
}

// claims: 9.9 9.2
func TestPublishRate(t *testing.T) {
	w := newWorld(t)
	few := 2
	_, err := w.tenants.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Limits: &tenant.LimitsPatch{PublishPerSecond: &few}})
	must(t, err)
	var last reply
	for range 200 {
		if last = w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"a","data":1}`}); last.status != 200 {
			break
		}
	}
	refused(t, last, protocol.CodePublishRate) // with Retry-After
	p := refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channels":["a","b","c"],"data":1}`}), protocol.CodePublishRate)
	if p.RetryAfter < 1 || p.RetryAfter > 60_000 {
		t.Errorf("retry_after %d ms", p.RetryAfter)
	}
}

// claims: 8.7 9.10
func TestBrowsers(t *testing.T) {
	w := newWorld(t)
	k := w.key(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "page", Origins: []string{"https://app.example.com"}, Grants: &protocol.Grants{Publish: []string{"*"}}})
	for _, path := range []string{"/v1/messages", "/v1/tickets"} {
		from := func(origin, as, method string) reply {
			return w.send(request{method: method, path: path, as: as, body: `{"channel":"a","data":1}`, header: map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"}})
		}
		pre := from("https://anywhere.example", "", "OPTIONS")
		accepted(t, pre, 204, nil)
		methods := map[string]string{"/v1/messages": "GET, POST", "/v1/tickets": "POST"}[path]
		if h := pre.header; h.Get("Access-Control-Allow-Methods") != methods || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("preflight of %s: %v", path, h)
		}
		good := from("https://app.example.com", k.Text, "POST")
		if good.status/100 != 2 {
			t.Errorf("%s from an allowed origin: %d %s", path, good.status, good.body)
		}
		bad := from("https://evil.example", k.Text, "POST")
		refused(t, bad, protocol.CodeOriginNotAllowed)
		wrong := from("https://evil.example", "", "PUT")
		refused(t, wrong, protocol.CodeMethodNotAllowed)
		for _, got := range []reply{pre, good, bad, wrong} {
			if h := got.header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: CORS headers %v", path, h)
			}
		}
	}
	if h := w.send(request{method: "GET", path: "/v1/apps", as: w.accountToken, header: map[string]string{"Origin": "https://evil.example"}}).header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("administration is open to pages of other sites")
	}
}

func BenchmarkPublish(b *testing.B) {
	w := newWorld(b, withHub(takesAll), func(o *api.Options) { o.Logger = quiet() })
	for name, as := range map[string]string{"key": w.secret, "token": w.token} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, w, as, `{"channel":"chat:1","data":{"text":"hello, world","n":12345}}`)
		})
	}
	item := `{"channel":"chat:1","data":{"text":"hello, world","n":12345}}`
	b.Run("batch of 100", func(b *testing.B) {
		benchmark(b, w, w.secret, `{"messages":[`+strings.Repeat(item+",", 99)+item+`]}`)
	})
}
