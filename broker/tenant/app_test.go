package tenant_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func TestAppLifeIsReadBackAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, err := w.CreateApp(t.Context(), w.account, tenant.AppInput{
			Name:   "chat",
			Limits: tenant.Limits{Connections: 7},
			Rules:  []tenant.Rule{{Namespace: "lobby", Echo: ptr(false)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		limits := tenant.DefaultLimits()
		limits.Connections = 7
		if diff := cmp.Diff(limits, a.Limits); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
		got, err := w.App(w.account, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("read back (-made +read):\n%s", diff)
		}
		if names := appNames(w); names != "chat shop" {
			t.Errorf("apps are %q, want chat shop", names)
		}
		b, err := w.UpdateApp(t.Context(), w.account, a.ID, tenant.AppPatch{Name: ptr("talk"), Limits: &tenant.LimitsPatch{MessageBytes: ptr(10)}})
		if err != nil {
			t.Fatal(err)
		}
		if b.Name != "talk" || b.Limits.MessageBytes != 10 || b.Limits.Connections != 7 || len(b.Rules) != 1 || !b.Created.Equal(a.Created) {
			t.Errorf("the patch made %+v", b)
		}
		if b, err = w.UpdateApp(t.Context(), w.account, a.ID, tenant.AppPatch{Limits: &tenant.LimitsPatch{Connections: ptr(0)}}); err != nil || b.Limits.Connections != 100_000 {
			t.Errorf("a limit of 0 is %d (%v), want the default", b.Limits.Connections, err)
		}
		// The old name is free again, and the new one is not.
		if _, err := w.CreateApp(t.Context(), w.account, tenant.AppInput{Name: "chat"}); err != nil {
			t.Errorf("the old name: %v", err)
		}
		if err := w.DeleteApp(t.Context(), w.account, a.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.App(w.account, a.ID)
		want(t, err, protocol.CodeAppNotFound)
		want(t, w.DeleteApp(t.Context(), w.account, a.ID), protocol.CodeAppNotFound)
		if _, err := w.CreateApp(t.Context(), w.account, tenant.AppInput{Name: "talk"}); err != nil {
			t.Errorf("a deleted app's name: %v", err)
		}
	})
}

func appNames(w *world) string {
	var names []string
	for _, a := range w.Apps(w.account) {
		names = append(names, a.Name)
	}
	return strings.Join(names, " ")
}

func TestAppNameIsTakenOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		made := make([]error, 20)
		for i := range made {
			wg.Go(func() { _, made[i] = w.CreateApp(t.Context(), w.account, tenant.AppInput{Name: "same 名"}) })
		}
		wg.Wait()
		winners := 0
		for _, err := range made {
			if err == nil {
				winners++
				continue
			}
			want(t, err, protocol.CodeNameTaken)
		}
		if winners != 1 {
			t.Errorf("%d apps got the name, want 1", winners)
		}
		_, err := w.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Name: ptr("same 名")})
		if e := want(t, err, protocol.CodeNameTaken); !strings.Contains(e.Message, "same 名") {
			t.Errorf("the message does not say which name: %s", e.Message)
		}
		other, _, err := w.CreateAccount(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.CreateApp(t.Context(), other.ID, tenant.AppInput{Name: "same 名"}); err != nil {
			t.Errorf("another account's app of that name: %v", err)
		}
	})
}

