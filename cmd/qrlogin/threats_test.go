package main

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The threats of the threat model (docs/qrlogin-threats.md), each against the
// real program. What needs a browser is in threats_browser_test.go, what needs
// a clock that one can turn in sdk/qrlogin.

// relay is an attacker's page that a victim's phone far away has approved.
func relay(p *program) (attacker *page, victim *agent, digits, nonce string) {
	p.t.Helper()
	attacker, victim = p.agent().page(), p.phoneOf("ada")
	victim.ip = "203.0.113.7" // not the attacker's network
	asked := victim.scan(attacker.ticket)
	for key, want := range map[string]any{"risk": "high", "new_browser": true, "network_mismatch": true, "same_network": false} {
		if asked.body[key] != want {
			p.t.Errorf("the victim's phone is told %s = %v, want %v: %s", key, asked.body[key], want, asked.text)
		}
	}
	nonce = asked.str("decision_nonce")
	said := victim.decide(attacker.id, "approve", nonce)
	if said.status != 200 || said.str("state") != "challenge" {
		p.t.Fatalf("the victim approves: %d %s", said.status, said.text)
	}
	return attacker, victim, said.str("check_code"), nonce
}

func wrong(digits string) string { return string('0'+(digits[0]-'0'+1)%10) + digits[1:] }

func TestT01Relay(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	// Static: a code that was photographed and turned since leads nowhere, and
	// the attempt does not notice.
	photo := p.agent().page()
	for range 2 {
		photo.want(200, "POST", photo.path("/rotate"), map[string]string{})
	}
	if g := p.phoneOf("bob").scan(photo.ticket); g.status != 404 || photo.state() != "pending" {
		t.Errorf("a photographed code: %d, the attempt is %s", g.status, photo.state())
	}
	// Live: a yes is not enough.
	attacker, victim, digits, _ := relay(p)
	if g := attacker.exchange(); g.status != 409 || attacker.cookies["session"] != "" {
		t.Errorf("the attacker gets in on a yes alone: %d", g.status)
	}
	for n := range 3 {
		g := attacker.digits(wrong(digits))
		if want := []string{"challenge", "challenge", "rejected"}[n]; g.str("state") != want {
			t.Errorf("wrong digits, try %d: %s", n+1, g.text)
		}
	}
	if g := attacker.digits(digits); g.status != 409 {
		t.Errorf("the right digits after three wrong ones: %d", g.status)
	}
	if g := attacker.exchange(); g.status != 409 {
		t.Errorf("exchange after three wrong ones: %d", g.status)
	}
	deeds := victim.activity()
	for _, want := range []string{"rejected wrong_code", "wrong_code", "scanned"} {
		if !slices.ContainsFunc(deeds, func(d string) bool { return strings.HasPrefix(d, want) }) {
			t.Errorf("the victim's account does not tell of %q: %v", want, deeds)
		}
	}
	// The right digits count in the browser that began, and in no other.
	mine, _, digits, _ := relay(p)
	for what, b := range map[string]*page{"another browser": {agent: p.agent(), id: mine.id, verifier: mine.verifier}, "another verifier": {agent: mine.twin(), id: mine.id, verifier: strings.Repeat("x", 52)}} {
		if g := b.digits(digits); g.status != 403 {
			t.Errorf("%s: %d, want 403", what, g.status)
		}
	}
	if g := mine.digits(digits); g.str("state") != "approved" {
		t.Fatalf("the right browser: %s", g.text)
	}
	if g := mine.exchange(); g.status != 200 {
		t.Errorf("exchange: %d %s", g.status, g.text)
	}
}

