package main

import (
	"bytes"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

var errPlainHTTP = errors.New("sign-in works over https only, except on this computer or where --public-url says http")

// cookieName is that of the session cookie here. Over https no other host and
// no plain http can set it.
func (a *app) cookieName(r *http.Request) (name string, secure bool, err error) {
	isPublic := strings.EqualFold(r.Host, a.public.Host)
	switch {
	case r.TLS != nil, a.public.Scheme == "https" && isPublic:
		return "__Host-session", true, nil
	case onLoopback(r.Host), a.public.Scheme == "http" && isPublic:
		return "session", false, nil
	}
	return "", false, errPlainHTTP
}

func (a *app) draw(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := a.pages.ExecuteTemplate(&b, name, data); err != nil {
		a.o.log.Error("a page could not be drawn", "page", name, "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller is gone, if anything
}

// form is what the sign-in page shows.
type form struct {
	Site, Fault, User, ReturnTo string
	ForCode                     bool // it stands between a code and its approve page
	Passkey                     bool // passkeys can be had here
}

// PhoneURL is the page with the code, on the same way.
func (f form) PhoneURL() string {
	if f.ReturnTo == "" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {f.ReturnTo}, "login_hint": {f.User}}.Encode()
}

func (a *app) getSignIn(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("next")
	if next != "" && !qrlogin.LocalPath(next) {
		http.Error(w, "next has to be a path of this site.", http.StatusBadRequest)
		return
	}
	a.draw(w, http.StatusOK, "signin.html", form{Site: a.o.site, User: r.URL.Query().Get("login_hint"), ReturnTo: next, Passkey: a.passkeys != nil})
}

// signInForCode is the sign-in form at the code's own address. The way back
// goes into the form, never into a URL: it holds the ticket.
func (a *app) signInForCode(w http.ResponseWriter, r *http.Request, returnTo string) {
	a.allowForms(w, r)
	a.draw(w, http.StatusOK, "signin.html", form{Site: a.o.site, ReturnTo: returnTo, ForCode: true, Passkey: a.passkeys != nil})
}

func (a *app) postSignIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form is too large or damaged.", http.StatusBadRequest)
		return
	}
	id, back := strings.ToLower(strings.TrimSpace(r.PostFormValue("user"))), r.PostFormValue("return_to")
	f := form{Site: a.o.site, User: id, ReturnTo: back, ForCode: qrlogin.ScrubPath(back) != back, Passkey: a.passkeys != nil}
	if back == "" {
		back = "/"
	}
	if !qrlogin.LocalPath(back) {
		http.Error(w, "return_to has to be a path of this site.", http.StatusBadRequest)
		return
	}
	account, address := "account "+id+" "+a.ip(r).String(), "address "+a.ip(r).String()
	if wait := a.tries.blocked(account, address); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		f.Fault = "Too many tries. Please wait some minutes."
		a.draw(w, http.StatusTooManyRequests, "signin.html", f)
		return
	}
	one, ok, err := a.users.check(r.Context(), id, r.PostFormValue("password"))
	switch {
	case err != nil:
		a.o.log.Error("a password could not be checked", "error", err)
		http.Error(w, "Something went wrong.", http.StatusServiceUnavailable)
	case !ok:
		a.tries.fail(account, address)
		f.Fault = "Name or password is wrong."
		a.draw(w, http.StatusUnauthorized, "signin.html", f)
	default:
		a.tries.forgive(account)
		if err := a.begin(w, r, session{User: one.ID, Via: "Password"}); err != nil {
			http.Error(w, "Open this page by https: "+err.Error()+".", http.StatusForbidden)
			return
		}
		a.onward(w, r, back)
	}
}

// onward goes where somebody wanted to go who has signed in by a form.
func (a *app) onward(w http.ResponseWriter, r *http.Request, path string) {
	if strings.HasPrefix(path, "/oidc/") || strings.HasPrefix(path, "/forward/") {
		a.qr.Onward(w, r, path) // it may lead to another site
		return
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
}

func (a *app) postSignOut(w http.ResponseWriter, r *http.Request) {
	a.signOut(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// signOut ends the session of the request, and drops its cookie.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	if s, ok := a.current(r); ok {
		a.drop(s, true)
	}
	if name, secure, err := a.cookieName(r); err == nil {
		http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	}
}

// device is a session as the account page lists it.
type device struct {
	session
	This  bool
	Since string
}

func (a *app) devices(s session) (out []device) {
	for _, one := range a.sessions.list(s.User) {
		out = append(out, device{one, one.ID == s.ID, ago(time.Since(one.Created))})
	}
	return out
}

func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h ago"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days ago"
}

func (a *app) getAccount(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	one, _ := a.users.get(s.User)
	deeds := a.activity.of(s.User)
	a.draw(w, http.StatusOK, "account.html", map[string]any{
		"Site": a.o.site, "Name": one.Name, "This": s.ID, "Devices": a.devices(s), "Passkeys": one.Passkeys, "CanPasskey": a.passkeys != nil, "Limited": s.limited(),
		"Browsers": a.browsers.of(s.User), "Deeds": deeds[:min(8, len(deeds))],
	})
}

// getDevices is the list alone, for a page that heard of a change.
func (a *app) getDevices(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Error(w, "Not signed in.", http.StatusUnauthorized)
		return
	}
	a.draw(w, http.StatusOK, "devices", map[string]any{"Devices": a.devices(s)})
}

// liveToken is how long an account page may listen without asking again, so
// how long at most after its session ended.
const liveToken = 5 * time.Minute

// getLive lets an account page listen to its user's channel, and no other.
func (a *app) getLive(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Error(w, "Not signed in.", http.StatusUnauthorized)
		return
	}
	channel := userChannel(s.User)
	token, err := a.o.ff.Token(s.ID, protocol.Grants{Subscribe: []string{channel}}, liveToken)
	if err != nil {
		a.o.log.Error("a token could not be signed", "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	jsonAnswer(w, http.StatusOK, map[string]string{"fanfare_url": a.o.fanfareURL, "channel": channel, "token": token})
}

// postEnd ends another device's session. It takes effect at that device's next
// request, and its live connection is closed.
func (a *app) postEnd(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	for _, other := range a.sessions.list(s.User) {
		if other.ID == r.PathValue("id") && a.drop(other, true) {
			a.note(s.User, "ended", other.Label, a.ip(r).String())
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
	}
	http.Error(w, "There is no such device.", http.StatusNotFound)
}

// postEndOthers ends all sessions of the user but this one.
func (a *app) postEndOthers(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	for _, other := range a.sessions.list(s.User) {
		if other.ID != s.ID && a.drop(other, true) {
			a.note(s.User, "ended", other.Label, a.ip(r).String())
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// postForget forgets the user's known browsers.
func (a *app) postForget(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	if err := a.browsers.forget(s.User); err != nil {
		a.o.log.Error("known browsers could not be forgotten", "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// getActivity is what happened to the account, as JSON, newest first.
func (a *app) getActivity(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		http.Error(w, "Not signed in.", http.StatusUnauthorized)
		return
	}
	jsonAnswer(w, http.StatusOK, map[string]any{"activity": a.activity.of(s.User)})
}
