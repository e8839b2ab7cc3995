package broker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestContract is what every door promises, run over each of them.
//
// claims: 3.2 4.1 4.2 4.5 7.1 7.3 7.4 8.2 8.3 8.7 8.8
func TestContract(t *testing.T) {
	s := brokertest.Start(t)
	for _, d := range doors() {
		t.Run(d.name, func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *brokertest.Server, door){
				"any JSON comes as it was sent":      anyJSON,
				"several channels in order":          severalChannels,
				"batch and many channels":            batches,
				"event and id":                       eventAndID,
				"another app sees nothing":           otherApp,
				"every channel name":                 everyName,
				"token with a grant":                 tokenGrant,
				"what is refused":                    refusals,
				"origin":                             origins,
				"publishable keys begin with public": publicOnly,
			} {
				t.Run(name, func(t *testing.T) { test(t, s, d) })
			}
		})
	}
}

func must(t *testing.T, s *brokertest.Server, d door, credential string, channels ...string) listener {
	t.Helper()
	l, refused := d.open(t, s, credential, "", channels...)
	if refused != nil {
		t.Fatalf("refused: %s", refused.raw)
	}
	return l
}

// message is the next frame, which must be a message.
func message(t *testing.T, l listener) frame {
	t.Helper()
	f := l.next()
	if f.Type != protocol.TypeMessage {
		t.Fatalf("got %s instead of a message", f.raw)
	}
	return f
}

func anyJSON(t *testing.T, s *brokertest.Server, d door) {
	l := must(t, s, d, s.PublishableKey, "json")
	for _, c := range []struct{ sent, got string }{
		{`{"n":1}`, ""}, {`"plain"`, ""}, {`""`, ""}, {`null`, ""}, {`true`, ""}, {`0`, ""}, {`-1.50e+3`, ""},
		{`12345678901234567890123`, ""}, {`[]`, ""}, {`{}`, ""}, {`[[[[1]]],{"a":{"b":null}}]`, ""},
		{`{"b":1,"a":2,"b":3}`, ""}, {`"日本語 \u0000 \ud800 <&> "`, ""}, {`{ "spaced" : 1 }`, ""},
		{"{\n \"lines\": [1,\r\n2]}", `{"lines":[1,2]}`},
	} {
		publish(t, s, "json", c.sent)
		want := c.got
		if want == "" {
			want = c.sent
		}
		if got := message(t, l); string(got.Data) != want || got.Channel != "json" || got.ID == "" || got.Time == 0 {
			t.Errorf("sent %s, got %s", c.sent, got.raw)
		}
	}
}

func severalChannels(t *testing.T, s *brokertest.Server, d door) {
	l := must(t, s, d, s.PublishableKey, "several:a", "several:b", "several:c")
	for i := range 30 {
		publish(t, s, "several:"+string(rune('a'+i%3)), fmt.Sprint(i))
	}
	publish(t, s, "several:d", `"not mine"`)
	publish(t, s, "several:a", `"last"`)
	next := map[protocol.Channel]int{"several:a": 0, "several:b": 1, "several:c": 2}
	for range 31 {
		got := message(t, l)
		want := fmt.Sprint(next[got.Channel])
		if got.Channel == "several:a" && next[got.Channel] == 30 {
			want = `"last"`
		}
		if string(got.Data) != want {
			t.Fatalf("got %s, want %s", got.raw, want)
		}
		next[got.Channel] += 3
	}
}