func TestT02Fixation(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--public-url", "https://id.example.test", "--digits", "never")
	p.host = "id.example.test" // what a TLS proxy in front passes on
	phone := p.phoneOf("ada")
	if phone.cookies["__Host-session"] == "" {
		t.Fatalf("cookies over https: %v", phone.cookies)
	}
	approve := func(b *page) {
		nonce := phone.scan(b.ticket).str("decision_nonce")
		if g := phone.decide(b.id, "approve", nonce); g.status != 200 {
			t.Fatalf("approve: %d %s", g.status, g.text)
		}
	}
	// Somebody is signed in on the computer already; that session must go.
	computer := p.phoneOf("bob")
	before := computer.cookies["__Host-session"]
	one, two := computer.page(), p.agent().page()
	approve(one)
	approve(two)
	mixed := &page{agent: one.twin(), id: one.id, verifier: two.verifier}
	if g := mixed.exchange(); g.status != 403 {
		t.Errorf("the cookie of one and the verifier of another: %d, want 403", g.status)
	}
	tossed := &page{agent: p.agent(), id: one.id, verifier: one.verifier}
	tossed.cookies["qrl-"+one.id] = one.cookies["__Host-qrl-"+one.id] // what a parent domain could set
	if g := tossed.exchange(); g.status != 403 {
		t.Errorf("a cookie without __Host-: %d, want 403", g.status)
	}
	if g := one.exchange(); g.status != 200 {
		t.Fatalf("the right one: %d %s", g.status, g.text)
	}
	after := one.cookies["__Host-session"]
	if after == before || after == "" || one.cookies["__Host-qrl-"+one.id] != "" {
		t.Errorf("cookies afterwards: %v", one.cookies)
	}
	old := p.agent()
	old.cookies["__Host-session"] = before
	if g := old.send("GET", "/account/devices", nil); g.status != 401 {
		t.Errorf("the session from before lives on: %d", g.status)
	}
	// A session that the attacker chose is not taken.
	old.cookies["__Host-session"] = strings.Repeat("A", 52)
	if g := old.send("GET", "/account/devices", nil); g.status != 401 {
		t.Errorf("a session of one's own making: %d", g.status)
	}
}

func TestT03Eavesdropping(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	b, phone := p.agent().page(), p.phoneOf("ada").near(p.agent())
	other := p.agent().page()
	token, channel := b.begun.str("channel_token"), b.begun.str("channel")
	s := dial(t, p.url, token)
	if got := s.ask(`{"type":"subscribe","channel":"` + channel + `"}`); got != "subscribed" {
		t.Fatalf("the page's own channel: %s", got)
	}
	asked := phone.scan(b.ticket)
	ear := dial(t, p.url, asked.str("channel_token"))
	if got := ear.ask(`{"type":"subscribe","channel":"` + asked.str("channel") + `"}`); got != "subscribed" {
		t.Fatalf("the phone's own channel: %s", got)
	}
	for what, refused := range map[string]string{
		"another attempt's channel": s.ask(`{"type":"subscribe","channel":"` + other.begun.str("channel") + `"}`), "the phone's channel": s.ask(`{"type":"subscribe","channel":"` + asked.str("channel") + `"}`),
		"the page's channel, by the phone": ear.ask(`{"type":"subscribe","channel":"` + channel + `"}`),
		"qr:*":                             s.ask(`{"type":"subscribe","channel":"qr:*"}`), "qr:>": s.ask(`{"type":"subscribe","channel":"qr:>"}`), "*": s.ask(`{"type":"subscribe","channel":"*"}`),
		"publish": s.ask(`{"type":"publish","channel":"` + channel + `","event":"approved","data":{"seq":9,"state":"approved"}}`), "publish by the phone": ear.ask(`{"type":"publish","channel":"` + asked.str("channel") + `","data":1}`),
		"the attempt's record": s.ask(`{"type":"subscribe","channel":"qrs:` + b.id + `"}`), "the user's channel": s.ask(`{"type":"subscribe","channel":"user:ada"}`),
	} {
		if refused != "not_granted" && refused != "channel_invalid" {
			t.Errorf("%s: %s, want not_granted", what, refused)
		}
	}
	for what, bad := range map[string]string{"no token": "", "half a token": token[:len(token)/2], "the ticket": b.ticket, "an altered token": token[:len(token)-4] + "AAAA"} {
		if got := dial(t, p.url, bad).ask(`{"type":"subscribe","channel":"` + channel + `"}`); got == "subscribed" {
			t.Errorf("%s: %s", what, got)
		}
	}
	nonce := asked.str("decision_nonce")
	digits := phone.decide(b.id, "approve", nonce).str("check_code")
	b.digits(digits)
	s.find(func(f map[string]any) bool { return f["event"] == "approved" })
	// Every string that went over the wire, tried as everything.
	heard := regexp.MustCompile(`[A-Za-z0-9_\-+/=.:]{16,}`).FindAllString(s.all()+" "+ear.all(), -1)
	if len(heard) < 8 {
		t.Fatalf("only %d strings were heard", len(heard))
	}
	for _, w := range heard {
		for _, v := range []string{w, w[strings.IndexByte(w, ':')+1:]} {
			thief := &page{agent: p.agent(), id: b.id, verifier: v}
			thief.cookies = map[string]string{"qrl-" + b.id: v, "session": v, "phone": v}
			thief.header.Set("Authorization", "Bearer "+v)
			if g := thief.exchange(); g.status == 200 {
				t.Errorf("%q was worth a session", v)
			}
			if g := thief.send("GET", "/account/devices", nil); g.status == 200 {
				t.Errorf("%q is a session", v)
			}
		}
	}
	if g := b.exchange(); g.status != 200 {
		t.Fatalf("the right browser: %d %s", g.status, g.text)
	}
	for what, secret := range map[string]string{
		"ticket": b.ticket, "cookie": b.begun.header.Get("Set-Cookie")[:60], "verifier": b.verifier, "nonce": nonce, "session": b.cookies["session"], "phone": phone.cookies["session"],
		"token": token, "user code": b.code, "password": testPassword,
	} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log holds the %s", what)
		}
		if strings.Contains(s.all()+ear.all(), secret) {
			t.Errorf("the %s was pushed", what)
		}
	}
	if !strings.Contains(p.log.String(), "qrlogin: signed in") {
		t.Error("the log does not tell of the sign-in")
	}
}

