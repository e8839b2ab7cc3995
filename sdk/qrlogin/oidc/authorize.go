package oidc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// request is what an app asks for (OpenID Connect Core, 3.1.2.1).
type request struct {
	client    Client
	redirect  string
	state     string
	nonce     string
	challenge string // PKCE, S256
	scopes    []string
	prompt    []string
	maxAge    time.Duration // -1: does not say
	loginHint string
	idHint    string
	query     url.Values
}

// errPage is a fault of which no app may be told, since nobody knows whether
// the address is that of an app.
type errPage struct{ title, text string }

func (e errPage) Error() string { return e.title }

// since is a parameter of ours: when the browser was sent to sign in anew, with
// a seal, so that it is not sent again when it comes back.
const since = "fanfare_since"

// read checks a request. After an errPage nothing of it may be used; after
// another error the client, redirect and state are good.
func (p *Provider) read(r *http.Request, q url.Values) (a request, err error) {
	twice := ""
	for name, v := range q {
		if len(v) > 1 {
			twice = name
		}
	}
	if slices.Contains([]string{"client_id", "redirect_uri", "state"}, twice) {
		return a, errPage{"The app’s request is damaged", "It has " + twice + " twice."}
	}
	a = request{redirect: q.Get("redirect_uri"), state: q.Get("state"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), maxAge: -1, query: q,
		loginHint: q.Get("login_hint"), idHint: q.Get("id_token_hint"), prompt: strings.Fields(q.Get("prompt"))}
	a.client, err = p.o.Client(r.Context(), q.Get("client_id"))
	switch {
	case errors.Is(err, ErrNoClient):
		return a, errPage{"This app is not known here", "Its client_id is not registered. Tell whoever runs the app."}
	case err != nil:
		return a, err
	case !a.client.allows(a.redirect):
		return a, errPage{"The app’s request was refused", "Its redirect_uri is not one that is registered. Tell whoever runs the app."}
	case twice != "":
		return a, fault{0, "invalid_request", "A parameter is there twice: " + shown(twice)}
	}
	for _, s := range strings.Fields(q.Get("scope")) { // unknown ones are left out (3.1.2.1)
		if a.client.may(s) && !slices.Contains(a.scopes, s) {
			a.scopes = append(a.scopes, s)
		}
	}
	return a, a.check(q)
}

// check looks at what the app is told of.
func (a *request) check(q url.Values) error {
	switch {
	case q.Has("request"):
		return fault{0, "request_not_supported", "Send parameters, not a request object."}
	case q.Has("request_uri"):
		return fault{0, "request_uri_not_supported", "Send parameters, not a request object."}
	case q.Has("registration"):
		return fault{0, "registration_not_supported", "Clients are registered beforehand."}
	case q.Get("response_type") == "":
		return fault{0, "invalid_request", "response_type is missing: send code."}
	case q.Get("response_type") != "code":
		return fault{0, "unsupported_response_type", "response_type has to be code."}
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return fault{0, "invalid_request", "response_mode has to be query."}
	case !slices.Contains(a.scopes, "openid"):
		return fault{0, "invalid_scope", "scope has to hold openid, and the client has to be allowed it."}
	case a.challenge == "" || q.Get("code_challenge_method") != "S256":
		return fault{0, "invalid_request", "PKCE is required: send code_challenge and code_challenge_method=S256."}
	case len(a.state) > 2048 || len(a.nonce) > 512 || len(a.loginHint) > 256:
		return fault{0, "invalid_request", "state, nonce or login_hint is too long."}
	}
	if b, err := base64.RawURLEncoding.Strict().DecodeString(a.challenge); err != nil || len(b) != sha256.Size {
		return fault{0, "invalid_request", "code_challenge has to be the base64url of a SHA-256, without padding."}
	}
	if q.Has("max_age") {
		n, err := strconv.ParseUint(q.Get("max_age"), 10, 31)
		if err != nil {
			return fault{0, "invalid_request", "max_age has to be a number of seconds."}
		}
		a.maxAge = time.Duration(n) * time.Second
	}
	for _, one := range a.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, one) || one == "none" && len(a.prompt) > 1 {
			return fault{0, "invalid_request", "prompt has to be none alone, or some of login, consent and select_account."}
		}
	}
	return nil
}

// postAuthorize makes a GET of a POST: browsers send no cookie with a form of
// another site, but they do with where it leads.
func (p *Provider) postAuthorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.page(w, http.StatusBadRequest, "The app’s request is damaged", "It is too long or was cut off.")
		return
	}
	http.Redirect(w, r, "/oidc/authorize?"+r.PostForm.Encode(), http.StatusSeeOther)
}