func TestConcurrentPatchesAllHold(t *testing.T) {
	w := open(t)
	var wg sync.WaitGroup
	for _, p := range []tenant.AppPatch{
		{Name: ptr("renamed")},
		{Limits: &tenant.LimitsPatch{Connections: ptr(11)}},
		{Limits: &tenant.LimitsPatch{MessageBytes: ptr(12)}},
		{Rules: &[]tenant.Rule{{Namespace: "x"}}},
	} {
		wg.Go(func() {
			if _, err := w.UpdateApp(t.Context(), w.account, w.app, p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, err := w.App(w.account, w.app)
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "renamed" || a.Limits.Connections != 11 || a.Limits.MessageBytes != 12 || len(a.Rules) != 1 {
		t.Errorf("a patch was lost: %+v", a)
	}
}

func TestAppThatAlwaysChangesIsConflict(t *testing.T) {
	w := open(t)
	w.records.setHooks(func(op, key string) {
		if op != "update" {
			return
		}
		w.records.mu.Lock()
		defer w.records.mu.Unlock()
		w.records.put(key, w.records.entries[key].Value, 0, false)
	}, nil)
	_, err := w.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{Limits: &tenant.LimitsPatch{Connections: ptr(1)}})
	want(t, err, protocol.CodeConflict)
}

// claims: 9.7 4.5
func TestOtherAccountsThingsDoNotExist(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		other, _, err := w.CreateAccount(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		second := w.newApp("second").ID
		type ask func(account protocol.AccountID, app protocol.AppID, key string) error
		asks := map[string]ask{
			"App": func(a protocol.AccountID, app protocol.AppID, _ string) error { _, err := w.App(a, app); return err },
			"UpdateApp": func(a protocol.AccountID, app protocol.AppID, _ string) error {
				_, err := w.UpdateApp(t.Context(), a, app, tenant.AppPatch{Name: ptr("mine")})
				return err
			},
			"DeleteApp": func(a protocol.AccountID, app protocol.AppID, _ string) error {
				return w.DeleteApp(t.Context(), a, app)
			},
			"Keys": func(a protocol.AccountID, app protocol.AppID, _ string) error { _, err := w.Keys(a, app); return err },
			"CreateKey": func(a protocol.AccountID, app protocol.AppID, _ string) error {
				_, err := w.CreateKey(t.Context(), a, app, tenant.KeyInput{Kind: tenant.KindSecret, Name: "mine"})
				return err
			},
			"Key": func(a protocol.AccountID, app protocol.AppID, k string) error { _, err := w.Key(a, app, k); return err },
			"UpdateKey": func(a protocol.AccountID, app protocol.AppID, k string) error {
				_, err := w.UpdateKey(t.Context(), a, app, k, tenant.KeyPatch{Name: ptr("mine")})
				return err
			},
			"RevokeKey": func(a protocol.AccountID, app protocol.AppID, k string) error {
				return w.RevokeKey(t.Context(), a, app, k)
			},
			"RotateKey": func(a protocol.AccountID, app protocol.AppID, k string) error {
				_, err := w.RotateKey(t.Context(), a, app, k, 0)
				return err
			},
		}
		for name, ask := range asks {
			foreign := want(t, ask(other.ID, w.app, w.secret.ID), protocol.CodeAppNotFound)
			none := want(t, ask(other.ID, "zzzzzzzzzz", w.secret.ID), protocol.CodeAppNotFound)
			if diff := cmp.Diff(none, foreign); diff != "" {
				t.Errorf("%s: another account's app differs from none:\n%s", name, diff)
			}
			if strings.HasSuffix(name, "Key") && name != "CreateKey" {
				foreign := want(t, ask(w.account, second, w.secret.ID), protocol.CodeKeyNotFound)
				none := want(t, ask(w.account, second, "ffs_0000000000"), protocol.CodeKeyNotFound)
				if diff := cmp.Diff(none, foreign); diff != "" {
					t.Errorf("%s: another app's key differs from none:\n%s", name, diff)
				}
			}
		}
		if apps := w.Apps(other.ID); len(apps) != 0 {
			t.Errorf("another account sees the apps %v", apps)
		}
		// An account token is of no app, and administers only its own account.
		if p := w.is(w.token); p.Account != w.account || p.App != "" || p.Kind != tenant.KindAccount {
			t.Errorf("the account token is %v", p)
		}
		if names := appNames(w); names != "second shop" {
			t.Errorf("apps are %q after all that", names)
		}
	})
}

func TestAccountsAreFoundAgain(t *testing.T) {
	w := open(t)
	accounts := w.Accounts()
	if len(accounts) != 1 || accounts[0].Name != "acme" {
		t.Errorf("accounts are %v", accounts)
	}
	_, err := w.Account("zzzzzzzzzz")
	want(t, err, protocol.CodeNotFound)
	_, err = w.CreateApp(t.Context(), "zzzzzzzzzz", tenant.AppInput{Name: "x"})
	want(t, err, protocol.CodeNotFound)
	more, err := w.CreateAccountToken(t.Context(), w.account, "laptop")
	if err != nil {
		t.Fatal(err)
	}
	if p := w.is(more.Text); p.Account != w.account || p.KeyID != more.ID {
		t.Errorf("the second token is %v", p)
	}
	want(t, w.RevokeAccountToken(t.Context(), w.account, w.secret.ID), protocol.CodeKeyNotFound)
	if err := w.RevokeAccountToken(t.Context(), w.account, more.ID); err != nil {
		t.Fatal(err)
	}
	w.refuses(more.Text, protocol.CodeKeyExpired)
	w.is(w.token)
}

func TestWrongInputIsNamed(t *testing.T) {
	w := open(t)
	name := func(s string) tenant.AppInput { return tenant.AppInput{Name: s} }
	rules := func(r ...tenant.Rule) tenant.AppInput { return tenant.AppInput{Name: "n", Rules: r} }
	for _, c := range []struct {
		in   tenant.AppInput
		says string
	}{
		{name(""), `"name"`},
		{name(strings.Repeat("x", 101)), "100"},
		{name("a\nb"), `"name"`},
		{name(" a"), `"name"`},
		{name("\xff"), `"name"`},
		{tenant.AppInput{Name: "n", Limits: tenant.Limits{Connections: -1}}, "connections"},
		{tenant.AppInput{Name: "n", Limits: tenant.Limits{MessageBytes: 1_000_001}}, "message_bytes is 1000001"},
		{tenant.AppInput{Name: "n", Limits: tenant.Limits{PublishPerSecond: 1_000_001}}, "publish_per_second"},
		{tenant.AppInput{Name: "n", Limits: tenant.Limits{SubscribePerSecond: -5}}, "subscribe_per_second"},
		{tenant.AppInput{Name: "n", Limits: tenant.Limits{ChannelsPerConnection: 100_001}}, "channels_per_connection"},
		{rules(tenant.Rule{Namespace: "a:"}), `"a:"`},
		{rules(tenant.Rule{Namespace: "a"}, tenant.Rule{Namespace: "a"}), `"a"`},
		{rules(make([]tenant.Rule, 101)...), "101"},
		{tenant.AppInput{Name: "n", JWKS: json.RawMessage(`{"keys":[]}`)}, "jwks"},
		{tenant.AppInput{Name: "n", JWKS: json.RawMessage(`[`)}, "jwks"},
		{tenant.AppInput{Name: "n", JWKS: json.RawMessage(`"` + strings.Repeat("x", 33_000) + `"`)}, "jwks"},
	} {
		_, err := w.CreateApp(t.Context(), w.account, c.in)
		if e := want(t, err, protocol.CodeBadRequest); !strings.Contains(e.Message, c.says) {
			t.Errorf("%.80v: the message %q does not say %q", c.in, e.Message, c.says)
		}
	}
	if _, _, err := w.CreateAccount(t.Context(), ""); err == nil {
		t.Error("an account without a name was made")
	}
}

func TestRecordsOutliveARestart(t *testing.T) {
	w := open(t)
	w.Close()
	again, err := tenant.Open(t.Context(), tenant.Options{Records: w.records, Tickets: w.vault, Sessions: w.vault, MasterKey: [32]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, text := range []string{w.secret.Text, w.public.Text, w.token} {
		if _, err := again.Authenticate(t.Context(), text, ""); err != nil {
			t.Error(err)
		}
	}
	if a, err := again.App(w.account, w.app); err != nil || a.Name != "shop" {
		t.Errorf("the app is %v, %v", a, err)
	}
	_, err = tenant.Open(t.Context(), tenant.Options{Records: w.records, Tickets: w.vault, Sessions: w.vault, MasterKey: [32]byte{9}})
	if err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("with another master key Open says %v", err)
	}
}

func TestOtherNodesSeeChanges(t *testing.T) {
	w := open(t)
	other, err := tenant.Open(t.Context(), tenant.Options{Records: w.records, Tickets: w.vault, Sessions: w.vault, MasterKey: [32]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p, err := other.Authenticate(t.Context(), w.public.Text, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeKey(t.Context(), w.account, w.app, w.public.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return p.Check() != nil })
	want(t, p.Check(), protocol.CodeKeyExpired)
}

func TestStoreTroubleIsToldWithoutInternals(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		cause error
		code  protocol.Code
	}{
		{bus.ErrDiskFull, protocol.CodeDiskFull},
		{errors.New("nats: no responders at 10.0.0.7"), protocol.CodeUnavailable},
	} {
		w.records.setHooks(nil, func(op, _ string) error { return c.cause })
		_, err := w.CreateApp(t.Context(), w.account, tenant.AppInput{Name: "x"})
		if e := want(t, err, c.code); strings.Contains(e.Message, "10.0.0.7") || !errors.Is(err, c.cause) {
			t.Errorf("%v became %v", c.cause, err)
		}
		_, err = w.CreateKey(t.Context(), w.account, w.app, tenant.KeyInput{Kind: tenant.KindSecret, Name: "x"})
		want(t, err, c.code)
		w.records.setHooks(nil, nil)
		w.vault.setHooks(nil, func(op, _ string) error { return c.cause })
		_, _, err = w.NewTicket(t.Context(), w.is(w.secret.Text))
		want(t, err, c.code)
		_, _, err = w.NewLink(t.Context(), w.account)
		want(t, err, c.code)
		_, err = w.Session(t.Context(), "ffd_"+strings.Repeat("x", 32))
		want(t, err, c.code)
		w.vault.setHooks(nil, nil)
	}
	if names := appNames(w); names != "shop" {
		t.Errorf("apps are %q", names)
	}
}

// A record that a node cannot read grants nothing.
func TestDamagedRecordsGrantNothing(t *testing.T) {
	w := open(t)
	p := w.is(w.secret.Text)
	w.records.mu.Lock()
	w.records.put("key."+w.secret.ID, []byte("{"), 0, false)
	w.records.put("app."+string(w.app), []byte(`{"id":"other"}`), 0, false)
	w.records.mu.Unlock()
	eventually(t, func() bool { return p.Check() != nil && len(w.Apps(w.account)) == 0 })
	if err := p.May(protocol.Publish, "a"); err == nil {
		t.Error("a damaged key still publishes")
	}
	w.refuses(w.secret.Text, protocol.CodeKeyInvalid)
	w.refuses(w.public.Text, protocol.CodeKeyInvalid)
}

func TestOpenNeedsItsBuckets(t *testing.T) {
	if _, err := tenant.Open(t.Context(), tenant.Options{}); err == nil {
		t.Error("Open without buckets is nil")
	}
	m := newMemory()
	m.setHooks(nil, func(op, _ string) error { return errors.New("no") })
	if _, err := tenant.Open(t.Context(), tenant.Options{Records: m, Tickets: m, Sessions: m}); err == nil {
		t.Error("Open without records is nil")
	}
}
