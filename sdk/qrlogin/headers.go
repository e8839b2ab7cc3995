package qrlogin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ScrubPath is a request path fit for an access log: the ticket of the QR
// code's path is replaced. Never log a query.
func ScrubPath(path string) string {
	if len(path) > 3 && strings.EqualFold(path[:3], "/q/") {
		return path[:3] + "-"
	}
	return path
}

// policy is the Content-Security-Policy of all pages.
func policy(o Options) (string, error) {
	connect := "'self'"
	if o.FanfareURL != "" {
		u, err := url.Parse(o.FanfareURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", errors.New("qrlogin: Options.FanfareURL has to be an http or https URL")
		}
		connect += fmt.Sprintf(" %s://%s ws%s://%s", u.Scheme, u.Host, strings.TrimPrefix(u.Scheme, "http"), u.Host)
	}
	script := "'self'"
	if u, err := url.Parse(o.SDKURL); err != nil {
		return "", errors.New("qrlogin: Options.SDKURL has to be a URL or a path")
	} else if u.Host != "" {
		script += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src " + script + "; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", nil
}

func (s *Server) harden(h http.Header) {
	h.Set("Content-Security-Policy", s.csp)
	Harden(h)
}

// Harden sets the headers that the library sets on each of its answers, but
// for the Content-Security-Policy: no framing, no referrer, no cache. Without
// a referrer browsers send "Origin: null" with forms, so CrossOriginProtection
// lets these through only where browsers send Sec-Fetch-Site: over https, and
// on this computer.
func Harden(h http.Header) {
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
