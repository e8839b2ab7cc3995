package qraudit

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// What a phone that is signed in can try. All of it happens to the test
// account; only checkSignIn signs a browser in.

// atOnce does fn so many times at once and counts the answers by status.
func atOnce(n int, fn func() answer) (tally map[int]int, good answer) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	tally = map[int]int{}
	for range n {
		wg.Go(func() {
			a := fn()
			mu.Lock()
			defer mu.Unlock()
			if tally[a.status]++; a.status == http.StatusOK {
				good = a
			}
		})
	}
	wg.Wait()
	return tally, good
}

// signedOut reports that the phone's cookie is not good, which is no fault of
// the site.
func signedOut(r *result, a answer) bool {
	if a.status == http.StatusUnauthorized {
		r.skip = "the site does not know the test account's cookie: sign in and copy it again"
		return true
	}
	return false
}

func checkReuse(p *probe, r *result) {
	b, _ := p.begin("")
	defer b.end()
	first := b.ticket
	b.rotate()
	b.rotate()
	old := p.scan(p.o.Phone, first)
	if signedOut(r, old) {
		return
	}
	r.want(old.status == 0 || old.status == http.StatusNotFound, "a code that was turned twice: status %d", old.status)
	tally, _ := atOnce(4, func() answer { return p.scan(p.o.Phone, b.ticket) })
	r.want(p.failed != nil || tally[http.StatusOK] == 1, "four scans at once: %d were let through", tally[http.StatusOK])
	again := p.scan(p.o.Phone, b.ticket)
	r.want(again.status != http.StatusOK, "the same code again: status %d", again.status)
}

func checkDigits(p *probe, r *result) {
	b, _ := p.begin("")
	defer b.end()
	asked := p.scan(p.o.Phone, b.ticket)
	if signedOut(r, asked) {
		return
	}
	for _, key := range []string{"context", "started_at", "new_browser", "site"} {
		_, ok := asked.json[key]
		r.want(ok || asked.status == 0, "the phone is not told of %s", key)
	}
	said := p.decide(p.o.Phone, b.id, "approve", asked.str("decision_nonce"))
	if said.str("state") != "challenge" {
		if said.str("code") == "confirm_required" || strings.Contains(said.str("code"), "confirm") {
			r.skip = "the test account has a passkey, which this audit cannot use"
			return
		}
		r.want(said.status == 0, "an approval for a browser that nobody knows: %s", said.str("state"))
		return
	}
	digits := said.str("check_code")
	r.want(b.exchange().status != http.StatusOK, "the browser is signed in before the digits are typed")
	type_ := func(d string) answer {
		return b.do("POST", "/code", map[string]any{"code": d, "code_verifier": b.verifier})
	}
	stranger := p.send(call{method: "POST", path: b.path("/code"), body: map[string]any{"code": digits, "code_verifier": b.verifier}})
	r.want(stranger.status != http.StatusOK, "the digits are taken from another browser")
	for range 3 {
		type_(wrong(digits))
	}
	late := type_(digits)
	r.want(late.status != http.StatusOK || late.str("state") != "approved", "the right digits after three wrong ones")
}

func wrong(digits string) string {
	if digits == "" {
		return "00"
	}
	return string('0'+(digits[0]-'0'+1)%10) + digits[1:]
}

func checkReplay(p *probe, r *result) {
	one, _ := p.begin("")
	two, _ := p.begin("")
	defer one.end()
	defer two.end()
	asked := p.scan(p.o.Phone, one.ticket)
	if signedOut(r, asked) {
		return
	}
	nonce, second := asked.str("decision_nonce"), p.scan(p.o.Phone, two.ticket).str("decision_nonce")
	p.decide(p.o.Phone, one.id, "approve", nonce)
	again := p.decide(p.o.Phone, one.id, "approve", nonce)
	r.want(again.status/100 != 2, "the same yes once more: status %d", again.status)
	other := p.decide(p.o.Phone, two.id, "approve", nonce)
	r.want(other.status/100 != 2, "the same yes for another attempt: status %d", other.status)
	p.decide(p.o.Phone, two.id, "reject", second)
	late := p.decide(p.o.Phone, two.id, "approve", second)
	r.want(late.status/100 != 2, "a yes after a no: status %d", late.status)
	p.decide(p.o.Phone, one.id, "reject", nonce)
}

func checkLinks(p *probe, r *result) {
	b, _ := p.begin("")
	defer b.end()
	open := func(site string) answer {
		return p.send(call{method: "GET", path: "/q/" + b.ticket, cookie: p.o.Phone, header: map[string]string{"Accept": "text/html", "Sec-Fetch-Site": site}})
	}
	direct, link := open("none"), open("cross-site")
	if !strings.Contains(direct.text, `id="phone"`) {
		r.skip = "the site does not know the test account's cookie, or has an approve page of its own"
		return
	}
	r.want(!strings.Contains(direct.text, "data-linked"), "a code is taken for a link")
	r.want(strings.Contains(link.text, "data-linked"), "a link of another site is taken for a code")
	a := p.send(call{method: "POST", path: "/qr/scan", body: map[string]any{"ticket": b.ticket, "linked": true}, cookie: p.o.Phone})
	said := p.decide(p.o.Phone, b.id, "approve", a.str("decision_nonce"))
	r.want(said.str("state") != "approved", "whoever came by a link lets the browser in by a yes alone")
}

