package tenant_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Nothing that is secret is ever in a log, in an error or in the store.
func TestSecretsStaySecret(t *testing.T) {
	w := open(t)
	secret := w.is(w.secret.Text)
	rotated, err := w.RotateKey(t.Context(), w.account, w.app, w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Name: "old"}).ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := w.SignToken(secret, "ann", protocol.AllGrants(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ticket, _, err := w.NewTicket(t.Context(), w.is(token))
	if err != nil {
		t.Fatal(err)
	}
	code, _, err := w.NewLink(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	code2, _, err := w.NewLink(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := w.RedeemLink(t.Context(), code2)
	if err != nil {
		t.Fatal(err)
	}
	accountToken, err := w.CreateAccountToken(t.Context(), w.account, "more")
	if err != nil {
		t.Fatal(err)
	}

	log := slog.New(slog.NewTextHandler(w.log, nil))
	log.Info("x", "key", w.secret, "principal", secret, "pointer", &rotated)
	said := w.log.String() + fmt.Sprintf("%v %+v %#v %s %v %+v", w.secret, rotated, rotated, accountToken, secret, w.is(token))
	for _, credential := range []string{w.secret.Text[:40], w.secret.Text + "x", token + "x", token[:len(token)-1], "ffs_" + strings.Repeat("x", 48)} {
		_, err := w.Authenticate(t.Context(), credential, "")
		if err == nil {
			t.Fatal("a broken credential is good")
		}
		said += err.Error()
	}
	for name, text := range map[string]string{
		"secret key": w.secret.Text, "rotated key": rotated.Text, "account token": w.token, "second account token": accountToken.Text,
		"token": token, "ticket": ticket, "link": code, "used link": code2, "session": session,
	} {
		middle := text[14 : len(text)-6] // what is not an id and not a checksum
		if strings.Contains(said, middle) {
			t.Errorf("the %s was told", name)
		}
		for place, m := range map[string]*memory{"records": w.records, "tickets and sessions": w.vault} {
			if bytes.Contains(m.bytes(), []byte(middle)) {
				t.Errorf("the %s is in the %s in clear", name, place)
			}
		}
	}
	if !bytes.Contains(w.records.bytes(), []byte(w.public.Text)) {
		t.Error("the publishable key, which is public, is not there: does this test look at the right bytes?")
	}
	if !strings.Contains(said, w.secret.ID) {
		t.Error("the key's id was never told: does this test look at the right text?")
	}
}

// A sealed secret opens in no record but its own.
func TestSealIsBoundToItsKey(t *testing.T) {
	w := open(t)
	second := w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Name: "second"})
	token := func() string { // always another: what was verified once is remembered
		return forge(t, jwt.SigningMethodHS256, []byte(second.Text), second.ID, jwt.MapClaims{"exp": in(time.Hour), "jti": rand.Text()})
	}
	w.is(token())
	sealed := func(id string) string {
		_, rest, _ := strings.Cut(string(w.records.entries["key."+id].Value), `"sealed":"`)
		text, _, _ := strings.Cut(rest, `"`)
		return text
	}
	w.records.mu.Lock()
	mine, other := sealed(second.ID), sealed(w.secret.ID)
	record := w.records.entries["key."+second.ID].Value
	w.records.put("key."+second.ID, bytes.Replace(record, []byte(mine), []byte(other), 1), 0, false)
	w.records.mu.Unlock()
	if mine == "" || other == "" || mine == other {
		t.Fatal("the records have no sealed text")
	}
	eventually(t, func() bool {
		_, err := w.Authenticate(t.Context(), token(), "")
		return err != nil
	})
	w.refuses(token(), protocol.CodeInternal)
	if log := w.log.String(); !strings.Contains(log, "cannot be unsealed") {
		t.Errorf("the operator is not told: %s", log)
	}
}

// FuzzCredential: whatever is sent, the answer is a principal or one of the
// codes of authentication, and never longer than a log line may be.
func FuzzCredential(f *testing.F) {
	w := open(f)
	token, _, err := w.SignToken(w.is(w.secret.Text), "u", protocol.Grants{}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", w.secret.Text, w.public.Text, w.token, token, "ffp_", "ffs_é", "a.b.c", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s, "https://a.example")
	}
	good := map[string]bool{w.secret.Text: true, w.public.Text: true, w.token: true, token: true}
	codes := map[protocol.Code]bool{
		protocol.CodeCredentialMissing: true, protocol.CodeKeyInvalid: true, protocol.CodeTokenInvalid: true, protocol.CodeTokenExpired: true,
	}
	f.Fuzz(func(t *testing.T, credential, origin string) {
		p, err := w.Authenticate(t.Context(), credential, origin)
		if (err == nil) != good[credential] || (p == nil) != (err != nil) {
			t.Fatalf("%q: %v, %v", credential, p, err)
		}
		if e := protocol.AsError(err); e != nil && (!codes[e.Code] || len(e.Message) > 1000) {
			t.Fatalf("%q: %v", credential, e)
		}
	})
}

// FuzzOrigin: an origin that is taken is found again, and a stranger's never.
func FuzzOrigin(f *testing.F) {
	w := open(f)
	for _, s := range []string{"https://a.example", "https://*.example.com", "null", "http://[::1]:80", "HTTPS://A:443", "x://%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		k, err := w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, tenant.KeyPatch{Origins: &[]string{origin}})
		if err != nil {
			want(t, err, protocol.CodeBadRequest)
			return
		}
		_, err = w.Authenticate(t.Context(), w.public.Text, origin)
		if good := !strings.Contains(origin, "*"); good != (err == nil) {
			t.Fatalf("%q, kept as %q: %v", origin, k.Origins, err)
		}
		_, err = w.Authenticate(t.Context(), w.public.Text, "https://stranger.invalid:9999")
		if origin != "https://stranger.invalid:9999" {
			want(t, err, protocol.CodeOriginNotAllowed)
		}
		again, err := w.UpdateKey(t.Context(), w.account, w.app, w.public.ID, tenant.KeyPatch{Origins: &k.Origins})
		if err != nil || again.Origins[0] != k.Origins[0] {
			t.Fatalf("%q is kept as %q and then as %q (%v)", origin, k.Origins, again.Origins, err)
		}
	})
}