func batches(t *testing.T, s *brokertest.Server, d door) {
	l := must(t, s, d, s.PublishableKey, "batch:1", "batch:2")
	if status, body := post(t, s, "/v1/messages", s.SecretKey, `{"channels":["batch:1","batch:2","batch:3"],"data":"all"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := post(t, s, "/v1/messages", s.SecretKey, `{"messages":[{"channel":"batch:2","data":1},{"channel":"batch:1","data":2}]}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	got := map[protocol.Channel]string{}
	for range 4 {
		m := message(t, l)
		got[m.Channel] += string(m.Data)
	}
	if got["batch:1"] != `"all"2` || got["batch:2"] != `"all"1` {
		t.Fatalf("got %v", got)
	}
}

func eventAndID(t *testing.T, s *brokertest.Server, d door) {
	l := must(t, s, d, s.PublishableKey, "event")
	id := "o-1:2.3_4" + d.name
	status, body := post(t, s, "/v1/messages", s.SecretKey, `{"channel":"event","event":"order paid","id":"`+id+`","data":{}}`)
	if want := `"id":"` + id; status != http.StatusOK || !strings.Contains(body, want) {
		t.Fatalf("%d %s", status, body)
	}
	if got := message(t, l); got.Event != "order paid" || got.ID != id {
		t.Fatalf("got %s", got.raw)
	}
}

func otherApp(t *testing.T, s *brokertest.Server, d door) {
	_, secret := makeApp(t, s, "other over "+d.name)
	theirs := must(t, s, d, secret, "shared", "*", ">", "e.>")
	mine := must(t, s, d, s.SecretKey, "shared")
	publish(t, s, "shared", `"mine"`)
	if got := message(t, mine); string(got.Data) != `"mine"` {
		t.Fatalf("got %s", got.raw)
	}
	if status, body := post(t, s, "/v1/messages", secret, `{"channel":"shared","data":"theirs"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if got := message(t, theirs); string(got.Data) != `"theirs"` {
		t.Fatalf("another app's message came: %s", got.raw)
	}
}

func everyName(t *testing.T, s *brokertest.Server, d door) {
	names := []string{
		"a", "a.b", "a*b", "*", ">", "a.>", "a b", "$SYS", "日本語", "🎺", "a/b?c=d&e#f%20", `"quoted"\`, "=41", "~x",
		"-", strings.Repeat("x", 200), strings.Repeat("ü", 100), " lead", "A", "\u00a0",
	}
	l := must(t, s, d, s.SecretKey, names...)
	for _, name := range names {
		data, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, name, string(data))
		if got := message(t, l); string(got.Channel) != name || string(got.Data) != string(data) {
			t.Errorf("channel %q: got %s", name, got.raw)
		}
	}
}

func tokenGrant(t *testing.T, s *brokertest.Server, d door) {
	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["orders:*","exact"]}}`)
	l := must(t, s, d, token, "orders:1", "exact")
	publish(t, s, "exact", "1")
	if got := message(t, l); got.Channel != "exact" {
		t.Fatalf("got %s", got.raw)
	}
	for _, ch := range []string{"order", "exactly", "orders"} {
		if _, refused := d.open(t, s, token, "", ch); refused == nil || refused.Code != protocol.CodeNotGranted || string(refused.Channel) != ch {
			t.Errorf("%s: got %+v", ch, refused)
		}
	}
}

func refusals(t *testing.T, s *brokertest.Server, d door) {
	expiring, id := makeKey(t, s, `{"kind":"publishable","grants":{"subscribe":["*"]}}`)
	if status, body := call(t, s, http.MethodDelete, "/v1/apps/"+s.App+"/keys/"+id, s.AccountToken, ""); status != http.StatusNoContent {
		t.Fatalf("revoke: %d %s", status, body)
	}
	flip := func(key string) string {
		c := byte('a')
		if key[20] == c {
			c = 'b'
		}
		return key[:20] + string(c) + key[21:]
	}
	for _, c := range []struct {
		name, credential, channel string
		code                      protocol.Code
	}{
		{"typo", flip(s.PublishableKey), "a", protocol.CodeKeyInvalid},
		{"cut off", s.PublishableKey[:40], "a", protocol.CodeKeyInvalid},
		{"revoked", expiring, "a", protocol.CodeKeyExpired},
		{"account token", s.AccountToken, "a", protocol.CodeKeyKind},
		{"neither key nor token", "xyz", "a", protocol.CodeKeyInvalid},
		{"unsigned token", "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.", "a", protocol.CodeTokenInvalid},
		{"control character", s.SecretKey, "a\nb", protocol.CodeChannelInvalid},
		{"long name", s.SecretKey, strings.Repeat("x", 201), protocol.CodeChannelInvalid},
		{"no name", s.SecretKey, "", protocol.CodeChannelInvalid},
	} {
		l, refused := d.open(t, s, c.credential, "", c.channel)
		switch {
		case l != nil:
			t.Errorf("%s: was let in", c.name)
		case refused.Code != c.code:
			t.Errorf("%s: got %s, want %s", c.name, refused.raw, c.code)
		case refused.Message == "" || refused.Remedy == "":
			t.Errorf("%s: no message or remedy: %s", c.name, refused.raw)
		case strings.Contains(refused.raw, s.App), strings.Contains(refused.raw, c.credential):
			t.Errorf("%s: the refusal tells too much: %s", c.name, refused.raw)
		}
	}
}

func origins(t *testing.T, s *brokertest.Server, d door) {
	key, _ := makeKey(t, s, `{"kind":"publishable","grants":{"subscribe":["*"]},"allowed_origins":["https://app.example.com","https://*.example.org"]}`)
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{"https://app.example.com", true}, {"https://a.example.org", true}, {"", true},
		{"https://evil.example.com", false}, {"http://app.example.com", false}, {"https://app.example.com.evil.net", false},
		{"https://app.example.com:444", false}, {"https://example.org", false}, {"null", false},
	} {
		_, refused := d.open(t, s, key, c.origin, "a")
		if c.ok != (refused == nil) {
			t.Errorf("origin %q: refused %v", c.origin, refused)
		}
		if refused != nil && refused.Code != protocol.CodeOriginNotAllowed {
			t.Errorf("origin %q: %s", c.origin, refused.raw)
		}
	}
}

func publicOnly(t *testing.T, s *brokertest.Server, d door) {
	key, _ := makeKey(t, s, `{"kind":"publishable"}`)
	must(t, s, d, key, "public:news")
	if _, refused := d.open(t, s, key, "", "private"); refused == nil || refused.Code != protocol.CodeNotGranted {
		t.Fatalf("got %+v", refused)
	}
}
