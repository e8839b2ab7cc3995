package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// delivery is a webhook as it came.
type delivery struct {
	header http.Header
	body   []byte
}

// startWithHosts runs the program for backends that use its API.
func startWithHosts(t *testing.T, hosts []map[string]any) *program {
	t.Helper()
	text, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hosts.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "--hosts", file, "--digits", "never", "--public-url", "https://id.example.test")
	p.host = "id.example.test"
	return p
}

// claims are those of a good phone token, changed.
func claims(change func(map[string]any)) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": "shop", "aud": "https://id.example.test", "sub": "ada", "name": "Ada", "sid": "phone-1", "jti": "jti-0123456789-" + strconv.FormatInt(now.UnixNano(), 36),
		"iat": now.Unix(), "exp": now.Unix() + 30,
	}
	change(c)
	return c
}

// phoneToken signs claims, whatever the header says of the algorithm.
func phoneToken(alg string, k ed25519.PrivateKey, c map[string]any) string {
	enc := func(v any) string { b, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(b) }
	text := enc(map[string]string{"alg": alg, "typ": "JWT"}) + "." + enc(c)
	sig := ed25519.Sign(k, []byte(text))
	if alg == "none" {
		sig = nil
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestT17ForgedIdentities(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan delivery, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- delivery{r.Header, body}
	}))
	defer receiver.Close()
	key, secret := strings.Repeat("k", 32), "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	p := startWithHosts(t, []map[string]any{
		{"name": "shop", "key": key, "phone_key": []byte(public), "webhook_url": receiver.URL, "webhook_secret": secret}, {"name": "other", "key": strings.Repeat("o", 32)},
	})
	backend, other := p.agent(), p.agent()
	backend.header.Set("Authorization", "Bearer "+key)
	other.header.Set("Authorization", "Bearer "+strings.Repeat("o", 32))
	for _, bad := range []string{"", "Bearer ", "Bearer " + strings.Repeat("x", 32), "Basic " + key} {
		a := p.agent()
		a.header.Set("Authorization", bad)
		if g := a.send("POST", "/qr/host/attempts", map[string]string{"ip": "192.0.2.1"}); g.status != 401 {
			t.Errorf("with %q: %d, want 401", bad, g.status)
		}
	}
	begin := func() got {
		return backend.want(201, "POST", "/qr/host/attempts", map[string]string{"ip": "192.0.2.1", "user_agent": "Firefox/140"})
	}
	a := begin()
	id, ticket := a.str("attempt_id"), lastOf(a.str("qr_url"))
	_, wrongKey, _ := ed25519.GenerateKey(nil)
	keep := func(map[string]any) {}
	phone := p.agent()
	for what, token := range map[string]string{
		"alg none": phoneToken("none", private, claims(keep)), "alg HS256": phoneToken("HS256", private, claims(keep)), "another key": phoneToken("EdDSA", wrongKey, claims(keep)),
		"wrong aud":  phoneToken("EdDSA", private, claims(func(c map[string]any) { c["aud"] = "https://evil.test" })),
		"wrong iss":  phoneToken("EdDSA", private, claims(func(c map[string]any) { c["iss"] = "other" })),
		"expired":    phoneToken("EdDSA", private, claims(func(c map[string]any) { c["iat"], c["exp"] = time.Now().Unix()-90, time.Now().Unix()-60 })),
		"too long":   phoneToken("EdDSA", private, claims(func(c map[string]any) { c["exp"] = time.Now().Unix() + 3600 })),
		"from later": phoneToken("EdDSA", private, claims(func(c map[string]any) { c["iat"], c["exp"] = time.Now().Unix()+60, time.Now().Unix()+90 })),
		"no jti":     phoneToken("EdDSA", private, claims(func(c map[string]any) { delete(c, "jti") })), "no subject": phoneToken("EdDSA", private, claims(func(c map[string]any) { delete(c, "sub") })), "rubbish": "a.b.c",
	} {
		phone.header.Set("Authorization", "Bearer "+token)
		if g := phone.scan(ticket); g.status != 401 {
			t.Errorf("%s: %d, want 401", what, g.status)
		}
	}
	good := phoneToken("EdDSA", private, claims(keep))
	phone.header.Set("Authorization", "Bearer "+good)
	if g := phone.scan(p.agent().page().ticket); g.status != 404 {
		t.Errorf("the host's user at the site's own page: %d, want 404", g.status)
	}
	if g := phone.scan(ticket); g.status != 401 {
		t.Errorf("the token once more: %d, want 401", g.status)
	}
	phone.header.Set("Authorization", "Bearer "+phoneToken("EdDSA", private, claims(keep)))
	asked := phone.scan(ticket)
	if asked.status != 200 {
		t.Fatalf("a good token: %d %s", asked.status, asked.text)
	}
	// Another host has no part in it.
	for _, g := range []got{
		other.send("GET", "/qr/host/attempts/"+id, nil), other.send("POST", "/qr/host/attempts/"+id+"/exchange", map[string]string{"attempt_secret": a.str("attempt_secret")}),
		other.send("POST", "/qr/host/attempts/"+id+"/decision", map[string]string{"subject": "ada", "session": "phone-1", "decision": "approve", "nonce": asked.str("decision_nonce")}),
	} {
		if g.status != 404 {
			t.Errorf("another host: %d, want 404", g.status)
		}
	}
	phone.header.Set("Authorization", "Bearer "+phoneToken("EdDSA", private, claims(keep)))
	if g := phone.decide(id, "approve", asked.str("decision_nonce")); g.status != 200 || g.str("state") != "approved" {
		t.Fatalf("approve: %d %s", g.status, g.text)
	}
	if g := backend.send("POST", "/qr/host/attempts/"+id+"/exchange", map[string]string{"attempt_secret": "guessed"}); g.status != 403 {
		t.Errorf("without the attempt's secret: %d, want 403", g.status)
	}
	in := backend.want(200, "POST", "/qr/host/attempts/"+id+"/exchange", map[string]string{"attempt_secret": a.str("attempt_secret")})
	if in.str("subject") != "ada" || in.str("name") != "Ada" {
		t.Errorf("the host is told %s", in.text)
	}
	if g := backend.send("POST", "/qr/host/attempts/"+id+"/exchange", map[string]string{"attempt_secret": a.str("attempt_secret")}); g.status != 409 {
		t.Errorf("a second exchange: %d, want 409", g.status)
	}
	webhooksAreOurs(t, secret, told, []string{ticket, a.str("attempt_secret"), asked.str("decision_nonce")})
}

