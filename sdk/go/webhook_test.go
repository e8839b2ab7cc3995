package fanfare_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// signed is what the independent library signs.
func signed(t testing.TB, secret, id string, at time.Time, body string) http.Header {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	s, err := hook.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)}, "Webhook-Signature": {s}}
}

func whsec(n int, c string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, n)))
}

// claims: 9.32
func TestVerifyWebhookTakesWhatTheStandardsLibrarySigns(t *testing.T) {
	now := time.Now()
	for _, secret := range []string{whsec(24, "a"), whsec(32, "\xff"), whsec(64, "z")} {
		for _, body := range []string{`{"type":"channel.occupied"}`, "", "\x00\n."} {
			h := signed(t, secret, "evt_1", now, body)
			if err := fanfare.VerifyWebhook(secret, h, []byte(body), 0); err != nil {
				t.Errorf("%q: %v", body, err)
			}
		}
	}
}

// claims: 9.32
func TestVerifyWebhookTakesOneOfSeveralSignatures(t *testing.T) {
	now, body := time.Now(), `{"a":1}`
	old, fresh := whsec(32, "o"), whsec(32, "n")
	both := signed(t, fresh, "e", now, body)
	both.Set("Webhook-Signature", "v1a,AAAA "+both.Get("Webhook-Signature")+"  "+signed(t, old, "e", now, body).Get("Webhook-Signature"))
	for _, secret := range []string{old, fresh} {
		if err := fanfare.VerifyWebhook(secret, both, []byte(body), 0); err != nil {
			t.Error(err)
		}
	}
	if err := fanfare.VerifyWebhook(whsec(32, "x"), both, []byte(body), 0); !errors.Is(err, fanfare.ErrWebhookSignature) {
		t.Errorf("a third secret: %v", err)
	}
}

func TestVerifyWebhookRefuses(t *testing.T) {
	now, body, secret := time.Now(), `{"a":1}`, whsec(32, "s")
	good := func() http.Header { return signed(t, secret, "e", now, body) }
	without := func(name string) http.Header { h := good(); h.Del(name); return h }
	with := func(name, value string) http.Header { h := good(); h.Set(name, value); return h }
	sig := good().Get("Webhook-Signature")
	for _, c := range []struct {
		name   string
		secret string
		header http.Header
		body   string
		want   error
	}{
		{"another body", secret, good(), `{"a":2}`, fanfare.ErrWebhookSignature},
		{"a longer body", secret, good(), body + " ", fanfare.ErrWebhookSignature},
		{"another id", secret, with("Webhook-Id", "f"), body, fanfare.ErrWebhookSignature},
		{"another time", secret, with("Webhook-Timestamp", strconv.FormatInt(now.Unix()+1, 10)), body, fanfare.ErrWebhookSignature},
		{"a time that is none", secret, with("Webhook-Timestamp", "soon"), body, fanfare.ErrWebhookSignature},
		{"no id", secret, without("Webhook-Id"), body, fanfare.ErrWebhookSignature},
		{"no time", secret, without("Webhook-Timestamp"), body, fanfare.ErrWebhookSignature},
		{"no signature", secret, without("Webhook-Signature"), body, fanfare.ErrWebhookSignature},
		{"no headers", secret, nil, body, fanfare.ErrWebhookSignature},
		{"another kind of signature", secret, with("Webhook-Signature", "v2"+sig[2:]), body, fanfare.ErrWebhookSignature},
		{"a bare signature", secret, with("Webhook-Signature", sig[3:]), body, fanfare.ErrWebhookSignature},
		{"half a signature", secret, with("Webhook-Signature", sig[:len(sig)-8]), body, fanfare.ErrWebhookSignature},
		{"an empty signature", secret, with("Webhook-Signature", "v1,"), body, fanfare.ErrWebhookSignature},
		{"too many signatures", secret, with("Webhook-Signature", strings.Repeat("v1,AAAA ", 16)+sig), body, fanfare.ErrWebhookSignature},
		{"too old", secret, signed(t, secret, "e", now.Add(-6*time.Minute), body), body, fanfare.ErrWebhookTime},
		{"from the future", secret, signed(t, secret, "e", now.Add(6*time.Minute), body), body, fanfare.ErrWebhookTime},
		{"a short secret", whsec(23, "s"), good(), body, fanfare.ErrWebhookSecret},
		{"a long secret", whsec(65, "s"), good(), body, fanfare.ErrWebhookSecret},
		{"a bare secret", secret[6:], good(), body, fanfare.ErrWebhookSecret},
		{"an empty secret", "", good(), body, fanfare.ErrWebhookSecret},
		{"a secret that is no base64", "whsec_" + strings.Repeat("!", 44), good(), body, fanfare.ErrWebhookSecret},
	} {
		if err := fanfare.VerifyWebhook(c.secret, c.header, []byte(c.body), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for tolerance, ok := range map[time.Duration]bool{time.Minute: false, time.Hour: true} {
		h := signed(t, secret, "e", now.Add(-2*time.Minute), body)
		if err := fanfare.VerifyWebhook(secret, h, []byte(body), tolerance); (err == nil) != ok {
			t.Errorf("tolerance %v: %v", tolerance, err)
		}
	}
}

func FuzzVerifyWebhook(f *testing.F) {
	secret := whsec(32, "s")
	f.Add("evt_1", "1700000000", "v1,AAAA", "{}")
	f.Fuzz(func(t *testing.T, id, at, sig, body string) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {sig}}
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever does not know the secret gets nothing past either of the two.
		if fanfare.VerifyWebhook(secret, h, []byte(body), 0) == nil && hook.Verify([]byte(body), h) != nil {
			t.Errorf("taken: %q", h)
		}
	})
}
