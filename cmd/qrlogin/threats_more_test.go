package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestT10Flood(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

func TestT18ManyScans(t *testing.T) {
	t.Parallel()
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
