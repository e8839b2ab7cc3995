package qrlogin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

func connectionIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// describe guesses from User-Agent: for people to recognise, never to trust.
func describe(r *http.Request) Browser {
	ua := r.UserAgent()
	first := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(ua, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	return Browser{
		Name: first("Edg", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "FxiOS", "Firefox", "CriOS", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari"),
		OS:   first("iPhone", "iOS", "iPad", "iPadOS", "Android", "Android", "Windows", "Windows", "Macintosh", "macOS", "CrOS", "ChromeOS", "Linux", "Linux"),
	}
}

// loopback reports whether the request's Host is this very computer, the only
// place where browsers take plain http for secure.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// headless reports whether the browser itself says that no person sits there.
func headless(r *http.Request) bool {
	return strings.Contains(r.UserAgent()+r.Header.Get("Sec-CH-UA"), "Headless")
}

// linked reports whether the request was made by a link of another site: not
// what a camera, a typed address or a bookmark does.
func linked(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "cross-site" || site == "same-site"
	}
	from := r.Header.Get("Referer")
	return from != "" && !strings.HasPrefix(from, "https://"+r.Host+"/") && !strings.HasPrefix(from, "http://"+r.Host+"/")
}
