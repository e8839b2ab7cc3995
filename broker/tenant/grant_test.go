package tenant_test

import (
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 8.2 8.3
func TestGrants(t *testing.T) {
	w := open(t)
	grants := protocol.Grants{Subscribe: []string{"orders:42", "chat:*"}, Publish: []string{"chat:1"}, Presence: []string{"*"}, History: []string{"chat:eu:*"}}
	page := w.is(w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "n", Grants: &grants}).Text)
	token, _, err := w.SignToken(w.is(w.secret.Text), "ann", grants, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	user, public, secret := w.is(token), w.is(w.public.Text), w.is(w.secret.Text)
	for _, c := range []struct {
		action         protocol.Action
		ch             protocol.Channel
		granted, plain bool // by grants; by the default of a publishable key
	}{
		{protocol.Subscribe, "orders:42", true, false},
		{protocol.Subscribe, "orders:421", false, false},
		{protocol.Subscribe, "orders:4", false, false},
		{protocol.Subscribe, "chat:1", true, false},
		{protocol.Subscribe, "chat:", true, false},
		{protocol.Subscribe, "chat", false, false},
		{protocol.Subscribe, "chat:*", true, false},
		{protocol.Subscribe, "public:news", false, true},
		{protocol.Publish, "chat:1", true, false},
		{protocol.Publish, "chat:2", false, false},
		{protocol.Publish, "public:news", false, false},
		{protocol.Presence, "anything", true, false},
		{protocol.History, "chat:eu:1", true, false},
		{protocol.History, "chat:us:1", false, false},
		{protocol.Action("admin"), "chat:1", false, false},
	} {
		for name, x := range map[string]struct {
			p   *tenant.Principal
			may bool
		}{"key": {page, c.granted}, "token": {user, c.granted}, "default key": {public, c.plain}, "secret key": {secret, true}} {
			err := x.p.May(c.action, c.ch)
			if x.may && err != nil {
				t.Errorf("%s: %s on %s: %v", name, c.action, c.ch, err)
			}
			if !x.may {
				if e := want(t, err, protocol.CodeNotGranted); e.Channel != c.ch {
					t.Errorf("%s: the error is about %q", name, e.Channel)
				}
			}
		}
	}
	// A key's grants are those of now.
	if _, err := w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, tenant.KeyPatch{Grants: &protocol.Grants{}}); err != nil {
		t.Fatal(err)
	}
	want(t, public.May(protocol.Subscribe, "public:news"), protocol.CodeNotGranted)
}

// claims: 8.9 4.4
func TestRuleOfTheLongestPrefixWins(t *testing.T) {
	w := open(t)
	secret := w.is(w.secret.Text)
	token, _, err := w.SignToken(secret, "ann", protocol.AllGrants(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	user := w.is(token)
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{
		{Namespace: "", PublishFromClients: ptr(false)},
		{Namespace: "chat", PublishFromClients: ptr(true), Echo: ptr(false)},
		{Namespace: "chat:eu:staff", PublishFromClients: ptr(false)},
		{Namespace: "chat:eu:staff:open", PublishFromClients: ptr(true), Echo: ptr(true)},
	}})
	for ch, c := range map[protocol.Channel]struct{ publish, echo bool }{
		"lobby":                {false, true},
		"chat":                 {false, true}, // its namespace is ""
		"chat:1":               {true, false},
		"chats:1":              {false, true},
		"chat:eu:1":            {true, false},
		"chat:eu:staff":        {true, false},
		"chat:eu:staff:1":      {false, false}, // echo is said by "chat" alone
		"chat:eu:staff:x:1":    {false, false},
		"chat:eu:staff:open:1": {true, true},
		"chat:eu:staffer:1":    {true, false},
	} {
		err := user.May(protocol.Publish, ch)
		if c.publish && err != nil {
			t.Errorf("%s: %v", ch, err)
		}
		if !c.publish {
			want(t, err, protocol.CodePublishOff)
		}
		if user.Echo(ch) != c.echo {
			t.Errorf("%s: echo is %v, want %v", ch, user.Echo(ch), c.echo)
		}
		if err := secret.May(protocol.Publish, ch); err != nil {
			t.Errorf("%s: a secret key: %v", ch, err)
		}
		if err := user.May(protocol.Subscribe, ch); err != nil {
			t.Errorf("%s: subscribe: %v", ch, err)
		}
	}
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{}})
	if err := user.May(protocol.Publish, "lobby"); err != nil {
		t.Errorf("after the rules are gone: %v", err)
	}
}

func TestAdministrationHasNoChannels(t *testing.T) {
	w := open(t)
	code, _, err := w.NewLink(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := w.RedeemLink(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	session, err := w.Session(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*tenant.Principal{w.is(w.token), session} {
		want(t, p.May(protocol.Publish, "a"), protocol.CodeKeyKind)
		want(t, p.AllowPublish(1), protocol.CodeKeyKind)
		_, err := p.Connect()
		want(t, err, protocol.CodeKeyKind)
		_, _, err = w.NewTicket(t.Context(), p)
		want(t, err, protocol.CodeKeyKind)
		_, _, err = w.SignToken(p, "u", protocol.Grants{}, time.Minute)
		want(t, err, protocol.CodeKeyKind)
		if err := p.Need(tenant.KindAccount, tenant.KindSession); err != nil {
			t.Error(err)
		}
	}
	want(t, w.is(w.public.Text).Need(tenant.KindAccount, tenant.KindSession), protocol.CodeKeyKind)
	_, _, err = w.SignToken(w.is(w.public.Text), "u", protocol.Grants{}, time.Minute)
	want(t, err, protocol.CodeKeyKind)
}
