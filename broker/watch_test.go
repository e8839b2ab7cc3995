package broker_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestPresenceSwitchedOff has a rule take presence and occupancy away from
// namespaces with members: they leave, those who watch are told, and go on
// with messages, and it can begin anew.
//
// claims: 11.14
func TestPresenceSwitchedOff(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, `[{"namespace":"counted","occupancy":true}]`)
	first, second, other := user(t, s, "ada"), user(t, s, "ada"), user(t, s, "bob")
	for _, c := range []*wsClient{first, second, other} {
		ask(c, "room:1", "enter", "")
		ask(c, "elsewhere", "enter", "")
	}
	watch := map[string]listener{}
	for name, open := range watchers() {
		for channel, what := range map[string]string{"room:1": "presence", "counted:1": "occupancy", "elsewhere": "presence"} {
			l, refused := open(t, s, userToken(t, s, "eve"), channel, what)
			if refused != nil {
				t.Fatal(refused.raw)
			}
			watch[name+" "+channel] = l
		}
	}
	setRules(t, s, `[{"namespace":"room","presence":false}]`)
	for _, c := range []*wsClient{first, second, other} {
		c.pong()
	}
	for name, l := range watch {
		if c, ok := l.(*wsClient); ok {
			c.pong()
		}
		_, channel, _ := strings.Cut(name, " ")
		until := func(end func(frame) bool) {
			for f := l.next(); !end(f); f = l.next() {
				if f.Type == "end" || f.Type == protocol.TypeError {
					t.Fatalf("%s got %s", name, f.raw)
				}
			}
		}
		if channel != "elsewhere" {
			until(func(f frame) bool {
				return f.Code == protocol.CodePresenceOff && f.Channel == protocol.Channel(channel)
			})
		}
		publish(t, s, channel, `"more"`)
		until(func(f frame) bool { return f.Type == protocol.TypeMessage })
	}
	if f := ask(first, "room:1", "enter", ""); f.Code != protocol.CodePresenceOff {
		t.Errorf("entered a channel without presence: %s", f.raw)
	}

	setRules(t, s, `[]`)
	if f := ask(first, "room:1", "enter", ""); f.Type != protocol.TypePresenceOK {
		t.Fatalf("entered again: %s", f.raw)
	}
	if f := ask(first, "room:1", "members", ""); len(f.Members) != 1 || f.Members[0].User != "ada" || f.Members[0].Connections != 1 {
		t.Errorf("after presence came back: %s", f.raw)
	}
	if f := ask(second, "elsewhere", "members", ""); len(f.Members) != 2 || f.Members[0].Connections != 2 {
		t.Errorf("another namespace: %s", f.raw)
	}
	second.close()
	other.close()
	if f := ask(first, "room:1", "members", ""); len(f.Members) != 1 {
		t.Errorf("others who were members once ended: %s", f.raw)
	}
}

// A stream may ask for some of its channels only.
//
// claims: 11.12
func TestPresenceOfSomeChannels(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, `[{"namespace":"plain","presence":false},{"namespace":"n","occupancy":true}]`)
	ask(user(t, s, "ann"), "room:1", "enter", "")
	credential := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+userToken(t, s, "eve")) }
	if _, refused := getSSE(t, s, "?channel=plain:1&channel=room:1&presence=true", credential, 2); refused == nil || refused.Code != protocol.CodePresenceOff {
		t.Errorf("of all: %+v", refused)
	}
	if _, refused := getSSE(t, s, "?channel=room:1&presence=room:2", credential, 1); refused == nil || refused.Code != protocol.CodeBadRequest {
		t.Errorf("of a channel that is not the stream's: %+v", refused)
	}
	l, refused := getSSE(t, s, "?channel=plain:1&channel=room:1&channel=n:1&presence=room:1&occupancy=n:1", credential, 0)
	if refused != nil {
		t.Fatal(refused.raw)
	}
	got := map[string]bool{}
	for len(got) < 2 {
		f := l.next()
		if f.Type == "end" {
			t.Fatalf("it ended after %v", got)
		}
		if f.Type == protocol.TypePresence || f.Type == protocol.TypeOccupancy {
			got[f.Type+" "+string(f.Channel)] = true
		}
	}
	if !got["presence room:1"] || !got["occupancy n:1"] {
		t.Errorf("it was told of %v", got)
	}
}
