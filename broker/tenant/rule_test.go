package tenant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 4.6
func TestKeepFollowsTheRules(t *testing.T) {
	w := open(t)
	p := w.is(w.public.Text)
	if n, age := p.Keep("chat:1"); n != 100 || age != 5*time.Minute {
		t.Errorf("without rules %d messages are kept for %s", n, age)
	}
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{
		{Namespace: "", Ephemeral: ptr(true)},
		{Namespace: "chat", History: &tenant.History{Messages: 1000, Age: 86_400}},
		{Namespace: "chat:typing", Ephemeral: ptr(true)},
		{Namespace: "chat:typing:log", Ephemeral: ptr(false)},
		{Namespace: "news", Ephemeral: ptr(false), Echo: ptr(false)},
		{Namespace: "chat:eu", Echo: ptr(false)},
		{Namespace: "max", History: &tenant.History{Messages: 10_000, Age: 2_592_000}},
		{Namespace: "min", History: &tenant.History{Messages: 1, Age: 1}},
	}})
	for ch, c := range map[protocol.Channel]struct {
		messages int
		age      time.Duration
	}{
		"lobby":             {0, 0},
		"chats:1":           {0, 0},
		"chat:1":            {1000, 24 * time.Hour}, // a history is durable, whatever wider rules say
		"chat:eu:1":         {1000, 24 * time.Hour}, // its own rule says nothing of it
		"chat:typing:1":     {0, 0},
		"chat:typing:log:1": {1000, 24 * time.Hour}, // durable again, with the history of chat
		"news:1":            {100, 5 * time.Minute}, // durable, and nobody speaks of a history
		"max:1":             {10_000, 30 * 24 * time.Hour},
		"min:1":             {1, time.Second},
	} {
		if n, age := p.Keep(ch); n != c.messages || age != c.age {
			t.Errorf("%s keeps %d messages for %s, want %d for %s", ch, n, age, c.messages, c.age)
		}
		if n, age := w.Keep(w.app, ch); n != c.messages || age != c.age {
			t.Errorf("%s of the app keeps %d messages for %s", ch, n, age)
		}
	}
	if n, _ := w.Keep("nobodyapp0", "lobby"); n != 0 {
		t.Errorf("an app that does not exist keeps %d messages", n)
	}
	if n, _ := w.is(w.token).Keep("max:1"); n != 0 {
		t.Errorf("administration keeps %d messages", n)
	}
}

func TestSwitchesFollowTheRules(t *testing.T) {
	w := open(t)
	p := w.is(w.public.Text)
	is := func(ch protocol.Channel, presence, occupancy, webhooks bool) {
		t.Helper()
		if p.Presence(ch) != presence || p.Occupancy(ch) != occupancy || p.Webhooks(ch) != webhooks {
			t.Errorf("%s: presence %t, occupancy %t, webhooks %t", ch, p.Presence(ch), p.Occupancy(ch), p.Webhooks(ch))
		}
	}
	is("chat:1", true, false, false)
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{
		{Namespace: "", Occupancy: ptr(true), Webhooks: ptr(true)},
		{Namespace: "chat", Presence: ptr(false), Webhooks: ptr(false)},
		{Namespace: "chat:eu", Presence: ptr(true), Occupancy: ptr(false)},
	}})
	is("lobby", true, true, true)
	is("chat:1", false, true, false)
	is("chat:eu:1", true, false, false)
}

func TestWrongHistoryIsNamed(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		rule tenant.Rule
		says string
	}{
		{tenant.Rule{Namespace: "a", History: &tenant.History{Age: 60}}, `"a" has history.messages 0`},
		{tenant.Rule{Namespace: "a", History: &tenant.History{Messages: 10_001, Age: 60}}, "from 1 to 10000"},
		{tenant.Rule{Namespace: "a", History: &tenant.History{Messages: 1}}, "history.age 0"},
		{tenant.Rule{Namespace: "a", History: &tenant.History{Messages: 1, Age: 2_592_001}}, "from 1 to 2592000"},
		{tenant.Rule{Namespace: "a", History: &tenant.History{Messages: 1, Age: -1}}, "history.age -1"},
		{tenant.Rule{Namespace: "a", Ephemeral: ptr(true), History: &tenant.History{Messages: 1, Age: 1}}, "only one of both"},
	} {
		_, err := w.CreateApp(t.Context(), w.account, tenant.AppInput{Name: "n", Rules: []tenant.Rule{c.rule}})
		if e := want(t, err, protocol.CodeBadRequest); !strings.Contains(e.Message, c.says) {
			t.Errorf("the message %q does not say %q", e.Message, c.says)
		}
	}
}

// What callers get of an app is theirs.
func TestAnAppThatWasReadIsACopy(t *testing.T) {
	w := open(t)
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{{Echo: ptr(true), History: &tenant.History{Messages: 7, Age: 7}}}})
	a, err := w.App(w.account, w.app)
	if err != nil {
		t.Fatal(err)
	}
	*a.Rules[0].Echo, a.Rules[0].History.Messages = false, 9
	p := w.is(w.public.Text)
	if n, _ := p.Keep("x"); n != 7 || !p.Echo("x") {
		t.Errorf("a caller changed the record: %d messages, echo %t", n, p.Echo("x"))
	}
}

// The settings are asked for at each publish.
func TestSettingsDoNotAllocate(t *testing.T) {
	w := open(t)
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{{Namespace: "chat", History: &tenant.History{Messages: 7, Age: 7}}, {Namespace: "chat:eu", Echo: ptr(true)}}})
	p := w.is(w.public.Text)
	n := testing.AllocsPerRun(100, func() {
		p.Keep("chat:eu:1")
		p.Presence("chat:eu:1")
		p.Occupancy("chat:eu:1")
		p.Webhooks("chat:eu:1")
		w.Keep(w.app, "chat:eu:1")
	})
	if n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
