package qraudit

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const onThisComputer = "plain http on this computer: nothing to check"

func checkHTTPS(p *probe, r *result) {
	if p.base.Scheme == "http" {
		r.want(p.loopback(), "the site is plain http: whoever is on the way reads and changes everything")
		r.skip = onThisComputer
		return
	}
	a := p.send(call{method: "GET", path: "/qr/login"})
	if a.tls == nil {
		return
	}
	r.want(a.tls.Version >= tls.VersionTLS12, "the site speaks %s", tls.VersionName(a.tls.Version))
	if len(a.tls.PeerCertificates) > 0 {
		left := time.Until(a.tls.PeerCertificates[0].NotAfter)
		r.want(left > 7*24*time.Hour, "the certificate ends in %d hours", int(left.Hours()))
		r.detail = tls.VersionName(a.tls.Version) + ", certificate good for " + strconv.Itoa(int(left.Hours()/24)) + " days"
	}
	if twin := p.plainTwin(); twin != "" {
		failed := p.failed
		b := p.send(call{method: "GET", path: "/qr/login", site: twin, now: true})
		p.failed = failed // that nobody listens there is fine
		to := b.header.Get("Location")
		r.want(b.status/100 != 2 && (b.status/100 != 3 || strings.HasPrefix(to, "https://")), "plain http is answered with status %d, not sent to https", b.status)
	}
}

func checkHSTS(p *probe, r *result) {
	if p.base.Scheme == "http" {
		r.skip = onThisComputer
		return
	}
	h := p.send(call{method: "GET", path: "/qr/login"}).header.Get("Strict-Transport-Security")
	age := 0
	for part := range strings.SplitSeq(h, ";") {
		if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(part)), "max-age="); ok {
			age, _ = strconv.Atoi(strings.Trim(v, `"`))
		}
	}
	r.want(age >= 180*24*3600, "Strict-Transport-Security is %q: half a year is the least", h)
	r.detail = h
}

func checkClock(p *probe, r *result) {
	a := p.begun
	told := a.time("server_time")
	r.want(!told.IsZero(), "answers tell no server_time")
	off := told.Sub(a.at)
	r.want(told.IsZero() || off.Abs() < 10*time.Second, "its clock is %v off this computer's", off.Round(time.Second))
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		r.want(date.Sub(told).Abs() < 10*time.Second, "the Date header and server_time differ by %v: who answers?", date.Sub(told).Round(time.Second))
	}
	r.detail = "it differs by " + off.Round(time.Millisecond).String()
}

// pages are those that people see, by name, as far as they can be reached.
func (p *probe) pages() map[string]answer {
	out := map[string]answer{}
	get := func(name, path, cookie string) {
		a := p.send(call{method: "GET", path: path, cookie: cookie, header: map[string]string{"Accept": "text/html"}})
		if a.status != 0 && a.status/100 != 3 {
			out[name] = a
		}
	}
	get("/qr/login", "/qr/login", "")
	get("an error page", "/qr/nothing", "")
	ticket := ticketOf(p.begun)
	if ticket == "" {
		ticket = strings.Repeat("A", 26)
	}
	get("the code's page", "/q/"+ticket, "")
	if p.page != "" {
		get(p.page, p.page, "")
	}
	if p.o.Phone != "" {
		get("the approve page", "/q/"+ticket, p.o.Phone)
	}
	return out
}

// policyOf is a Content-Security-Policy by directive.
func policyOf(h http.Header) map[string][]string {
	out := map[string][]string{}
	for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), ";") {
		if words := strings.Fields(part); len(words) > 0 {
			out[strings.ToLower(words[0])] = words[1:]
		}
	}
	return out
}

func checkCSP(p *probe, r *result) {
	for name, a := range p.pages() {
		csp := policyOf(a.header)
		scripts, ok := csp["script-src"]
		if !ok {
			scripts, ok = csp["default-src"]
		}
		loose := slices.ContainsFunc(scripts, func(s string) bool {
			return s == "*" || s == "'unsafe-inline'" || s == "'unsafe-eval'" || s == "http:" || s == "https:" || s == "data:"
		})
		switch {
		case len(csp) == 0:
			r.fault("%s has no Content-Security-Policy", name)
		case !ok || loose:
			r.fault("%s lets foreign scripts run", name)
		case len(csp["base-uri"]) == 0 || len(csp["form-action"]) == 0:
			r.fault("%s says nothing of base-uri or form-action", name)
		}
	}
}

func checkFraming(p *probe, r *result) {
	for name, a := range p.pages() {
		by := policyOf(a.header)["frame-ancestors"]
		r.want(slices.Equal(by, []string{"'none'"}), "%s may be framed: frame-ancestors is %q", name, strings.Join(by, " "))
		r.want(strings.EqualFold(a.header.Get("X-Frame-Options"), "DENY"), "%s has no X-Frame-Options: DENY", name)
	}
}

func checkReferrer(p *probe, r *result) {
	for name, a := range p.pages() {
		v := a.header.Get("Referrer-Policy")
		// Over plain http of a network forms need the origin; it holds no path.
		r.want(v == "no-referrer" || v == "strict-origin" && p.base.Scheme == "http", "%s has Referrer-Policy %q", name, v)
	}
}

func checkCache(p *probe, r *result) {
	all := p.pages()
	if p.begun.status != 0 {
		all["a new attempt"] = p.begun
	}
	for name, a := range all {
		r.want(strings.Contains(a.header.Get("Cache-Control"), "no-store"), "%s may be cached: %q", name, a.header.Get("Cache-Control"))
		r.want(a.header.Get("X-Content-Type-Options") == "nosniff", "%s has no X-Content-Type-Options: nosniff", name)
	}
}

func checkCORS(p *probe, r *result) {
	for _, c := range []call{
		{method: "GET", path: "/qr/login"}, {method: "GET", path: "/qr/attempts/" + p.begun.str("attempt_id")},
		{method: "OPTIONS", path: "/qr/attempts", header: map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}},
		{method: "OPTIONS", path: "/qr/scan", header: map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}},
	} {
		c.header = with(c.header, "Origin", "https://evil.example")
		a := p.send(c)
		r.want(a.header.Get("Access-Control-Allow-Origin") == "", "%s %s lets %q read it", c.method, c.path, a.header.Get("Access-Control-Allow-Origin"))
	}
}

func checkCookie(p *probe, r *result) {
	var found *http.Cookie
	for _, c := range p.begun.set {
		if strings.HasSuffix(c.Name, "qrl-"+p.begun.str("attempt_id")) {
			found = c
		}
	}
	if found == nil {
		r.fault("a new attempt sets no cookie of its own")
		return
	}
	over := p.base.Scheme == "https"
	r.want(strings.HasPrefix(found.Name, "__Host-") || !over, "its name does not begin with __Host-")
	r.want(found.Secure || !over, "it is not Secure")
	r.want(found.HttpOnly, "it is not HttpOnly")
	r.want(found.SameSite == http.SameSiteStrictMode, "it is not SameSite=Strict")
	r.want(found.Path == "/" && found.Domain == "", "it has a path or a domain")
	r.want(len(found.Value) >= 26, "it has only %d characters", len(found.Value))
	r.want(found.MaxAge > 0 && found.MaxAge <= 3600, "it lives for %d s", found.MaxAge)
}
