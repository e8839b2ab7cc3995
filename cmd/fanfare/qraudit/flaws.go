package qraudit

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// The six flaws of "QR login" deployments, as far as a stranger can try them.

// refusedProof reports the answers to whoever has not the proof.
func refusedProof(a answer) bool {
	return a.status == http.StatusNotFound || a.status == http.StatusForbidden || a.status == http.StatusUnauthorized
}

func checkBound(p *probe, r *result) {
	mine, other := p.shared(0), p.shared(1)
	stolen := strings.Replace(other.cookie, other.id, mine.id, 1) // the other's secret under this one's name
	for what, cookie := range map[string]string{"without a cookie": "", "with another attempt's cookie": other.cookie, "with another attempt's secret": stolen} {
		tries := []call{
			{method: "GET", path: mine.path("")}, {method: "GET", path: mine.begun.str("qr_svg_path")}, {method: "DELETE", path: mine.path("")},
			{method: "POST", path: mine.path("/exchange"), body: map[string]any{"code_verifier": mine.verifier}},
		}
		if cookie == "" { // turning counts as a new attempt: once
			tries = append(tries, call{method: "POST", path: mine.path("/rotate"), body: map[string]any{}})
		}
		for _, c := range tries {
			c.cookie = cookie
			a := p.send(c)
			name, _, _ := strings.Cut(strings.Replace(c.path, mine.id, "…", 1), "?")
			r.want(a.status == 0 || refusedProof(a), "%s %s %s: status %d", c.method, name, what, a.status)
		}
	}
	a := p.send(call{method: "POST", path: mine.path("/exchange"), body: map[string]any{"code_verifier": other.verifier}, cookie: mine.cookie})
	r.want(a.status == 0 || refusedProof(a) || a.status == http.StatusConflict, "an exchange with another verifier: status %d", a.status)
	if s := mine.state(); s != "pending" && s != "" {
		r.fault("a stranger made the attempt %s", s)
	}
}

func checkTurning(p *probe, r *result) {
	b, a := p.begin("")
	defer b.end()
	now := a.time("server_time")
	code, end := a.time("code_ends_at").Sub(now), a.time("expires_at").Sub(now)
	r.want(code > 0 && code <= 2*time.Minute, "a code lasts %v", code.Round(time.Second))
	r.want(end > 0 && end <= 10*time.Minute, "an attempt lasts %v", end.Round(time.Second))
	old, svg := b.ticket, a.str("qr_svg_path")
	if t := b.rotate(); t.status != http.StatusOK || b.ticket == old || b.ticket == "" {
		r.fault("the code does not turn: status %d", t.status)
		return
	}
	r.want(p.send(call{method: "GET", path: svg, cookie: b.cookie}).status == http.StatusNotFound, "a code that was turned is still drawn")
	r.detail = "a code lasts " + code.Round(time.Second).String() + ", an attempt " + end.Round(time.Second).String()
}

func checkRandom(p *probe, r *result) {
	for len(p.seen) < 6 {
		b, _ := p.begin("")
		if b.id == "" {
			return // the request failed, or the address has to wait
		}
		b.end()
	}
	kinds := map[string][]string{}
	for _, b := range p.seen {
		for kind, v := range map[string]string{"attempt id": b.id, "ticket": b.ticket, "channel": b.begun.str("channel"), "cookie": b.secret} {
			kinds[kind] = append(kinds[kind], v)
		}
	}
	for kind, samples := range kinds {
		bits := guessBits(samples)
		r.want(bits >= 110, "%s: about %.0f random bits at most, of the 128 that it should have", kind, bits)
	}
}

// guessBits bounds from above how many random bits equally long ids can have:
// what their alphabet gives at each place where they differ. Ids that repeat or
// are of different lengths have none. A few places agree by chance.
func guessBits(samples []string) float64 {
	seen := map[string]bool{}
	upper, lower, digit, other := false, false, false, 0
	for _, s := range samples {
		if s == "" || seen[s] || len(s) != len(samples[0]) {
			return 0
		}
		seen[s] = true
		upper = upper || strings.ContainsAny(s, "GHIJKLMNOPQRSTUVWXYZ")
		lower = lower || strings.ContainsAny(s, "ghijklmnopqrstuvwxyz")
		digit = digit || strings.ContainsAny(s, "0123456789")
		if strings.ContainsAny(s, "-_+/") {
			other = 2
		}
	}
	size := 10.0
	switch {
	case upper && lower:
		size = 62 + float64(other)
	case upper || lower:
		size = 32
	case regexp.MustCompile(`[A-Fa-f]`).MatchString(strings.Join(samples, "")):
		size = 16
	}
	places := 0
	for i := range samples[0] {
		for _, s := range samples[1:] {
			if s[i] != samples[0][i] {
				places++
				break
			}
		}
	}
	return float64(places) * math.Log2(size)
}

