package qraudit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// attempt is a browser with a code on it, as the audit plays one.
type attempt struct {
	p                    *probe
	id, ticket, verifier string
	cookie               string // "name=value"
	secret               string // its value
	begun                answer
}

// begin begins an attempt at the site, or at another one. The attempt is empty
// where that fails.
func (p *probe) begin(site string) (attempt, answer) {
	b := attempt{p: p, verifier: rand.Text() + rand.Text()}
	a := p.send(call{method: "POST", path: "/qr/attempts", body: map[string]any{"code_challenge": challenge(b.verifier)}, site: site})
	b.take(a)
	if site == "" && b.id != "" {
		p.seen = append(p.seen, b)
	}
	return b, a
}

// sharedLife is how long an attempt is used again: less than a code lasts.
const sharedLife = 40 * time.Second

// shared is one of the two attempts that checks share which only look. Each
// new one would use up the rate of this address.
func (p *probe) shared(i int) attempt {
	if b := p.two[i]; b.id != "" && time.Since(b.begun.at) < sharedLife {
		return b
	}
	p.two[i], _ = p.begin("")
	return p.two[i]
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (b *attempt) take(a answer) {
	b.begun, b.id, b.ticket = a, a.str("attempt_id"), ticketOf(a)
	for _, c := range a.set {
		if b.id != "" && strings.HasSuffix(c.Name, "qrl-"+b.id) {
			b.cookie, b.secret = c.Name+"="+c.Value, c.Value
		}
	}
}

func ticketOf(a answer) string {
	u := a.str("qr_url")
	return u[strings.LastIndexByte(u, '/')+1:]
}

func (b *attempt) path(rest string) string { return "/qr/attempts/" + b.id + rest }

// do is a request of the attempt's own browser.
func (b *attempt) do(method, rest string, body any) answer {
	return b.p.send(call{method: method, path: b.path(rest), body: body, cookie: b.cookie})
}

func (b *attempt) state() string { return b.do("GET", "", nil).str("state") }

func (b *attempt) exchange() answer {
	return b.do("POST", "/exchange", map[string]any{"code_verifier": b.verifier})
}

// rotate puts a new code on the screen, and its ticket in place of the old one.
func (b *attempt) rotate() answer {
	a := b.do("POST", "/rotate", map[string]any{})
	if a.status == http.StatusOK {
		b.ticket = ticketOf(a)
	}
	return a
}

// end tells the site that nobody waits any more.
func (b *attempt) end() {
	if b.id != "" {
		b.do("DELETE", "", nil)
	}
}

// scan is a scan by the phone with that cookie.
func (p *probe) scan(cookie, ticket string) answer {
	return p.send(call{method: "POST", path: "/qr/scan", body: map[string]any{"ticket": ticket}, cookie: cookie})
}

func (p *probe) decide(cookie, id, decision, nonce string) answer {
	return p.send(call{method: "POST", path: "/qr/attempts/" + id + "/decision", body: map[string]any{"decision": decision, "nonce": nonce}, cookie: cookie})
}
