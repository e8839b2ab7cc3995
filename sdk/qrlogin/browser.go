package qrlogin

import (
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
	a, err := s.o.Store.Get(r.Context(), id)
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
	AttemptID string `json:"attempt_id"`
	QRURL     string `json:"qr_url"`
	QRPath    string `json:"qr_svg_path"`
}

// postAttempt makes an attempt for this browser. The browser sends the S256
// challenge of its login code, and nothing else that is used.
func (s *Server) postAttempt(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Challenge string `json:"code_challenge"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if !isChallenge(in.Challenge) {
		return badRequest("code_challenge has to be the base64url of a SHA-256, without padding (PKCE S256).")
	}
	now, secret, ticket := time.Now(), newSecret(), newID()
	a := begin(Attempt{
		ID: newID(), Channel: "qr:" + newID(), PhoneChannel: "qrp:" + newID(),
		Secret: HashOf(secret), Challenge: in.Challenge, Browser: s.browserOf(r),
	}, now, HashOf(ticket), s.o.Times)
	c, err := s.cookie(r, a.ID, secret, s.o.Times.longest()+time.Minute)
	if err != nil {
		return err
	}
	grant, err := s.grant(a.Channel, now.Add(s.o.Times.longest()))
	if err != nil {
		return err
	}
	if err := s.o.Store.Create(r.Context(), a); err != nil {
		return err
	}
	s.alarms.setIfLive(a)
	s.clearDead(w, r)
	http.SetCookie(w, c)
	writeJSON(w, http.StatusCreated, "application/json", created{s.viewOf(a), grant, a.ID, s.ticketURL(ticket), svgPath(a.ID, ticket)})
	return nil
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
		a, err := s.o.Store.Get(r.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) || err == nil && !a.at(time.Now()).State.Terminal() {
			continue
		}
		if dead, err := s.cookie(r, id, "", 0); err == nil {
			http.SetCookie(w, dead)
		}
	}
}

func (s *Server) ticketURL(ticket string) string { return ticketURL(s.public, ticket, s.o.KeepCase) }

func svgPath(id, ticket string) string {
	return "/qr/attempts/" + id + "/qr.svg?t=" + url.QueryEscape(ticket)
}

// postRotate puts a new code in place of the one on the screen.
func (s *Server) postRotate(w http.ResponseWriter, r *http.Request) error {
	a, err := s.bound(r)
	if err != nil {
		return err
	}
	ticket := newID()
	a, err = s.step(r.Context(), a.ID, func(a Attempt, now time.Time) (Attempt, error) {
		return a.rotate(now, HashOf(ticket), s.o.Times)
	})
	if err != nil {
		return inState(err, a)
	}
	s.announce(r.Context(), a, "rotated")
	writeJSON(w, http.StatusOK, "application/json", struct {
		pageView
		QRURL  string `json:"qr_url"`
		QRPath string `json:"qr_svg_path"`
	}{s.viewOf(a), s.ticketURL(ticket), svgPath(a.ID, ticket)})
	return nil
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
	svg, err := drawQR(s.ticketURL(ticket))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(svg) // the caller is gone, if anything
	return nil
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
	if c, err := s.cookie(r, a.ID, "", 0); err == nil {
		http.SetCookie(w, c)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postExchange is where an approval becomes a session: once, for the browser
// with the cookie and the login code. Whatever is wrong with the proof is the
// same 403.
func (s *Server) postExchange(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Verifier string `json:"code_verifier"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	secret := s.secretOf(r, id)
	if !isID(id) {
		return errForbidden
	}
	a, err := s.step(r.Context(), id, func(a Attempt, now time.Time) (Attempt, error) {
		return a.consume(now, secret, in.Verifier)
	})
	if errors.Is(err, ErrNotFound) {
		return errForbidden
	}
	if err != nil {
		return inState(err, a)
	}
	c, err := s.cookie(r, a.ID, "", 0)
	if err != nil {
		return err
	}
	user := User{ID: a.UserID, Name: a.UserName}
	if err := s.o.OnLogin(w, r, Login{User: user, Browser: a.Browser, Phone: a.PhoneIs, Attempt: a.ID}); err != nil {
		s.tellPhone(r.Context(), a, "failed")
		return err
	}
	http.SetCookie(w, c)
	s.o.Logger.Info("qrlogin: signed in", "attempt", a.ID, "user", a.UserID, "browser", a.Browser.Label(), "ip", a.Browser.IP, "took", time.Since(a.Created).Round(time.Millisecond))
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"name": user.Name, "next": s.o.AfterLogin})
	// The page does not wait for the phone to be told.
	_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends at the end
	s.tellPhone(r.Context(), a, "completed")
	return nil
}