// getAuthorize is where apps send their people.
func (p *Provider) getAuthorize(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		p.page(w, http.StatusBadRequest, "The app’s request is damaged", "Its query cannot be read.")
		return
	}
	a, err := p.read(r, q)
	if err != nil {
		p.fail(w, r, a, err)
		return
	}
	p.proceed(w, r, a)
}

// proceed asks for what is missing, sign-in or consent, or answers with a code.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, a request) {
	s, err := p.o.Session(r)
	if err != nil && !errors.Is(err, qrlogin.ErrNotSignedIn) {
		p.fail(w, r, a, err)
		return
	}
	none := slices.Contains(a.prompt, "none")
	if err != nil || p.stale(a, s) {
		if none {
			p.fail(w, r, a, fault{0, "login_required", "The user has to sign in."})
			return
		}
		p.o.SignIn(w, r, p.comeBack(a.query), a.loginHint)
		return
	}
	if a.idHint != "" {
		if claims, err := p.hinted(a.idHint); none && (err != nil || claims.Subject != s.User) {
			p.fail(w, r, a, fault{0, "login_required", "Another user is signed in."})
			return
		}
	}
	agreed, err := p.agreed(r.Context(), a, s)
	switch {
	case err != nil:
		p.fail(w, r, a, err)
	case agreed:
		p.giveCode(w, r, a, s)
	case none:
		p.fail(w, r, a, fault{0, "consent_required", "The user has to agree."})
	default:
		p.askConsent(w, a, s)
	}
}

// stale reports whether the user has to prove anew who they are.
func (p *Provider) stale(a request, s Session) bool {
	if at, ok := p.sentAt(a.query); ok && !s.Since.Before(at) {
		return false // that was done, for this very request
	}
	again := slices.Contains(a.prompt, "login") || slices.Contains(a.prompt, "select_account")
	return again || a.maxAge >= 0 && time.Since(s.Since) > a.maxAge
}

// comeBack is the path of the same request after a fresh sign-in.
func (p *Provider) comeBack(q url.Values) string {
	q = without(q, since)
	at := strconv.FormatInt(time.Now().UnixMilli(), 10)
	text := q.Encode()
	return "/oidc/authorize?" + text + "&" + since + "=" + at + "." + p.seal("since", text, at)
}

func (p *Provider) sentAt(q url.Values) (time.Time, bool) {
	at, seal, ok := strings.Cut(q.Get(since), ".")
	if !ok || !hmac.Equal([]byte(seal), []byte(p.seal("since", without(q, since).Encode(), at))) {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	return time.UnixMilli(ms), err == nil
}

func without(q url.Values, name string) url.Values {
	out := url.Values{}
	for k, v := range q {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// seal is a keyed hash of parts for one purpose.
func (p *Provider) seal(purpose string, parts ...string) string {
	mac := hmac.New(sha256.New, p.o.Keys.Secret())
	for _, part := range append([]string{purpose}, parts...) {
		_, _ = mac.Write([]byte(strconv.Itoa(len(part)) + " " + part)) // a hash does not fail
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// fail tells the app, or the person where the app cannot be told.
func (p *Provider) fail(w http.ResponseWriter, r *http.Request, a request, err error) {
	if e, ok := errors.AsType[errPage](err); ok {
		p.page(w, http.StatusBadRequest, e.title, e.text)
		return
	}
	f, ok := errors.AsType[fault](err)
	if !ok {
		if r.Context().Err() == nil {
			p.o.Logger.Error("oidc: a request failed", "path", r.URL.Path, "error", err)
		}
		if a.client.ID == "" {
			p.page(w, http.StatusServiceUnavailable, "That did not work", "Try again in a moment.")
			return
		}
		f = fault{0, "server_error", "Try again in a moment."}
	}
	p.o.Logger.Info("oidc: refused", "client", a.client.ID, "code", f.code)
	p.sendBack(w, r, a, url.Values{"error": {f.code}, "error_description": {f.text}})
}

// sendBack goes to the app with an answer. 303, so that no form goes there too;
// iss, so that the app knows who answers (RFC 9207).
func (p *Provider) sendBack(w http.ResponseWriter, r *http.Request, a request, answer url.Values) {
	answer.Set("iss", p.base)
	if a.state != "" {
		answer.Set("state", a.state)
	}
	between := "?"
	if strings.Contains(a.redirect, "?") {
		between = "&"
	}
	w.Header().Set("Location", a.redirect+between+answer.Encode())
	w.WriteHeader(http.StatusSeeOther)
}