func checkMasked(p *probe, r *result) {
	b, _ := p.begin("")
	defer b.end()
	if signedOut(r, p.scan(p.o.Phone, b.ticket)) {
		return
	}
	a := b.do("GET", "", nil)
	r.want(a.status == 0 || a.str("state") == "scanned", "the browser is not told of the scan: %s", a.str("state"))
	profile, _ := a.json["profile"].(map[string]any)
	name, _ := profile["name"].(string)
	r.want(regexp.MustCompile(`^.?•+$`).MatchString(name), "the browser is told more than a letter: %q", name)
	for _, key := range []string{"user", "user_id", "subject", "email", "avatar", "id"} {
		_, there := a.json[key]
		_, in := profile[key]
		r.want(!there && !in, "the browser is told the %s", key)
	}
}

// secretsOf are what must never be pushed.
func secretsOf(b attempt, asked answer, digits string) map[string]string {
	return map[string]string{
		"ticket": b.ticket, "cookie": b.secret, "verifier": b.verifier, "nonce": asked.str("decision_nonce"), "typed code": b.begun.str("user_code"),
		"channel's token": b.begun.str("channel_token"), "digits": `"` + digits + `"`,
	}
}

func checkSignIn(p *probe, r *result) {
	b, a := p.begin("")
	site := p.pushSite(a)
	page := p.open(site, a.str("channel"), a.str("channel_token"))
	defer page.close()
	asked := p.scan(p.o.Phone, b.ticket)
	if signedOut(r, asked) {
		return
	}
	hand := p.open(site, asked.str("channel"), asked.str("channel_token"))
	defer hand.close()
	said := p.decide(p.o.Phone, b.id, "approve", asked.str("decision_nonce"))
	digits := said.str("check_code")
	if said.str("state") == "challenge" {
		b.do("POST", "/code", map[string]any{"code": digits, "code_verifier": b.verifier})
	}
	wrongProof := b.do("POST", "/exchange", map[string]any{"code_verifier": challenge(b.verifier)})
	r.want(wrongProof.status == 0 || refusedProof(wrongProof), "an exchange with another verifier: status %d", wrongProof.status)
	tally, in := atOnce(3, b.exchange)
	if p.failed != nil {
		return
	}
	if tally[http.StatusOK] == 0 {
		r.skip = "the sign-in did not come to its end: the account may have a passkey"
		return
	}
	r.want(tally[http.StatusOK] == 1, "three exchanges at once: %d sessions", tally[http.StatusOK])
	p.sessionOf(r, in, b)
	heard := page.heard(`"approved"`, 15*time.Second) + hand.heard("completed", 15*time.Second)
	for what, v := range secretsOf(b, asked, digits) {
		r.want(len(v) < 4 || !strings.Contains(heard, v), "the %s was pushed", what)
	}
}

// sessionOf looks at the cookies of a sign-in.
func (p *probe) sessionOf(r *result, in answer, b attempt) {
	sessions := 0
	for _, c := range in.set {
		if c.MaxAge < 0 || strings.HasSuffix(c.Name, b.id) {
			continue
		}
		sessions++
		over := p.base.Scheme == "https"
		r.want(c.HttpOnly, "the new cookie %s is not HttpOnly", c.Name)
		r.want(c.Secure || !over, "the new cookie %s is not Secure", c.Name)
		r.want(c.SameSite == http.SameSiteLaxMode || c.SameSite == http.SameSiteStrictMode, "the new cookie %s is not SameSite", c.Name)
		r.want(!strings.Contains(p.o.Phone, c.Value), "the browser got the phone's own session")
	}
	r.want(sessions > 0, "a sign-in sets no cookie")
}

func checkSecond(p *probe, r *result) {
	b, _ := p.begin("")
	defer b.end()
	if signedOut(r, p.scan(p.o.Phone, b.ticket)) {
		return
	}
	a := p.scan(p.o.Other, b.ticket)
	r.want(a.status == 0 || a.status == http.StatusConflict || a.status == http.StatusNotFound || a.status == http.StatusUnauthorized, "a second account's scan: status %d", a.status)
	if a.status == http.StatusUnauthorized {
		r.skip = "the site does not know the second account's cookie"
	}
}

func checkElsewhere(p *probe, r *result) {
	site, _, err := siteOf(p.o.Elsewhere)
	if err != nil {
		return // newProbe has said so
	}
	b, a := p.begin(site.String())
	if a.status != http.StatusCreated {
		r.skip = "no attempt could be begun on the other site"
		return
	}
	got := p.scan(p.o.Phone, b.ticket)
	if signedOut(r, got) {
		return
	}
	r.want(got.same(p.scan(p.o.Phone, strings.Repeat("B", 26))), "a code of the other site: status %d", got.status)
	p.send(call{method: "DELETE", path: b.path(""), cookie: b.cookie, site: site.String()})
}