func checkChosen(p *probe, r *result) {
	chosen := strings.Repeat("AB", 13)
	verifier := strings.Repeat("v", 43)
	a := p.send(call{method: "POST", path: "/qr/attempts", cookie: "qrl-" + chosen + "=" + chosen + "; __Host-qrl-" + chosen + "=" + chosen, body: map[string]any{
		"code_challenge": challenge(verifier), "ticket": chosen, "attempt_id": chosen, "id": chosen, "uuid": chosen, "qr_url": "https://evil.example/" + chosen,
		"channel": "qr:" + chosen, "secret": chosen, "attempt_secret": chosen, "session": chosen, "user_code": "BBBB-BBBB",
	}})
	var b attempt
	b.p = p
	b.take(a)
	defer b.end()
	set := ""
	for _, c := range a.set {
		if c.MaxAge >= 0 {
			set += c.Name + c.Value
		}
	}
	r.want(!strings.Contains(a.text+set, chosen), "an id that the client proposed was taken")
	r.want(!strings.Contains(a.text, "evil.example"), "the code leads where the client wants")
	r.want(a.str("user_code") != "BBBB-BBBB", "the typed code is the one that the client proposed")
}

// forged is a JWT that nobody signed.
func forged(alg string) string {
	enc := func(v any) string { text, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(text) }
	now := time.Now().Unix()
	return enc(map[string]string{"alg": alg, "typ": "JWT"}) + "." + enc(map[string]any{"iss": "audit", "sub": "admin", "name": "Admin", "sid": "1", "jti": "audit-0123456789", "iat": now, "exp": now + 30}) + "."
}

func checkUnsigned(p *probe, r *result) {
	b := p.shared(0)
	made := strings.Repeat("A", 52)
	for what, c := range map[string]call{
		"nobody": {}, "a made-up cookie": {cookie: "session=" + made + "; __Host-session=" + made + "; phone=" + made}, "a made-up token": {header: map[string]string{"Authorization": "Bearer " + made}},
		"a token with alg none": {header: map[string]string{"Authorization": "Bearer " + forged("none")}}, "a token without a signature": {header: map[string]string{"Authorization": "Bearer " + forged("HS256") + "AAAA"}},
		"the browser itself": {cookie: b.cookie},
	} {
		scan, decide := c, c
		scan.method, scan.path, scan.body = "POST", "/qr/scan", map[string]any{"ticket": b.ticket}
		decide.method, decide.path, decide.body = "POST", b.path("/decision"), map[string]any{"decision": "approve", "nonce": b.ticket}
		for name, a := range map[string]answer{"scan": p.send(scan), "decision": p.send(decide)} {
			r.want(a.status == 0 || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden, "%s by %s: status %d", name, what, a.status)
		}
	}
	a := p.send(call{method: "POST", path: "/qr/plain-scan", form: url.Values{"ticket": {b.ticket}}})
	r.want(a.status == 0 || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden, "a form's scan by nobody: status %d", a.status)
	if s := b.state(); s != "pending" && s != "" {
		r.fault("nobody made the attempt %s", s)
	}
}

func checkLeaks(p *probe, r *result) {
	b := p.shared(0)
	a := b.begun
	u, err := url.Parse(a.str("qr_url"))
	switch {
	case err != nil:
		r.fault("the code is no URL")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		r.fault("the code has more than host and path")
	case !regexp.MustCompile(`^/[Qq]/[A-Za-z2-7]{26,}$`).MatchString(u.Path):
		r.fault("the code's path is not /q/ and a ticket")
	case !strings.EqualFold(u.Scheme, p.base.Scheme) && !p.loopback():
		r.fault("the code leads to %s", strings.ToLower(u.Scheme))
	}
	whole := strings.ToUpper(a.str("qr_url"))
	for what, v := range map[string]string{"attempt's id": b.id, "cookie": b.secret, "channel": strings.TrimPrefix(a.str("channel"), "qr:"), "channel's token": a.str("channel_token"), "typed code": a.str("user_code")} {
		r.want(v == "" || !strings.Contains(whole, strings.ToUpper(v)), "the code holds the %s", what)
	}
	r.want(b.secret == "" || !strings.Contains(a.text, b.secret), "the answer holds the cookie, where scripts can read it")
	view := b.do("GET", "", nil)
	for what, v := range map[string]string{"ticket": b.ticket, "cookie": b.secret, "verifier": b.verifier} {
		r.want(v == "" || !strings.Contains(strings.ToUpper(view.text), strings.ToUpper(v)), "the state holds the %s", what)
	}
	page := p.send(call{method: "GET", path: "/qr/login", cookie: b.cookie, header: map[string]string{"Accept": "text/html"}})
	r.want(b.secret == "" || !strings.Contains(page.text, b.secret), "the login page holds the cookie")
}
