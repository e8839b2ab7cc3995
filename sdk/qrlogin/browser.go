package qrlogin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// cookie is the browser's half of an attempt. Each attempt has its own, so
// that two tabs do not disturb each other, and the value is always the
// server's. With https its name begins with __Host-, which no other host and
// no plain http can set.
func (s *Server) cookie(r *http.Request, attempt, value string, life time.Duration) (*http.Cookie, error) {
	secure := s.overTLS(r)
	if !secure && !loopback(r.Host) {
		return nil, newProblem(http.StatusForbidden, "https_only", "QR login works over https only, except on this very computer.", "Open the page by https, or by http://127.0.0.1.")
	}
	age := int(life.Seconds())
	if value == "" {
		age = -1
	}
	return &http.Cookie{
		Name: cookieName(secure, attempt), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}, nil
}

func cookieName(secure bool, attempt string) string {
	if secure {
		return "__Host-qrl-" + attempt
	}
	return "qrl-" + attempt
}

// overTLS reports whether the browser came by https: to us, or to the proxy
// that PublicURL names.
func (s *Server) overTLS(r *http.Request) bool {
	return r.TLS != nil || s.public.Scheme == "https" && strings.EqualFold(r.Host, s.public.Host)
}

// secretOf is the browser's secret for the attempt, or "".
func (s *Server) secretOf(r *http.Request, attempt string) string {
	c, err := r.Cookie(cookieName(s.overTLS(r), attempt))
	if err != nil {
		return ""
	}
	return c.Value
}

// bound is the attempt of the path if the request comes from its browser. An
// attempt of somebody else is answered as one that does not exist.
func (s *Server) bound(r *http.Request) (Attempt, error) {
	id := r.PathValue("id")
	secret := s.secretOf(r, id)
	if !isID(id) || secret == "" {
		return Attempt{}, errGone
	}
	a, err := s.get(r.Context(), id)
	if err != nil {
		return Attempt{}, err
	}
	if !a.Secret.Is(secret) {
		return Attempt{}, errGone
	}
	return a.at(time.Now()), nil
}

// created answers POST /qr/attempts.
type created struct {
	pageView
	channelGrant
	AttemptID string   `json:"attempt_id"`
	QRURL     string   `json:"qr_url,omitempty"`
	QRPath    string   `json:"qr_svg_path,omitempty"`
	UserCode  string   `json:"user_code,omitempty"`
	CodeURL   string   `json:"code_url,omitempty"` // where a phone types the user code
	Asker     *Profile `json:"asker,omitempty"`    // whom this browser may ask, masked
}

// begun is an attempt with its secrets, which only now are there in clear.
type begun struct {
	Attempt
	secret, ticket, code string
}

// beginAttempt makes and stores an attempt. a says what is known of who asks.
func (s *Server) beginAttempt(r *http.Request, a Attempt) (begun, error) {
	for range 4 {
		b := begun{secret: newSecret(), ticket: newID(), code: newUserCode()}
		if a.Kind == ByDevice {
			b.code = s.deviceUserCode(b.ticket)
		}
		if a.Kind == ByPlain {
			b.ticket, b.code = s.plainTicket(b.secret), s.plainUserCode(b.secret)
			a.PKCE = pkce(s.plainVerifier(b.secret))
		}
		a.ID, a.Tenant, a.Channel, a.PhoneChannel = newID(), s.o.Tenant, "qr:"+newID(), "qrp:"+newID()
		a.Secret, a.UserCode = HashOf(b.secret), s.userCodeHash(plainCode(b.code))
		if a.Asked.ID != "" {
			b.code, a.UserCode = "", Hash{}
		}
		b.Attempt = begin(a, time.Now(), HashOf(b.ticket), s.o.Times)
		switch err := s.o.Store.Create(r.Context(), b.Attempt); {
		case errors.Is(err, ErrConflict): // somebody has that user code
		case err != nil:
			return begun{}, err
		default:
			s.alarms.setIfLive(b.Attempt)
			s.audit(r.Context(), r, ActionCreated, b.Attempt, b.Asked.ID)
			return b, nil
		}
	}
	return begun{}, ErrConflict
}

