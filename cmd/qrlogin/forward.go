package main

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// Forward-auth puts the sign-in before apps that know nothing of it: their
// reverse proxy asks here about each request (Traefik's ForwardAuth, Caddy's
// forward_auth, nginx's auth_request). Apps and this site share a parent
// domain, for which the browser has a cookie that is good for this and nothing
// else.

// getForward answers a proxy: 200 with who it is, or 302 to the sign-in, or 401
// where nobody could follow that: a script, an upload. With ?status=401 it is
// 401 always, for nginx, and pages get Location too.
func (a *app) getForward(w http.ResponseWriter, r *http.Request) {
	if !a.fromProxy(r) {
		http.Error(w, "Only proxies ask here, from a network that --trusted-proxy names.", http.StatusForbidden)
		return
	}
	to := forwarded(r, "Proto") + "://" + forwarded(r, "Host") + forwarded(r, "Uri")
	if !a.mayReturn(to) {
		http.Error(w, "X-Forwarded-Proto, -Host and -Uri have to name a page under --forward-domain.", http.StatusForbidden)
		return
	}
	for _, c := range r.CookiesNamed(a.passName()) {
		if s, ok := a.sessions.byPass(c.Value); ok {
			one, _ := a.users.get(s.User)
			w.Header().Set("Remote-User", s.User)
			w.Header().Set("Remote-Name", plainText(one.Name))
			w.WriteHeader(http.StatusOK)
			return
		}
	}
	method := forwarded(r, "Method")
	if (method == "" || method == http.MethodGet || method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Location", strings.TrimSuffix(a.o.publicURL, "/")+"/forward/start?"+url.Values{"to": {to}}.Encode())
		if r.URL.Query().Get("status") != "401" {
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	http.Error(w, "Sign in first.", http.StatusUnauthorized)
}

// getForwardStart gives the browser its pass, after a sign-in if it needs one,
// and sends it back.
func (a *app) getForwardStart(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	if !a.mayReturn(to) || len(r.URL.Query()["to"]) != 1 {
		http.Error(w, "to has to be a page under the domain of this site's apps.", http.StatusBadRequest)
		return
	}
	name, _, err := a.cookieName(r)
	pass := ""
	if c, cerr := r.Cookie(name); err == nil && cerr == nil {
		pass, _ = a.sessions.passOf(c.Value)
	}
	if pass == "" {
		http.Redirect(w, r, "/login?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: a.passName(), Value: pass, Domain: a.o.forward, Path: "/", MaxAge: int(sessionLife.Seconds()),
		HttpOnly: true, Secure: a.public.Scheme == "https", SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// passName is that of the cookie for all of the domain.
func (a *app) passName() string {
	if a.public.Scheme == "https" {
		return "__Secure-fanfare-pass"
	}
	return "fanfare-pass"
}

func (a *app) fromProxy(r *http.Request) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	ip := ap.Addr().Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(a.o.proxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// forwarded is what the proxy says of the request that it asks about.
func forwarded(r *http.Request, what string) string {
	v := r.Header.Values("X-Forwarded-" + what)
	if len(v) != 1 {
		return ""
	}
	return v[0]
}

// mayReturn reports whether the browser may be sent to a page: it is of a host
// under the domain, by https (by http only where this site is), and written so
// that no browser reads another host out of it.
func (a *app) mayReturn(to string) bool {
	if len(to) > 4096 || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(to)
	if err != nil || u.User != nil || u.Scheme != a.public.Scheme || !strings.HasPrefix(to, u.Scheme+"://"+u.Host+"/") {
		return false
	}
	host := u.Hostname()
	return strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") == "" && under(host, a.o.forward)
}

// under reports whether a host is the domain or below it.
func under(host, domain string) bool {
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain))
}

// plainText is a name as it may stand in a header.
func plainText(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
}

// forwardRoutes are there where --forward-domain is.
func (a *app) forwardRoutes(mux, own *http.ServeMux) {
	if a.o.forward == "" {
		return
	}
	mux.HandleFunc("/forward/auth", func(w http.ResponseWriter, r *http.Request) {
		qrlogin.Harden(w.Header())
		a.getForward(w, r)
	})
	own.HandleFunc("GET /forward/start", a.getForwardStart)
}
