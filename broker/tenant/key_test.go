package tenant_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// claims: 8.1 8.2
func TestKeysHaveTheirForm(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			text, prefix string
			kind         tenant.Kind
			grants       protocol.Grants
		}{
			{w.public.Text, "ffp_", tenant.KindPublishable, protocol.Grants{Subscribe: []string{"public:*"}}},
			{w.secret.Text, "ffs_", tenant.KindSecret, protocol.AllGrants()},
			{w.token, "ffa_", tenant.KindAccount, protocol.Grants{}},
		} {
			if !strings.HasPrefix(c.text, c.prefix) || len(c.text) != 4+48 || strings.Trim(c.text[4:], base62) != "" {
				t.Errorf("%s key has not the form of one", c.kind)
			}
			p := w.is(c.text)
			if p.Kind != c.kind || p.KeyID != c.text[:14] || p.Account != w.account || !p.Expires.IsZero() {
				t.Errorf("%s key is %v", c.kind, p)
			}
			if diff := cmp.Diff(c.grants, p.Grants); diff != "" {
				t.Errorf("%s: grants (-want +got):\n%s", c.kind, diff)
			}
		}
		keys, err := w.Keys(w.account, w.app)
		if err != nil || len(keys) != 2 {
			t.Fatalf("keys are %v, %v", keys, err)
		}
		for _, k := range keys {
			// A publishable key is public: it is shown again. A secret one never is.
			if public := k.Kind == tenant.KindPublishable; public != (k.Text == w.public.Text) || !public && k.Text != "" {
				t.Errorf("the list shows %q for a %s key", k.Text, k.Kind)
			}
		}
	})
}

// claims: 8.1 8.8
func TestEveryTypoIsFoundByTheChecksum(t *testing.T) {
	w := open(t)
	texts := []string{w.public.Text, w.secret.Text, w.token}
	rapid.Check(t, func(rt *rapid.T) {
		text := []byte(rapid.SampledFrom(texts).Draw(rt, "key"))
		at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
		c := rapid.SampledFrom([]byte(base62+"_- .")).Filter(func(c byte) bool { return c != text[at] }).Draw(rt, "char")
		text[at] = c
		_, err := w.Authenticate(t.Context(), string(text), "")
		e := protocol.AsError(err)
		if e == nil || c == '.' && e.Code == protocol.CodeTokenInvalid {
			if e == nil {
				rt.Fatal("a mistyped key is good")
			}
			return // a dot in the prefix makes it look like a token
		}
		if e.Code != protocol.CodeKeyInvalid || !strings.Contains(e.Message, "not looked up") {
			rt.Fatalf("a typo at %d is %v", at, e)
		}
	})
	for n := 1; n < len(w.secret.Text); n++ {
		if e := w.refuses(w.secret.Text[:n], protocol.CodeKeyInvalid); !strings.Contains(e.Message, "not looked up") {
			t.Errorf("a key cut off after %d characters: %s", n, e.Message)
		}
	}
	w.refuses(w.secret.Text+"x", protocol.CodeKeyInvalid)
	w.refuses("", protocol.CodeCredentialMissing)
	w.refuses("password", protocol.CodeKeyInvalid)
}

// claims: 8.8
func TestUnknownRevokedExpiredKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		stranger := open(t)
		for _, text := range []string{stranger.secret.Text, stranger.public.Text, stranger.token} {
			if e := w.refuses(text, protocol.CodeKeyInvalid); strings.Contains(e.Message, "not looked up") || !strings.Contains(e.Message, "does not know") {
				t.Errorf("an unknown key: %s", e.Message)
			}
		}
		p := w.is(w.secret.Text)
		if err := w.RevokeKey(t.Context(), w.account, w.app, w.secret.ID); err != nil {
			t.Fatal(err)
		}
		if e := w.refuses(w.secret.Text, protocol.CodeKeyExpired); !strings.Contains(e.Message, "revoked") {
			t.Errorf("a revoked key: %s", e.Message)
		}
		// Who holds it already is refused, too.
		want(t, p.May(protocol.Publish, "a"), protocol.CodeKeyExpired)
		want(t, p.Check(), protocol.CodeKeyExpired)
		if err := w.RevokeKey(t.Context(), w.account, w.app, w.secret.ID); err != nil {
			t.Errorf("revoking again: %v", err)
		}

		soon := time.Now().Add(time.Hour)
		k := w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "soon over", Expires: &soon})
		time.Sleep(time.Hour - time.Second)
		p = w.is(k.Text)
		time.Sleep(time.Second)
		if e := w.refuses(k.Text, protocol.CodeKeyExpired); !strings.Contains(e.Message, soon.UTC().Format("2006-01-02T15:04")) {
			t.Errorf("an expired key: %s", e.Message)
		}
		want(t, p.May(protocol.Subscribe, "public:a"), protocol.CodeKeyExpired)
		// Expiry can be moved, and taken away.
		if _, err := w.UpdateKey(t.Context(), w.account, w.app, k.ID, tenant.KeyPatch{Expires: &time.Time{}}); err != nil {
			t.Fatal(err)
		}
		w.is(k.Text)
	})
}

func TestRotationWithGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		old, err := w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, tenant.KeyPatch{
			Origins: ptr([]string{"https://app.example.com"}),
			Grants:  &protocol.Grants{Subscribe: []string{"news:*"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		next, err := w.RotateKey(t.Context(), w.account, w.app, old.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if next.ID == old.ID || next.Text == "" || next.Name != old.Name || next.Kind != old.Kind || next.Expires != nil ||
			!cmp.Equal(next.Origins, old.Origins) || !cmp.Equal(next.Grants, old.Grants) {
			t.Errorf("the new key is %+v", next)
		}
		time.Sleep(time.Hour - time.Millisecond)
		w.is(w.public.Text)
		w.is(next.Text)
		time.Sleep(2 * time.Millisecond)
		w.refuses(w.public.Text, protocol.CodeKeyExpired)
		w.is(next.Text)

		// Without grace the old key is over at once, and its tokens with it.
		token, _, err := w.SignToken(w.is(w.secret.Text), "u", protocol.Grants{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		w.is(token)
		secret, err := w.RotateKey(t.Context(), w.account, w.app, w.secret.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.refuses(w.secret.Text, protocol.CodeKeyExpired)
		w.refuses(token, protocol.CodeTokenInvalid)
		w.is(secret.Text)

		for _, grace := range []time.Duration{-1, tenant.MaxGrace + 1} {
			_, err = w.RotateKey(t.Context(), w.account, w.app, secret.ID, grace)
			want(t, err, protocol.CodeBadRequest)
		}
		_, err = w.RotateKey(t.Context(), w.account, w.app, w.secret.ID, 0)
		want(t, err, protocol.CodeBadRequest)

		// A key that was to live for a day is followed by one that does.
		day := time.Now().Add(24 * time.Hour)
		k := w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Name: "daily", Expires: &day})
		time.Sleep(23 * time.Hour)
		k2, err := w.RotateKey(t.Context(), w.account, w.app, k.ID, 12*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.refuses(k.Text, protocol.CodeKeyExpired) // grace never lengthens a life
		time.Sleep(21 * time.Hour)
		w.is(k2.Text)
		time.Sleep(2 * time.Hour)
		w.refuses(k2.Text, protocol.CodeKeyExpired)
	})
}

func TestRotationIsAllOrNothing(t *testing.T) {
	w := open(t)
	w.records.setHooks(func(op, key string) {
		if op == "apply" { // somebody else changes the key just then
			w.records.mu.Lock()
			defer w.records.mu.Unlock()
			k := "key." + w.secret.ID
			w.records.put(k, w.records.entries[k].Value, 0, false)
		}
	}, nil)
	_, err := w.RotateKey(t.Context(), w.account, w.app, w.secret.ID, 0)
	want(t, err, protocol.CodeConflict)
	if keys, _ := w.Keys(w.account, w.app); len(keys) != 2 {
		t.Errorf("there are %d keys after a rotation that failed, want 2", len(keys))
	}
	w.is(w.secret.Text)
}

// claims: 8.7
func TestOrigins(t *testing.T) {
	w := open(t)
	k := w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "page", Origins: []string{
		"https://App.Example.com", "https://*.example.org", "http://localhost:3000", "https://port.example.com:443", "http://*.localhost:8080", "capacitor://localhost",
	}})
	if k.Origins[0] != "https://app.example.com" || k.Origins[3] != "https://port.example.com" {
		t.Errorf("origins are kept as %q", k.Origins)
	}
	for origin, good := range map[string]bool{
		"":                                   true, // no browser
		"https://app.example.com":            true,
		"HTTPS://APP.example.COM":            true,
		"https://app.example.com:443":        true,
		"https://port.example.com":           true,
		"https://a.example.org":              true,
		"https://A.Example.ORG":              true,
		"http://localhost:3000":              true,
		"http://x.localhost:8080":            true,
		"capacitor://localhost":              true,
		"http://app.example.com":             false,
		"https://app.example.com:8443":       false,
		"https://example.com":                false,
		"https://x.app.example.com":          false,
		"https://app.example.com.evil.com":   false,
		"https://example.org":                false,
		"https://a.b.example.org":            false,
		"https://.example.org":               false,
		"https://*.example.org":              false,
		"https://evil.com/.example.org":      false,
		"https://evil.com#.example.org":      false,
		"https://a@.example.org":             false,
		"https://a.example.org:444":          false,
		"https://a.example.org.":             false,
		"http://localhost":                   false,
		"http://localhost:3001":              false,
		"http://x.localhost":                 false,
		"null":                               false,
		"https://":                           false,
		"app.example.com":                    false,
		"https://app.example.com/":           false,
		strings.Repeat("https://x", 100_000): false,
	} {
		_, err := w.Authenticate(t.Context(), k.Text, origin)
		if good && err != nil {
			t.Errorf("%q: %v", origin, err)
		}
		if !good {
			e := want(t, err, protocol.CodeOriginNotAllowed)
			if len(e.Message) > 400 {
				t.Errorf("the message has %d bytes", len(e.Message))
			}
		}
	}
	// A key without the list allows all; "null" only if it is listed.
	for _, origin := range []string{"https://anything.example", "null"} {
		if _, err := w.Authenticate(t.Context(), w.public.Text, origin); err != nil {
			t.Errorf("a key without the list and %q: %v", origin, err)
		}
	}
	sandbox := w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "sandbox", Origins: []string{"null"}})
	if _, err := w.Authenticate(t.Context(), sandbox.Text, "null"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "example.com", "https://", "https://a.com/", "https://a.com/path", "https://*", "https://*.com", "https://a.*.com", "https://*a.com", "https://*.*.com", "*", "https://münchen.de", "https://u@a.com", "https://a.com:x", "https://a.com:", "https://*:80", "https://*.1.", "//a.com", "https://a.com?x", "https://a .com", strings.Repeat("a", 301)} {
		_, err := w.CreateKey(t.Context(), w.account, w.app, tenant.KeyInput{Kind: tenant.KindPublishable, Name: "n", Origins: []string{bad}})
		if err == nil {
			t.Errorf("the origin %q was taken", bad)
			continue
		}
		want(t, err, protocol.CodeBadRequest)
	}
}

