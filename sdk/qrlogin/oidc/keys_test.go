package oidc_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/broker/tenant"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// kids are the ids of the keys that are published.
func (g *rig) kids() (out []string) {
	keys, _ := g.send("", "GET", "/oidc/jwks", nil).body["keys"].([]any)
	for _, one := range keys {
		k, _ := one.(map[string]any)
		kid, _ := k["kid"].(string)
		out = append(out, kid)
	}
	return out
}

func (g *rig) signsWith() string {
	token, _, err := jwt.NewParser().ParseUnverified(g.tokens().str("id_token"), jwt.MapClaims{})
	if err != nil {
		g.t.Fatal(err)
	}
	kid, _ := token.Header["kid"].(string)
	return kid
}

// TestKeysAreKeptAndRenewed: a restart changes nothing, and a new key is known
// before it signs, an old one after.
func TestKeysAreKeptAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		open := func() *rig {
			keys, err := oidc.OpenKeys(path)
			if err != nil {
				t.Fatal(err)
			}
			return newRigWith(t, keys, oidc.NewMemory())
		}
		g := open()
		before, first := g.kids(), g.signsWith()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
		g = open()
		if !slices.Equal(g.kids(), before) || g.signsWith() != first || len(before) != 2 {
			t.Errorf("after a restart: %v signs by %s; before %v by %s", g.kids(), g.signsWith(), before, first)
		}
		time.Sleep(89*24*time.Hour + time.Minute)
		g = open()
		if all := g.kids(); len(all) != 4 || g.signsWith() != first {
			t.Errorf("a day before: %v signs by %s", all, g.signsWith())
		}
		time.Sleep(24 * time.Hour)
		second := g.signsWith()
		if all := g.kids(); len(all) != 4 || second == first || !slices.Contains(all, second) || !slices.Contains(all, first) {
			t.Errorf("on the day: %v signs by %s, before %s", all, second, first)
		}
		time.Sleep(100 * 24 * time.Hour)
		if all := g.kids(); slices.Contains(all, first) || !slices.Contains(all, second) {
			t.Errorf("long after: %v", all)
		}
	})
}

func TestDamagedKeys(t *testing.T) {
	for _, text := range []string{"", "{", "{}", `{"secret":"AAAA"}`, `{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[{"kid":"a","alg":"ES256","pkcs8":"AAAA"}]}`} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := oidc.OpenKeys(path); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestStores holds both stores to one contract, and the provider to the one in
// Fanfare, across a restart of its own.
func TestStores(t *testing.T) {
	node := brokertest.Start(t, func(c *broker.Config) {
		c.Rules = []tenant.Rule{{Namespace: oidc.Namespace, History: &tenant.History{Messages: 2, Age: oidc.RuleAge}}}
	})
	ff, err := fanfare.New(node.URL, node.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := oidc.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	records, err := oidc.NewRecords(ff, keys.Secret())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]oidc.Store{"memory": oidc.NewMemory(), "records": records} {
		for _, kind := range []string{"brief:x-1", "long:x-1"} {
			t.Run(name+" "+kind, func(t *testing.T) { storeContract(t, s, kind) })
		}
	}
	first := newRigWith(t, keys, records).tokens()
	again, err := oidc.NewRecords(ff, keys.Secret())
	if err != nil {
		t.Fatal(err)
	}
	g := newRigWith(t, keys, again)
	second := g.refresh(first.str("refresh_token"))
	if second.Code != 200 || g.userinfo(first.str("access_token")).Code != 200 {
		t.Fatalf("after a restart: %d %s", second.Code, second.Body)
	}
	g.refused("a used one", g.refresh(first.str("refresh_token")), 400, "invalid_grant")
	g.refused("its family", g.refresh(second.str("refresh_token")), 400, "invalid_grant")
	code := g.code()
	if g.token(redeeming(code)).Code != 200 {
		t.Error("a code")
	}
	g.refused("a code twice", g.token(redeeming(code)), 400, "invalid_grant")
	// Whoever reads the channels finds nothing in them.
	for m, err := range ff.History(t.Context(), "oidc:grant-"+first.str("refresh_token")[:27], fanfare.HistoryOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		if err := json.Unmarshal(m.Data, &sealed); err != nil || strings.Contains(string(sealed), "ada") {
			t.Errorf("it is not sealed: %q, %v", sealed, err)
		}
	}
}

func storeContract(t *testing.T, s oidc.Store, key string) {
	ctx := t.Context()
	if _, _, err := s.Get(ctx, key); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
	if err := s.Put(ctx, key, []byte(`"one"`), "1:1", time.Minute); err == nil {
		t.Error("a change of what is not there")
	}
	if err := s.Put(ctx, key, []byte(`"one"`), "", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, key, []byte(`"two"`), "", time.Minute); !errors.Is(err, qrlogin.ErrConflict) {
		t.Errorf("a second one: %v", err)
	}
	v, rev, err := s.Get(ctx, key)
	if err != nil || string(v) != `"one"` || rev == "" {
		t.Fatalf("%q %q %v", v, rev, err)
	}
	if err := s.Put(ctx, key, []byte(`"two"`), rev, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, key, []byte(`"three"`), rev, time.Minute); !errors.Is(err, qrlogin.ErrConflict) {
		t.Errorf("by an old revision: %v", err)
	}
	if v, _, err := s.Get(ctx, key); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("what is over: %q %v", v, err)
	}
	if err := s.Put(ctx, key, []byte(`"four"`), "", time.Minute); err != nil {
		t.Errorf("in place of what is over: %v", err)
	}
	if v, _, err := s.Get(ctx, key); err != nil || string(v) != `"four"` {
		t.Errorf("%q %v", v, err)
	}
}