func TestT04Replay(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--digits", "never")
	phone := p.phoneOf("ada")
	one, two, three := p.agent().page(), p.agent().page(), p.agent().page()
	nonce := phone.scan(one.ticket).str("decision_nonce")
	phone.scan(two.ticket)
	third := phone.scan(three.ticket).str("decision_nonce")
	if g := phone.decide(one.id, "approve", nonce); g.status != 200 {
		t.Fatalf("approve: %d %s", g.status, g.text)
	}
	if g := phone.decide(one.id, "approve", nonce); g.status != 409 {
		t.Errorf("the same once more: %d, want 409", g.status)
	}
	if g := phone.decide(two.id, "approve", nonce); g.status != 403 || two.state() != "scanned" {
		t.Errorf("the same for another attempt: %d, want 403; it is %s", g.status, two.state())
	}
	phone.decide(three.id, "reject", third)
	if g := phone.decide(three.id, "approve", third); g.status != 409 || three.state() != "rejected" {
		t.Errorf("yes after no: %d, want 409; it is %s", g.status, three.state())
	}
	if one.exchange().status != 200 || one.exchange().status == 200 {
		t.Error("an approval is worth one session")
	}
}

func TestT05OtherSites(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	phone, b := p.phoneOf("ada"), p.agent().page()
	bot := p.agent()
	for _, path := range []string{"/q/" + b.ticket, "/Q/" + b.ticket} {
		for _, who := range []*agent{bot, phone} {
			for range 5 {
				who.send("GET", path, nil)
				who.send("HEAD", path, nil)
			}
		}
	}
	evil := phone.twin()
	for _, h := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.test"}} {
		evil.header.Set("Sec-Fetch-Site", h["Sec-Fetch-Site"])
		evil.header.Set("Origin", h["Origin"])
		for _, path := range []string{"/qr/scan", "/qr/plain-scan", "/qr/plain", b.path("/decision"), "/signout", "/account/browsers/forget"} {
			if g := evil.send("POST", path, url.Values{"ticket": {b.ticket}}); g.status != 403 {
				t.Errorf("POST %s with %v: %d, want 403", path, h, g.status)
			}
		}
	}
	if b.state() != "pending" {
		t.Fatalf("the attempt is %s", b.state())
	}
	if g := phone.scan(b.ticket); g.status != 200 {
		t.Errorf("the phone itself: %d %s", g.status, g.text)
	}
}

func TestT06Frames(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	phone, b := p.phoneOf("ada"), p.agent().page()
	for _, path := range []string{"/", "/login", "/signin", "/qr/login", "/q/" + b.ticket, "/Q/" + b.ticket, "/q/", "/qr/ask/" + b.id, "/funnel", "/qr/nothing", "/nothing"} {
		for _, who := range []*agent{p.agent(), phone} {
			who.header.Set("Accept", "text/html")
			g := who.send("GET", path, nil)
			csp := g.header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || g.header.Get("X-Frame-Options") != "DENY" || g.header.Get("Referrer-Policy") != "no-referrer" || g.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", path, g.header)
			}
		}
	}
}

