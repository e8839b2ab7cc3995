package main

import (
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

//go:embed ui
var ui embed.FS

// app is the whole site: sign-in, account page, and QR login from the library.
// It is an http.Handler; run has to run while it serves.
type app struct {
	o        appOptions
	public   *url.URL
	users    *users
	browsers *browsers
	passkeys *passkeys // nil where the address can have none
	sessions *sessions
	activity *activity
	tries    *tries
	qr       *qrlogin.Server
	oidc     *oidc.Provider
	pages    *template.Template
	handler  http.Handler
	told     sync.WaitGroup // pushes under way
}

// broadcaster is what the app needs of Fanfare; *fanfare.Client is one.
type broadcaster interface {
	qrlogin.Fanfare
	Kick(ctx context.Context, user string) (int, error)
}

// appOptions are what the app is built from.
type appOptions struct {
	ff         broadcaster
	fanfareURL string                  // where browsers reach Fanfare; "" = here
	mounts     map[string]http.Handler // what Fanfare serves here
	users      *users
	browsers   *browsers
	publicURL  string
	site       string
	showLink   bool
	proxies    []netip.Prefix
	times      qrlogin.Times
	limits     qrlogin.Limits
	policy     qrlogin.Policy
	hosts      []qrlogin.Host
	devices    []qrlogin.DeviceClient // none: RFC 8628 is off
	forward    string                 // the domain of apps behind proxies; "": none
	clients    *clients               // apps that sign their people in here
	keys       *oidc.Keys
	grants     oidc.Store    // default in memory
	attempts   qrlogin.Store // default in memory
	pepper     []byte
	log        *slog.Logger
}

func newApp(o appOptions) (a *app, err error) {
	a = &app{o: o, users: o.users, browsers: o.browsers, sessions: newSessions(), activity: newActivity(), tries: newTries()}
	if a.public, err = url.Parse(o.publicURL); err != nil {
		return nil, err
	}
	if a.passkeys, err = newPasskeys(a.public, o.site, o.users); err != nil {
		return nil, err
	}
	if a.pages, err = template.ParseFS(ui, "ui/*.html"); err != nil {
		return nil, err
	}
	if a.qr, err = a.newQR(); err != nil {
		return nil, err
	}
	if a.oidc, err = a.newProvider(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for pattern, h := range o.mounts {
		mux.Handle(pattern, h)
	}
	for _, pattern := range []string{"/qr/", "/q/", "/Q/"} {
		mux.Handle(pattern, a.qr)
	}
	for _, pattern := range []string{"/oidc/", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		mux.Handle(pattern, a.oidc)
	}
	mux.Handle("/userinfo", a.userinfo())
	own := a.ownRoutes()
	a.forwardRoutes(mux, own)
	mux.Handle("/", a.guard(own))
	a.handler = accessLog(o.log, a.ip, mux)
	return a, nil
}

func (a *app) newQR() (*qrlogin.Server, error) {
	o := a.o
	options := qrlogin.Options{
		Fanfare: o.ff, FanfareURL: o.fanfareURL, PublicURL: o.publicURL, Site: o.site, ShowLink: o.showLink,
		PhoneUser: a.phoneUser, SignIn: a.signInForCode, OnLogin: a.onLogin, OnAsk: a.onAsk, Audit: a.audited, Known: o.browsers, PasswordURL: "/signin",
		ClientIP: a.ip, Describe: describe, Place: placeOf, Policy: o.policy, Hosts: o.hosts, Store: o.attempts, Pepper: o.pepper, Times: o.times, Limits: o.limits, Logger: o.log,
	}
	if len(o.devices) > 0 {
		options.Devices = &qrlogin.Devices{Clients: o.devices, Token: a.deviceToken}
	}
	if a.passkeys != nil {
		options.PasskeyURL, options.Confirm = "/passkey", a.passkeys
	}
	return qrlogin.New(options)
}

func (a *app) ownRoutes() *http.ServeMux {
	own := http.NewServeMux()
	own.HandleFunc("GET /{$}", a.getAccount)
	own.Handle("GET /login", a.qr.LoginPage())
	own.HandleFunc("GET /signin", a.getSignIn)
	own.HandleFunc("POST /signin", a.postSignIn)
	own.HandleFunc("POST /signout", a.postSignOut)
	own.HandleFunc("GET /account/live", a.getLive)
	own.HandleFunc("GET /account/devices", a.getDevices)
	own.HandleFunc("GET /account/activity", a.getActivity)
	own.HandleFunc("POST /account/devices/{id}/end", a.postEnd)
	own.HandleFunc("POST /account/devices/end-others", a.postEndOthers)
	own.HandleFunc("POST /account/browsers/forget", a.postForget)
	own.HandleFunc("GET /funnel", a.getFunnel)
	if a.passkeys != nil {
		own.HandleFunc("POST /passkey/begin", a.postPasskeyBegin)
		own.HandleFunc("POST /passkey/finish", a.postPasskeyFinish)
		own.HandleFunc("POST /account/passkeys/begin", a.postAddBegin)
		own.HandleFunc("POST /account/passkeys/finish", a.postAddFinish)
		own.HandleFunc("POST /account/passkeys/{id}/remove", a.postRemove)
	}
	for _, name := range []string{"account.js", "signin.js", "funnel.js"} {
		own.HandleFunc("GET /assets/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=300")
			http.ServeFileFS(w, r, ui, "ui/"+name)
		})
	}
	own.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return own
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.public.Scheme == "https" { // browsers believe it only when they came by TLS
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	a.handler.ServeHTTP(w, r)
}

// run works until ctx is done.
func (a *app) run(ctx context.Context) error { return a.qr.Run(ctx) }

// settle waits for the pushes under way, after the last request.
func (a *app) settle() { a.told.Wait() }

// guard is what all of the app's own pages have in common.
func (a *app) guard(next http.Handler) http.Handler {
	connect := "'self'"
	if u, err := url.Parse(a.o.fanfareURL); err == nil && u.Host != "" {
		connect += " " + u.Scheme + "://" + u.Host + " " + map[string]string{"https": "wss", "http": "ws"}[u.Scheme] + "://" + u.Host
	}
	csp := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src " + connect + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	cross := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		qrlogin.Harden(w.Header())
		a.allowForms(w, r)
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		cross.ServeHTTP(w, r)
	})
}