// postAttempt makes an attempt for this browser. The browser sends the S256
// challenge of its login code, and whether it asks its user without a code.
func (s *Server) postAttempt(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Challenge string `json:"code_challenge"`
		Ask       bool   `json:"ask"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if !isChallenge(in.Challenge) {
		return badRequest("code_challenge has to be the base64url of a SHA-256, without padding (PKCE S256).")
	}
	asker, err := s.asker(r)
	if err != nil {
		return err
	}
	a := Attempt{Kind: ByPage, PKCE: in.Challenge, Browser: s.browserOf(r), Headless: headless(r), BrowserKey: s.browserKey(r)}
	if in.Ask {
		if a.Asked, err = s.mayAsk(asker); err != nil {
			return err
		}
	}
	b, err := s.openFor(w, r, a)
	if err != nil {
		return err
	}
	grant, err := s.grant(b.Channel, time.Now().Add(s.o.Times.longest()))
	if err != nil {
		return err
	}
	out := created{pageView: s.viewOf(b.Attempt), channelGrant: grant, AttemptID: b.ID}
	if in.Ask {
		s.ask(r.Context(), b.Attempt)
	} else {
		out.QRURL, out.QRPath = s.ticketURL(b.ticket), svgPath(b.ID, b.ticket)
		out.UserCode, out.CodeURL = b.code, s.codeURL()
		if asker.ID != "" {
			p := asker.masked()
			out.Asker = &p
		}
	}
	writeJSON(w, http.StatusCreated, "application/json", out)
	return nil
}

// openFor begins an attempt for the browser of r and gives it its cookie.
func (s *Server) openFor(w http.ResponseWriter, r *http.Request, a Attempt) (begun, error) {
	if _, err := s.cookie(r, "", "x", time.Minute); err != nil {
		return begun{}, err // before anything is stored
	}
	b, err := s.beginAttempt(r, a)
	if err != nil {
		return begun{}, err
	}
	c, err := s.cookie(r, b.ID, b.secret, s.o.Times.longest()+time.Minute)
	if err != nil {
		return begun{}, err
	}
	s.clearDead(w, r)
	http.SetCookie(w, c)
	return b, nil
}

// clearDead drops the cookies of attempts that are over, so that a page which
// shows many codes does not gather them.
func (s *Server) clearDead(w http.ResponseWriter, r *http.Request) {
	prefix := cookieName(s.overTLS(r), "")
	for i, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, prefix)
		if !ours || !isID(id) || i > 50 {
			continue
		}
		a, err := s.get(r.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) || err == nil && !a.at(time.Now()).State.Terminal() {
			continue
		}
		if dead, err := s.cookie(r, id, "", 0); err == nil {
			http.SetCookie(w, dead)
		}
	}
}

func (s *Server) ticketURL(ticket string) string { return ticketURL(s.public, ticket, s.o.KeepCase) }

// codeURL is where a phone types a user code, as people read it.
func (s *Server) codeURL() string { return s.public.Host + "/q" }

func svgPath(id, ticket string) string {
	return "/qr/attempts/" + id + "/qr.svg?t=" + url.QueryEscape(ticket)
}

// postRotate puts a new code in place of the one on the screen.
func (s *Server) postRotate(w http.ResponseWriter, r *http.Request) error {
	a, err := s.bound(r)
	if err != nil {
		return err
	}
	a, ticket, err := s.rotate(r.Context(), a.ID)
	if err != nil {
		return inState(err, a)
	}
	writeJSON(w, http.StatusOK, "application/json", struct {
		pageView
		QRURL  string `json:"qr_url"`
		QRPath string `json:"qr_svg_path"`
	}{s.viewOf(a), s.ticketURL(ticket), svgPath(a.ID, ticket)})
	return nil
}

func (s *Server) rotate(ctx context.Context, id string) (a Attempt, ticket string, err error) {
	ticket = newID()
	a, err = s.step(ctx, id, func(a Attempt, now time.Time) (Attempt, error) {
		return a.rotate(now, HashOf(ticket), s.o.Times)
	})
	if err == nil {
		s.announce(ctx, a, "rotated")
	}
	return a, ticket, err
}

// inState adds the state to a 409 for somebody who may know it.
func inState(err error, a Attempt) error {
	if !errors.Is(err, errState) {
		return err
	}
	p := problemOf(err)
	p.State = a.State
	return p
}

func (s *Server) getAttempt(w http.ResponseWriter, r *http.Request) error {
	a, err := s.bound(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", s.viewOf(s.settle(r, a)))
	return nil
}

// getCode draws the code. The record has only the ticket's hash, so the page
// hands the ticket back.
func (s *Server) getCode(w http.ResponseWriter, r *http.Request) error {
	a, err := s.bound(r)
	if err != nil {
		return err
	}
	ticket := r.URL.Query().Get("t")
	if !isID(ticket) || a.State != Pending || !a.Ticket.Hash.Is(ticket) {
		return errGone
	}
	if a.Rotations == 0 {
		s.funnel.shown()
	}
	return writeQR(w, s.ticketURL(ticket))
}

func (s *Server) deleteAttempt(w http.ResponseWriter, r *http.Request) error {
	a, err := s.bound(r)
	if err != nil {
		return err
	}
	a, err = s.step(r.Context(), a.ID, Attempt.cancel)
	if err != nil {
		return inState(err, a)
	}
	s.announce(r.Context(), a, "cancelled")
	s.audit(r.Context(), r, ActionCancelled, a, a.UserID)
	if c, err := s.cookie(r, a.ID, "", 0); err == nil {
		http.SetCookie(w, c)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
