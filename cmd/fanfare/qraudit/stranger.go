package qraudit

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What a stranger can try besides the six flaws.

func checkPrefetch(p *probe, r *result) {
	b := p.shared(0)
	for _, cookie := range []string{"", p.o.Phone} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{"/q/", "/Q/"} {
				p.send(call{method: method, path: path + b.ticket, cookie: cookie, header: map[string]string{"Purpose": "prefetch", "Sec-Purpose": "prefetch"}})
			}
		}
		if p.o.Phone == "" {
			break
		}
	}
	for _, path := range []string{"/qr/scan?ticket=" + b.ticket, b.path("/decision?decision=approve"), b.path("/exchange"), b.path("/rotate"), b.path("/code")} {
		a := p.send(call{method: "GET", path: path, cookie: b.cookie})
		name, _, _ := strings.Cut(path, "?")
		r.want(a.status/100 != 2, "GET %s: status %d", strings.Replace(name, b.id, "…", 1), a.status)
	}
	if s := b.state(); s != "pending" && s != "" {
		r.fault("looking made the attempt %s", s)
	}
}

func checkCrossSite(p *probe, r *result) {
	b := p.shared(0)
	for _, h := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}} {
		for _, c := range []call{
			{method: "POST", path: "/qr/attempts", body: map[string]any{"code_challenge": challenge(b.verifier)}}, {method: "POST", path: b.path("/rotate"), body: map[string]any{}, cookie: b.cookie},
			{method: "POST", path: "/qr/scan", body: map[string]any{"ticket": b.ticket}, cookie: p.o.Phone}, {method: "POST", path: "/qr/plain-scan", form: url.Values{"ticket": {b.ticket}}, cookie: p.o.Phone},
			{method: "POST", path: "/qr/plain", form: url.Values{}}, {method: "DELETE", path: b.path(""), cookie: b.cookie},
		} {
			c.header = h
			a := p.send(c)
			for k, v := range h {
				r.want(a.status == 0 || a.status == http.StatusForbidden, "%s %s with %s: %s is answered %d, not 403", c.method, strings.Replace(c.path, b.id, "…", 1), k, v, a.status)
			}
		}
	}
	for _, c := range []call{
		{method: "POST", path: "/qr/attempts", form: url.Values{"code_challenge": {challenge(b.verifier)}}},
		{method: "POST", path: b.path("/exchange"), form: url.Values{"code_verifier": {b.verifier}}, cookie: b.cookie},
	} {
		a := p.send(c)
		r.want(a.status == 0 || a.status == http.StatusUnsupportedMediaType, "%s takes a form: status %d", strings.Replace(c.path, b.id, "…", 1), a.status)
	}
	if s := b.state(); s != "pending" && s != "" {
		r.fault("another site made the attempt %s", s)
	}
}

// places are addresses that some browser takes for another host.
func places() []string {
	return []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "https:evil.example", "https://evil.example/", "/%2f%2fevil.example", "/%5cevil.example",
		"//user@evil.example", "javascript:alert(1)//evil.example", "/\t/evil.example", "///evil.example",
	}
}

func checkRedirects(p *probe, r *result) {
	paths := []string{"/qr/login", "/q/"}
	if p.page != "" {
		paths = append(paths, p.page)
	}
	for _, to := range places() {
		q := url.Values{}
		for _, name := range []string{"return_to", "returnTo", "next", "redirect", "redirect_uri", "url", "continue"} {
			q.Set(name, to)
		}
		for _, path := range paths {
			a := p.send(call{method: "GET", path: path + "?" + q.Encode(), header: map[string]string{"Accept": "text/html"}})
			u, err := p.base.Parse(a.header.Get("Location"))
			r.want(err == nil && strings.EqualFold(u.Host, p.base.Host), "%s leads to %q", path, a.header.Get("Location"))
			for _, use := range []string{`href="`, `action="`, `content="0;url=`, `return_to" value="`, `next" value="`} {
				r.want(!strings.Contains(a.text, use+to), "%s puts %q into its page", path, to)
			}
		}
	}
}

func checkSameAnswer(p *probe, r *result) {
	mine := p.shared(0)
	over, _ := p.begin("")
	over.end()
	unknown := strings.Repeat("B", 26)
	for _, rest := range []string{"", "/qr.svg?t=" + unknown, "/exchange"} {
		ask := func(id string) answer {
			c := call{method: "GET", path: "/qr/attempts/" + id + rest}
			if rest == "/exchange" {
				c.method, c.body = "POST", map[string]any{"code_verifier": mine.verifier}
			}
			return p.send(c)
		}
		want := ask(unknown)
		name, _, _ := strings.Cut(rest, "?")
		r.want(want.status == 0 || refusedProof(want), "…%s of an id that is none: status %d", name, want.status)
		for what, id := range map[string]string{"somebody else's": mine.id, "one that is over": over.id, "a malformed one": "x"} {
			r.want(want.same(ask(id)), "…%s: %s is answered otherwise than one that is none", name, what)
		}
	}
	if p.o.Phone == "" {
		r.detail = "tickets were not tried: they need a test account"
		return
	}
	want := p.scan(p.o.Phone, unknown)
	r.want(want.status == http.StatusNotFound, "a scan of a ticket that is none: status %d", want.status)
	for what, ticket := range map[string]string{"of an attempt that is over": over.ticket, "malformed": "x"} {
		r.want(want.same(p.scan(p.o.Phone, ticket)), "a ticket %s is answered otherwise than one that is none", what)
	}
}

func checkAsking(p *probe, r *result) {
	b := p.shared(0)
	a := b.do("GET", "", nil)
	r.want(a.status == http.StatusOK && a.str("state") == "pending", "the state: status %d", a.status)
	seq, _ := a.json["seq"].(float64)
	began := time.Now()
	w := p.send(call{method: "GET", path: b.path("?after=" + jsonNumber(seq)), cookie: b.cookie, header: map[string]string{"Prefer": "wait=2"}})
	r.want(w.status == http.StatusOK, "a long wait: status %d", w.status)
	r.want(w.status != http.StatusOK || time.Since(began) >= time.Second, "a long wait is answered at once")
	plain := p.send(call{method: "POST", path: "/qr/plain", form: url.Values{}})
	r.want(plain.status == http.StatusSeeOther, "a page without scripts: status %d", plain.status)
}

func checkHostKeys(p *probe, r *result) {
	for what, key := range map[string]string{"no key": "", "an empty one": "Bearer ", "a made-up one": "Bearer " + strings.Repeat("k", 32)} {
		c := call{method: "POST", path: "/qr/host/attempts", body: map[string]any{"ip": "192.0.2.1", "user_agent": "audit"}, header: map[string]string{}}
		if key != "" {
			c.header["Authorization"] = key
		}
		a := p.send(c)
		r.want(a.status == 0 || a.status == http.StatusUnauthorized || a.status == http.StatusNotFound, "with %s: status %d", what, a.status)
	}
}