// A key's list holds for the tokens that it signs, too.
func TestOriginsOfTokens(t *testing.T) {
	w := open(t)
	k := w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Name: "s", Origins: []string{"https://a.example"}})
	token, _, err := w.SignToken(w.is(k.Text), "u", protocol.Grants{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the cache
		if _, err := w.Authenticate(t.Context(), token, "https://a.example"); err != nil {
			t.Error(err)
		}
		_, err = w.Authenticate(t.Context(), token, "https://b.example")
		want(t, err, protocol.CodeOriginNotAllowed)
	}
}

func TestWrongKeysAreNamed(t *testing.T) {
	w := open(t)
	past, never := time.Now().Add(-time.Second), time.Time{}
	for _, c := range []struct {
		in   tenant.KeyInput
		says string
	}{
		{tenant.KeyInput{Name: "n"}, `"kind"`},
		{tenant.KeyInput{Kind: tenant.KindAccount, Name: "n"}, `"kind"`},
		{tenant.KeyInput{Kind: tenant.KindSecret, Name: "a\x00b"}, `"name"`},
		{tenant.KeyInput{Kind: tenant.KindSecret, Name: "n", Grants: &protocol.Grants{}}, "grants"},
		{tenant.KeyInput{Kind: tenant.KindPublishable, Name: "n", Grants: &protocol.Grants{Publish: []string{""}}}, "publish"},
		{tenant.KeyInput{Kind: tenant.KindSecret, Name: "n", Expires: &past}, `"expires"`},
		{tenant.KeyInput{Kind: tenant.KindSecret, Name: "n", Expires: &never}, `"expires"`},
		{tenant.KeyInput{Kind: tenant.KindSecret, Name: "n", Origins: make([]string, 101)}, "101"},
	} {
		_, err := w.CreateKey(t.Context(), w.account, w.app, c.in)
		if err == nil {
			t.Errorf("%+v was taken", c.in)
			continue
		}
		if e := want(t, err, protocol.CodeBadRequest); !strings.Contains(e.Message, c.says) {
			t.Errorf("%v: the message %q does not say %q", c.in, e.Message, c.says)
		}
	}
	_, err := w.UpdateKey(t.Context(), w.account, w.app, w.secret.ID, tenant.KeyPatch{Grants: &protocol.Grants{}})
	want(t, err, protocol.CodeBadRequest)
	_, err = w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, tenant.KeyPatch{Name: ptr("")})
	want(t, err, protocol.CodeBadRequest)
}

func TestKeysOfAnAppAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		for range tenant.MaxKeys - 2 { // it has two
			w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "n"})
		}
		_, err := w.CreateKey(t.Context(), w.account, w.app, tenant.KeyInput{Kind: tenant.KindSecret, Name: "one too many"})
		if e := want(t, err, protocol.CodeBadRequest); !strings.Contains(e.Message, "100") {
			t.Errorf("the message does not say the limit: %s", e.Message)
		}
		// A leaked key can be rotated all the same, again and again, and the
		// first ones that ended are forgotten.
		first, k := w.secret.Text, w.secret
		for range 150 {
			time.Sleep(time.Second)
			if k, err = w.RotateKey(t.Context(), w.account, w.app, k.ID, 0); err != nil {
				t.Fatal(err)
			}
		}
		w.is(k.Text)
		keys, err := w.Keys(w.account, w.app)
		if err != nil || len(keys) > 2*tenant.MaxKeys+1 {
			t.Errorf("%d keys are remembered (%v)", len(keys), err)
		}
		w.refuses(first, protocol.CodeKeyInvalid)
	})
}

func TestDeletedAppEndsItsKeysAndConnections(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		p := w.is(w.secret.Text)
		token, _, err := w.SignToken(p, "u", protocol.AllGrants(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		user := w.is(token)
		if err := w.DeleteApp(t.Context(), w.account, w.app); err != nil {
			t.Fatal(err)
		}
		w.refuses(w.secret.Text, protocol.CodeKeyInvalid)
		w.refuses(w.public.Text, protocol.CodeKeyInvalid)
		for _, p := range []*tenant.Principal{p, user} {
			want(t, p.Check(), protocol.CodeAppNotFound)
			want(t, p.May(protocol.Publish, "a"), protocol.CodeAppNotFound)
			want(t, p.AllowPublish(1), protocol.CodeAppNotFound)
			_, err := p.Connect()
			want(t, err, protocol.CodeAppNotFound)
			if p.MaxData() != 0 {
				t.Error("a deleted app takes data")
			}
		}
		if _, err := w.Authenticate(t.Context(), token, ""); err == nil {
			t.Error("a deleted app's token is good")
		}
	})
}

func TestConcurrentKeyPatchesAllHold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		grants := protocol.Grants{Publish: []string{"a"}}
		origins := []string{"https://a.example"}
		var wg sync.WaitGroup
		for _, p := range []tenant.KeyPatch{{Name: ptr("renamed")}, {Grants: &grants}, {Origins: &origins}} {
			wg.Go(func() {
				if _, err := w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, p); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		k, err := w.Key(w.account, w.app, w.public.ID)
		if err != nil {
			t.Fatal(err)
		}
		if k.Name != "renamed" || !cmp.Equal(k.Grants, grants) || !cmp.Equal(k.Origins, origins) {
			t.Errorf("a patch was lost: %+v", k)
		}
	})
}