// allowForms lets a page's forms through over plain http of a network. There
// browsers say where a POST comes from by Origin alone, and make that null on
// pages without referrer. The origin is all that they tell then, no path.
func (a *app) allowForms(w http.ResponseWriter, r *http.Request) {
	if _, secure, err := a.cookieName(r); err == nil && !secure && !onLoopback(r.Host) {
		w.Header().Set("Referrer-Policy", "strict-origin")
	}
}

func (a *app) ip(r *http.Request) netip.Addr { return clientIP(r, a.o.proxies) }

// phoneUser is the library's first callback: who is signed in here?
func (a *app) phoneUser(r *http.Request) (qrlogin.User, error) {
	s, ok := a.current(r)
	if !ok {
		return qrlogin.User{}, qrlogin.ErrNotSignedIn
	}
	one, _ := a.users.get(s.User)
	return qrlogin.User{ID: s.User, Name: one.Name, Session: s.ID}, nil
}

// onLogin is the library's second callback: a browser was let in.
func (a *app) onLogin(w http.ResponseWriter, r *http.Request, l qrlogin.Login) error {
	via := "QR code, confirmed on " + l.Phone.Label()
	if l.Verified {
		via += " with a passkey"
	}
	return a.begin(w, r, session{User: l.User.ID, Via: via, Passed: true})
}

// onAsk tells the user's devices that a remembered browser asks.
func (a *app) onAsk(_ context.Context, k qrlogin.Ask) error {
	a.note(k.User.ID, "asked", k.Browser.Label(), k.Browser.IP)
	a.push(k.User.ID, "ask", map[string]string{"label": k.Browser.Label(), "path": k.Path})
	return nil
}

// begin signs a browser in: a new session always, and its old one ends.
func (a *app) begin(w http.ResponseWriter, r *http.Request, one session) error {
	name, secure, err := a.cookieName(r)
	if err != nil {
		return err
	}
	if old, ok := a.current(r); ok {
		if old.User == one.User {
			one.Root = old.Root // what apps got through it goes on
		}
		a.drop(old, old.User != one.User)
	}
	one.Label, one.IP = describe(r).Label(), a.ip(r).String()
	secret, s := a.sessions.add(one)
	http.SetCookie(w, &http.Cookie{Name: name, Value: secret, Path: "/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	if !one.Passed {
		a.note(s.User, "signed_in_here", s.Label+" ("+s.Via+")", s.IP)
	}
	a.tell(s.User, "signed_in", s)
	return nil
}

// drop ends a session: its next request is refused, and its live connection is
// closed. With apps, what apps got through it ends too.
func (a *app) drop(s session, apps bool) bool {
	if !a.sessions.end(s.User, s.ID) {
		return false
	}
	if apps {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := a.oidc.EndSession(ctx, s.Root); err != nil {
			a.o.log.Error("the tokens of a session could not be ended", "error", err)
		}
	}
	a.told.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		// Its page hears why before the connection goes.
		a.pushNow(ctx, s.User, "signed_out", map[string]string{"id": s.ID, "label": s.Label})
		if _, err := a.o.ff.Kick(ctx, s.ID); err != nil {
			a.o.log.Warn("a live connection could not be closed", "error", err)
		}
	})
	return true
}

// current is the session of the request.
func (a *app) current(r *http.Request) (session, bool) {
	name, _, err := a.cookieName(r)
	if err != nil {
		return session{}, false
	}
	c, err := r.Cookie(name)
	if err != nil {
		return session{}, false
	}
	s, ok := a.sessions.get(c.Value)
	return s, ok && !s.Device
}

func userChannel(userID string) string { return "user:" + userID }

// tell pushes to all account pages of a user. Nobody waits for it but the end
// of the program.
func (a *app) tell(userID, event string, s session) {
	a.push(userID, event, map[string]string{"id": s.ID, "label": s.Label})
}

func (a *app) push(userID, event string, data map[string]string) {
	a.told.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a.pushNow(ctx, userID, event, data)
	})
}

func (a *app) pushNow(ctx context.Context, userID, event string, data map[string]string) {
	if _, err := a.o.ff.Publish(ctx, userChannel(userID), data, fanfare.Event(event)); err != nil {
		a.o.log.Warn("an account page could not be told", "event", event, "error", err)
	}
}
