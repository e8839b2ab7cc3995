package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// memory is the resident set of the program in MiB.
func (p *program) memory() int {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return n / 1024
}

func TestT10Flood(t *testing.T) {
	p := start(t, nil, "--digits", "never")
	before := p.memory()
	const all = 4000
	var mu sync.Mutex
	var wg sync.WaitGroup
	tally := map[int]int{}
	for range 4 {
		wg.Go(func() {
			flood := p.agent()
			flood.ip = "198.51.100.1"
			for range all / 4 {
				status := flood.send("POST", "/qr/attempts", map[string]string{"code_challenge": pkceOf(strings.Repeat("v", 43))}).status
				flood.cookies = map[string]string{}
				mu.Lock()
				tally[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// Twenty at once and ten a minute.
	if tally[429] < all*98/100 || tally[201] < 20 || tally[201]+tally[429] != all {
		t.Errorf("creates from one address: %v", tally)
	}
	if grown := p.memory() - before; grown > 64 {
		t.Errorf("the program grew by %d MiB", grown)
	}
	phone, b := p.phoneOf("ada"), p.agent().page()
	phone.decide(b.id, "approve", phone.scan(b.ticket).str("decision_nonce"))
	if g := b.exchange(); g.status != 200 {
		t.Errorf("somebody else signs in: %d %s", g.status, g.text)
	}
}

func TestT11Races(t *testing.T) {
	p := start(t, nil, "--digits", "never")
	phone, b := p.phoneOf("ada"), p.agent().page()
	race := func(fn func(i int) int) map[int]int {
		var mu sync.Mutex
		var wg sync.WaitGroup
		out, ready := map[int]int{}, make(chan struct{})
		for i := range 100 {
			wg.Go(func() {
				<-ready
				status := fn(i)
				mu.Lock()
				out[status]++
				mu.Unlock()
			})
		}
		close(ready)
		wg.Wait()
		return out
	}
	var nonce string
	var mu sync.Mutex
	got := race(func(i int) int {
		one := phone.twin()
		one.ip = "198.51.100." + strconv.Itoa(i)
		g := one.scan(b.ticket)
		if g.status == 200 {
			mu.Lock()
			nonce = g.str("decision_nonce")
			mu.Unlock()
		}
		return g.status
	})
	if got[200] != 1 || got[409] != 99 {
		t.Errorf("a hundred scans: %v", got)
	}
	phone.decide(b.id, "approve", nonce)
	got = race(func(i int) int {
		twin := &page{agent: b.twin(), id: b.id, verifier: b.verifier}
		twin.ip = "203.0.113." + strconv.Itoa(i)
		return twin.exchange().status
	})
	if got[200] != 1 || got[409] != 99 {
		t.Errorf("a hundred exchanges: %v", got)
	}
}

func TestT12Links(t *testing.T) {
	p := start(t, nil, "--digits", "never")
	phone, b := p.phoneOf("ada").near(p.agent()), p.agent().page()
	phone.header.Set("Sec-Fetch-Site", "none")
	if g := phone.send("GET", "/q/"+b.ticket, nil); strings.Contains(g.text, "data-linked") || g.status != 200 {
		t.Errorf("by camera: %d, taken for a link", g.status)
	}
	phone.header.Set("Sec-Fetch-Site", "cross-site")
	if g := phone.send("GET", "/q/"+b.ticket, nil); !strings.Contains(g.text, "data-linked") {
		t.Error("a link from another site is not told apart")
	}
	phone.header.Del("Sec-Fetch-Site")
	phone.header.Set("Referer", "https://evil.test/")
	if g := phone.send("GET", "/q/"+b.ticket, nil); !strings.Contains(g.text, "data-linked") {
		t.Error("nor by its referrer, in older browsers")
	}
	phone.header.Del("Referer")
	asked := phone.want(200, "POST", "/qr/scan", map[string]any{"ticket": b.ticket, "linked": true})
	if g := phone.decide(b.id, "approve", asked.str("decision_nonce")); g.str("state") != "challenge" {
		t.Errorf("after a link the digits have to be typed, whatever the policy: %s", g.text)
	}
}

func TestT13OpenRedirects(t *testing.T) {
	p := start(t, nil)
	for _, to := range []string{
		"//evil.test", `/\evil.test`, `\/evil.test`, `\\evil.test`, "https:evil.test", "https://evil.test", "/%2f%2fevil.test", "%2f%2fevil.test", "/%5cevil.test", "//a@evil.test", "javascript:alert(1)", "/\tevil.test", "evil.test", "data:text/html,x", "///evil.test", "https://localhost@evil.test/",
	} {
		a := p.agent()
		if g := a.send("POST", "/signin", url.Values{"user": {"ada"}, "password": {testPassword}, "return_to": {to}}); g.status != 400 || g.header.Get("Location") != "" || a.cookies["session"] != "" {
			t.Errorf("%q: %d to %q", to, g.status, g.header.Get("Location"))
		}
	}
}

func TestT14Tenants(t *testing.T) {
	one, two := start(t, nil), start(t, nil)
	b, phone := one.agent().page(), two.phoneOf("ada")
	foreign, unknown := phone.scan(b.ticket), phone.scan(strings.Repeat("A", 26))
	if foreign.status != 404 || foreign.text != unknown.text {
		t.Errorf("a ticket of another site: %d %s", foreign.status, foreign.text)
	}
	asked := one.phoneOf("ada").scan(b.ticket)
	if g := phone.decide(b.id, "approve", asked.str("decision_nonce")); g.status != 404 {
		t.Errorf("a phone of another site decides: %d, want 404", g.status)
	}
	if got := dial(t, two.url, b.begun.str("channel_token")).ask(`{"type":"subscribe","channel":"` + b.begun.str("channel") + `"}`); got == "subscribed" {
		t.Errorf("a token of another site: %s", got)
	}
	thief := &page{agent: &agent{two, "198.18.9.9", b.cookies, http.Header{}}, id: b.id, verifier: b.verifier}
	if g := thief.exchange(); g.status != 403 {
		t.Errorf("exchange at another site: %d, want 403", g.status)
	}
	if b.state() != "scanned" {
		t.Errorf("the attempt is %s", b.state())
	}
}

func TestT15Privacy(t *testing.T) {
	p := start(t, nil)
	phone, b := p.phoneOf("ada"), p.agent().page()
	s := dial(t, p.url, b.begun.str("channel_token"))
	s.ask(`{"type":"subscribe","channel":"` + b.begun.str("channel") + `"}`)
	phone.scan(b.ticket)
	s.find(func(f map[string]any) bool { return f["event"] == "scanned" })
	snapshot := b.want(200, "GET", b.path(""), nil)
	for what, text := range map[string]string{"the push": s.all(), "the snapshot": snapshot.text} {
		if !strings.Contains(text, "A•••") || strings.Contains(text, "Example") || strings.Contains(text, `"ada"`) || strings.Contains(text, phone.ip) {
			t.Errorf("%s tells more or less than the first letter: %s", what, text)
		}
	}
	// One answer for all that is not there, or is somebody else's.
	stranger := p.phoneOf("eve")
	old := p.agent().page()
	old.want(204, "DELETE", old.path(""), nil)
	texts := map[string]bool{}
	for _, path := range []string{b.path(""), b.path("/phone"), old.path(""), "/qr/attempts/" + strings.Repeat("A", 26), "/qr/attempts/x"} {
		texts[stranger.want(404, "GET", path, nil).text] = true
	}
	texts[stranger.scan(strings.Repeat("A", 26)).text] = true
	if len(texts) != 1 {
		t.Errorf("%d different answers: %v", len(texts), texts)
	}
}

func TestT17ForgedIdentities(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	type delivery struct {
		header http.Header
		body   []byte
	}
	told := make(chan delivery, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- delivery{r.Header, body}
	}))
	defer receiver.Close()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	key := strings.Repeat("k", 32)
	hosts, err := json.Marshal([]map[string]any{
		{"name": "shop", "key": key, "phone_key": []byte(public), "webhook_url": receiver.URL, "webhook_secret": secret}, {"name": "other", "key": strings.Repeat("o", 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hosts.json")
	if err := os.WriteFile(file, hosts, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "--hosts", file, "--digits", "never", "--public-url", "https://id.example.test")
	p.host = "id.example.test"
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
	claims := func(change func(map[string]any)) map[string]any {
		now := time.Now().Unix()
		c := map[string]any{"iss": "shop", "aud": "https://id.example.test", "sub": "ada", "name": "Ada", "sid": "phone-1", "jti": "jti-0123456789-" + strconv.FormatInt(time.Now().UnixNano(), 36), "iat": now, "exp": now + 30}
		change(c)
		return c
	}
	sign := func(alg string, k ed25519.PrivateKey, c map[string]any) string {
		enc := func(v any) string { b, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(b) }
		text := enc(map[string]string{"alg": alg, "typ": "JWT"}) + "." + enc(c)
		sig := ed25519.Sign(k, []byte(text))
		if alg == "none" {
			sig = nil
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	_, wrongKey, _ := ed25519.GenerateKey(nil)
	keep := func(map[string]any) {}
	phone := p.agent()
	for what, token := range map[string]string{
		"alg none": sign("none", private, claims(keep)), "alg HS256": sign("HS256", private, claims(keep)), "another key": sign("EdDSA", wrongKey, claims(keep)),
		"wrong aud":  sign("EdDSA", private, claims(func(c map[string]any) { c["aud"] = "https://evil.test" })),
		"wrong iss":  sign("EdDSA", private, claims(func(c map[string]any) { c["iss"] = "other" })),
		"expired":    sign("EdDSA", private, claims(func(c map[string]any) { c["iat"], c["exp"] = time.Now().Unix()-90, time.Now().Unix()-60 })),
		"too long":   sign("EdDSA", private, claims(func(c map[string]any) { c["exp"] = time.Now().Unix() + 3600 })),
		"from later": sign("EdDSA", private, claims(func(c map[string]any) { c["iat"], c["exp"] = time.Now().Unix()+60, time.Now().Unix()+90 })),
		"no jti":     sign("EdDSA", private, claims(func(c map[string]any) { delete(c, "jti") })), "no subject": sign("EdDSA", private, claims(func(c map[string]any) { delete(c, "sub") })), "rubbish": "a.b.c",
	} {
		phone.header.Set("Authorization", "Bearer "+token)
		if g := phone.scan(ticket); g.status != 401 {
			t.Errorf("%s: %d, want 401", what, g.status)
		}
	}
	good := sign("EdDSA", private, claims(keep))
	phone.header.Set("Authorization", "Bearer "+good)
	if g := phone.scan(p.agent().page().ticket); g.status != 404 {
		t.Errorf("the host's user at the site's own page: %d, want 404", g.status)
	}
	if g := phone.scan(ticket); g.status != 401 {
		t.Errorf("the token once more: %d, want 401", g.status)
	}
	phone.header.Set("Authorization", "Bearer "+sign("EdDSA", private, claims(keep)))
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
	phone.header.Set("Authorization", "Bearer "+sign("EdDSA", private, claims(keep)))
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
	// Webhooks: ours are good; altered, old or foreign ones are not.
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
			for _, s := range []string{ticket, a.str("attempt_secret"), asked.str("decision_nonce")} {
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

func TestT18ManyScans(t *testing.T) {
	p := start(t, nil)
	b, ada := p.agent().page(), p.phoneOf("ada")
	s := dial(t, p.url, b.begun.str("channel_token"))
	s.ask(`{"type":"subscribe","channel":"` + b.begun.str("channel") + `"}`)
	nonce := ada.scan(b.ticket).str("decision_nonce")
	for _, who := range []string{"bob", "eve"} {
		if g := p.phoneOf(who).scan(b.ticket); g.status != 409 {
			t.Errorf("%s scans too: %d, want 409", who, g.status)
		}
	}
	s.find(func(f map[string]any) bool { return f["event"] == "suspicious_scan" })
	s.find(func(f map[string]any) bool { return f["event"] == "rejected" })
	if g := b.want(200, "GET", b.path(""), nil); g.str("state") != "rejected" || g.str("reason") != "multi_scan" {
		t.Errorf("after three accounts: %s", g.text)
	}
	if g := ada.decide(b.id, "approve", nonce); g.status != 409 {
		t.Errorf("the first one's yes: %d, want 409", g.status)
	}
	scans := 0
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, b.id) && (strings.Contains(line, `"qrlogin: scanned"`) || strings.Contains(line, `"qrlogin: second scan"`)) {
			scans++
		}
	}
	if scans != 3 {
		t.Errorf("%d scans in the audit log, want 3:\n%s", scans, p.log)
	}
}
