package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mileusna/useragent"
	"github.com/phuslu/iploc"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// clientIP is the caller's address. X-Forwarded-For counts only as far as
// trusted proxies wrote it: it is read from the right, up to the first address
// that is no trusted proxy.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	isProxy := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isProxy(ip); i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = a.Unmap().WithZone("")
	}
	return ip
}

// describe names the caller's browser, for people to recognise. User-Agent is
// whatever the caller likes, so only names that we know are shown.
func describe(r *http.Request) qrlogin.Browser {
	ua := useragent.Parse(r.UserAgent())
	var b qrlogin.Browser
	switch ua.Name {
	case useragent.Chrome, useragent.Firefox, useragent.Safari, useragent.Edge, useragent.Opera, useragent.Vivaldi, useragent.SamsungBrowser:
		b.Name = ua.Name
	case useragent.HeadlessChrome:
		b.Name = useragent.Chrome
	case useragent.MobileSafari:
		b.Name = useragent.Safari
	case useragent.OperaMini, useragent.OperaTouch:
		b.Name = useragent.Opera
	}
	switch ua.OS {
	case useragent.Windows, useragent.MacOS, useragent.Linux, useragent.Android, useragent.IOS, useragent.ChromeOS, useragent.FreeBSD:
		b.OS = ua.OS
	case useragent.CrOS:
		b.OS = useragent.ChromeOS
	}
	return b
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// accessLog writes one line for each request. It never has a query, a ticket,
// a cookie or a header. Realtime (/v1/) is not logged: Fanfare counts it.
func accessLog(log *slog.Logger, ip func(*http.Request) netip.Addr, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			next.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(sw, r)
		if sw.status == 0 {
			sw.status = http.StatusOK
		}
		log.Info("request", "method", r.Method, "path", qrlogin.ScrubPath(r.URL.Path), "status", sw.status,
			"took", time.Since(began).Round(100*time.Microsecond), "ip", ip(r).String())
	})
}

// onLoopback reports whether the request's Host is this very computer.
func onLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// placeOf is the country of an address, from a table in the program.
func placeOf(ip netip.Addr) qrlogin.Place { return qrlogin.Place{Country: iploc.IPCountry(ip)} }