func TestT08Guessing(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	b := p.agent().page()
	guesser := p.phoneOf("eve")
	// Typed codes: the sixth wrong one of an account is refused, from anywhere.
	codes := []int{}
	for range 7 {
		codes = append(codes, guesser.send("POST", "/qr/scan", map[string]string{"user_code": "BBBB-BBBB"}).status)
	}
	if !slices.Equal(codes, []int{404, 404, 404, 404, 404, 429, 429}) {
		t.Errorf("wrong typed codes: %v", codes)
	}
	guesser.ip = "203.0.113.99"
	if g := guesser.send("POST", "/qr/scan", map[string]string{"user_code": b.code}); g.status != 429 {
		t.Errorf("from another address: %d", g.status)
	}
	// Tickets: 50 addresses at full speed, and an honest phone among them.
	var mu sync.Mutex
	var wg sync.WaitGroup
	tally := map[int]int{}
	stop := make(chan struct{})
	for w := range 5 {
		wg.Go(func() {
			bad := guesser.twin()
			for n := range 400 {
				select {
				case <-stop:
					return
				default:
				}
				bad.ip = fmt.Sprintf("198.51.100.%d", w*10+n%10)
				status := bad.scan(strings.Repeat("A", 20) + fmt.Sprintf("BCD%c%c%c", 'A'+n%26, 'A'+w, 'A'+n/26%26)).status
				mu.Lock()
				tally[status]++
				mu.Unlock()
			}
		})
	}
	phone := p.phoneOf("ada")
	if g := phone.scan(b.ticket); g.status != 200 {
		t.Errorf("an honest phone meanwhile: %d %s", g.status, g.text)
	}
	wg.Wait()
	close(stop)
	// A wrong ticket costs four of a bucket of twenty: five pass, then one each 12 s.
	if tally[200] != 0 || tally[404] > 50*8 || tally[429] < 2000-50*8 || tally[404]+tally[429] != 2000 {
		t.Errorf("guesses: %v", tally)
	}
	// Digits: the third wrong try ends the attempt.
	attacker, _, digits, _ := relay(p)
	for range 3 {
		attacker.digits(wrong(digits))
	}
	if g := attacker.want(200, "GET", attacker.path(""), nil); g.str("state") != "rejected" || g.str("reason") != "wrong_code" {
		t.Errorf("after three wrong digits: %s", g.text)
	}
}

func TestT09StolenCookie(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--digits", "never")
	phone, b := p.phoneOf("ada"), p.agent().page()
	phone.decide(b.id, "approve", phone.scan(b.ticket).str("decision_nonce"))
	if g := b.exchange(); g.status != 200 {
		t.Fatalf("%d %s", g.status, g.text)
	}
	thief := b.twin()
	live := thief.want(200, "GET", "/account/live", nil)
	s := dial(t, p.url, live.str("token"))
	if got := s.ask(`{"type":"subscribe","channel":"` + live.str("channel") + `"}`); got != "subscribed" {
		t.Fatalf("the thief listens: %s", got)
	}
	html := phone.want(200, "GET", "/account/devices", nil).text
	ids := regexp.MustCompile(`/account/devices/([A-Z2-7]{26})/end`).FindStringSubmatch(html)
	if ids == nil || !strings.Contains(html, "confirmed on Chrome on Windows") {
		t.Fatalf("the devices: %s", html)
	}
	began := time.Now()
	phone.want(303, "POST", "/account/devices/"+ids[1]+"/end", url.Values{})
	if g := thief.send("GET", "/account/devices", nil); g.status != 401 {
		t.Errorf("the thief's next request: %d, want 401", g.status)
	}
	select {
	case <-s.done:
		t.Logf("the live connection was closed %v after the click", s.at.Sub(began).Round(time.Millisecond))
	case <-time.After(15 * time.Second): // a second where nobody else needs the machine
		t.Error("the live connection stays open")
	}
	if g := thief.send("POST", "/account/passkeys/begin", map[string]string{}); g.status != 401 {
		t.Errorf("the thief adds a passkey: %d", g.status)
	}
	// A browser that was let in by a phone may not change how its user signs in.
	c := p.agent().page()
	phone.decide(c.id, "approve", phone.scan(c.ticket).str("decision_nonce"))
	c.exchange()
	if g := c.send("POST", "/account/passkeys/begin", map[string]string{}); g.status != 403 {
		t.Errorf("a browser that was let in adds a passkey: %d, want 403", g.status)
	}
	if g := phone.send("POST", "/account/passkeys/begin", map[string]string{}); g.status != 200 {
		t.Errorf("one that signed in itself: %d %s", g.status, g.text)
	}
	if !slices.Contains(phone.activity(), "ended") {
		t.Errorf("the account does not tell of it: %v", phone.activity())
	}
}
