package qraudit

import (
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"strconv"
)

func jsonNumber(n float64) string { return strconv.FormatInt(int64(n), 10) }

const maxFlood = 40

func checkFlood(p *probe, r *result) {
	for n := range maxFlood {
		a := p.send(call{method: "POST", path: "/qr/attempts", body: map[string]any{"code_challenge": challenge("flood")}, now: true})
		if p.failed != nil {
			return
		}
		if a.status == http.StatusTooManyRequests {
			r.want(a.header.Get("Retry-After") != "", "the refusal does not say when to come back")
			r.detail = "refused after " + strconv.Itoa(n) + " more attempts"
			return
		}
	}
	r.fault("%d attempts in a row were begun", maxFlood)
}

func checkGuesses(p *probe, r *result) {
	until := func(what string, most int, body func() map[string]any) {
		for range most {
			a := p.send(call{method: "POST", path: "/qr/scan", body: body(), cookie: p.o.Phone, now: true})
			if p.failed != nil || a.status == http.StatusTooManyRequests {
				return
			}
			r.want(a.status == http.StatusNotFound, "%s that is none: status %d", what, a.status)
		}
		r.fault("%d tries at %s in a row", most, what)
	}
	until("a typed code", 8, func() map[string]any { return map[string]any{"user_code": "BBBB-BBBB"} })
	until("a ticket", 25, func() map[string]any {
		var b [17]byte
		_, _ = rand.Read(b[:]) // never fails
		return map[string]any{"ticket": base32.StdEncoding.EncodeToString(b[:])[:26]}
	})
}