// webhooksAreOurs reads three webhooks: they verify, an altered or redated one
// does not, and none holds a secret.
func webhooksAreOurs(t *testing.T, secret string, told <-chan delivery, never []string) {
	t.Helper()
	var kinds []string
	for len(kinds) < 3 {
		select {
		case d := <-told:
			if err := fanfare.VerifyWebhook(secret, d.header, d.body, 0); err != nil {
				t.Errorf("a webhook of ours: %v", err)
			}
			var event struct{ Type string }
			if err := json.Unmarshal(d.body, &event); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, event.Type)
			for _, s := range never {
				if strings.Contains(string(d.body), s) {
					t.Errorf("a webhook holds a secret: %s", d.body)
				}
			}
			if err := fanfare.VerifyWebhook(secret, d.header, append(d.body, ' '), 0); !errors.Is(err, fanfare.ErrWebhookSignature) {
				t.Errorf("an altered webhook: %v", err)
			}
			old := d.header.Clone()
			old.Set("webhook-timestamp", strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10))
			if err := fanfare.VerifyWebhook(secret, old, d.body, 0); !errors.Is(err, fanfare.ErrWebhookSignature) {
				t.Errorf("another time: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("webhooks: only %v", kinds)
		}
	}
	if want := "attempt.scanned attempt.approved attempt.consumed"; strings.Join(kinds, " ") != want {
		t.Errorf("webhooks: %v, want %s", kinds, want)
	}
}
