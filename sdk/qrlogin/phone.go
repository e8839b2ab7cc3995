package qrlogin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// phoneUser is who is signed in on the phone.
func (s *Server) phoneUser(r *http.Request) (User, error) {
	if u, ok, err := s.bearerUser(r); ok {
		return u, err
	}
	u, err := s.o.PhoneUser(r)
	switch {
	case err != nil:
		return User{}, err
	case u.ID == "" || u.Session == "":
		return User{}, errors.New("qrlogin: PhoneUser has to answer with ID and Session")
	}
	return u, nil
}

// getApprove is what the QR code opens. It looks nothing up and changes
// nothing, whatever the ticket: mail scanners, previews and prefetch open links
// too. The scan is a POST that the page sends.
func (s *Server) getApprove(w http.ResponseWriter, r *http.Request) error {
	ticket := strings.ToUpper(r.PathValue("ticket"))
	if !isID(ticket) {
		return errGone
	}
	// A link from another site is not a code on one's own screen. The mark
	// outlives the sign-in that may come between.
	fromLink := linked(r) || r.URL.Query().Get("via") == "link"
	back := "/q/" + ticket
	if fromLink {
		back += "?via=link"
	}
	return s.asUser(w, r, back, func(u User) error {
		return s.drawApprove(w, r, approvePage{Ticket: ticket, Name: u.Name, Linked: fromLink})
	})
}

// getAsk is where a phone answers a remembered browser that asks without a
// code. It changes nothing either.
func (s *Server) getAsk(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !isID(id) {
		return errGone
	}
	return s.asUser(w, r, "/qr/ask/"+id, func(u User) error {
		return s.drawApprove(w, r, approvePage{Asked: id, Name: u.Name})
	})
}

// getType is where a phone types a user code.
func (s *Server) getType(w http.ResponseWriter, r *http.Request) error {
	return s.asUser(w, r, "/q/", func(u User) error {
		return s.drawApprove(w, r, approvePage{Type: true, Name: u.Name})
	})
}

// asUser draws a page for the phone's user, or the sign-in that leads back.
func (s *Server) asUser(w http.ResponseWriter, r *http.Request, back string, draw func(User) error) error {
	u, err := s.phoneUser(r)
	if errors.Is(err, ErrNotSignedIn) && s.o.SignIn != nil {
		s.o.SignIn(w, r, back)
		return nil
	}
	if err != nil {
		return err
	}
	return draw(u)
}

// asked answers POST /qr/scan: what the person is about to approve.
type asked struct {
	phoneView
	channelGrant
	AttemptID string          `json:"attempt_id"`
	Nonce     string          `json:"decision_nonce"`
	Site      string          `json:"site"`
	Context   Browser         `json:"context"`
	Started   time.Time       `json:"started_at"`
	Same      bool            `json:"same_network"`
	Mismatch  bool            `json:"network_mismatch"`
	New       bool            `json:"new_browser"`
	Distance  int             `json:"distance_km,omitempty"`
	Reasons   []string        `json:"risk_reasons,omitempty"`
	CanAsk    bool            `json:"can_remember,omitempty"`
	Code      string          `json:"user_code,omitempty"` // of a device: to be compared with its screen
	Confirm   json.RawMessage `json:"confirm,omitempty"`   // WebAuthn request options
}

// scanned is what a phone sends to get an attempt: one of the three.
type scanned struct {
	Ticket   string `json:"ticket"`
	UserCode string `json:"user_code"`
	Asked    string `json:"asked"`  // the id of an attempt that names this user
	Linked   bool   `json:"linked"` // the page was opened by a link
}

// postScan gives the attempt to this phone. The first one wins; a second is
// refused, and both sides are told.
func (s *Server) postScan(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	var in scanned
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return s.answerScan(w, r, u, in)
}

func (s *Server) answerScan(w http.ResponseWriter, r *http.Request, u User, in scanned) error {
	a, nonce, err := s.take(r, u, in)
	if err != nil {
		return err
	}
	grant, err := s.grant(a.PhoneChannel, time.Now().Add(s.o.Times.Decide+s.o.Times.Challenge+s.o.Times.Exchange))
	if err != nil {
		return err
	}
	out := asked{
		phoneView: phoneViewOf(a), channelGrant: grant, AttemptID: a.ID, Nonce: nonce, Site: s.o.Site,
		Context: a.Browser, Started: a.Created.UTC(), Same: !a.Found.OtherNetwork, Mismatch: a.Found.OtherNetwork,
		New: a.Found.NewBrowser, Distance: int(max(0, a.Found.Distance)), CanAsk: s.o.OnAsk != nil && a.Kind == ByPage,
	}
	if a.Kind == ByDevice {
		if out.Code = in.UserCode; out.Code == "" {
			out.Code = s.deviceUserCode(strings.ToUpper(in.Ticket))
		} else if plain := plainCode(in.UserCode); plain != "" {
			out.Code = plain[:4] + "-" + plain[4:]
		}
	}
	risk := Assess(a.Found, Adaptive)
	out.Risk, out.Reasons = risk.level(), risk.Reasons
	if s.o.Confirm != nil {
		if out.Confirm, err = s.o.Confirm.Options(r, u, binding(a, nonce)); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// take finds the attempt that the phone means and gives it to that phone.
func (s *Server) take(r *http.Request, u User, in scanned) (Attempt, string, error) {
	a, how, err := s.find(r, u, in)
	if err == nil && !a.servesUser(u) {
		err = errGone
	}
	if err != nil {
		return Attempt{}, "", err
	}
	nonce := newID()
	by := scanner{user: u, is: s.browserOf(r), nonce: HashOf(nonce)}
	by.found = s.signals(r, a, by, in)
	a, err = s.step(r.Context(), a.ID, func(a Attempt, now time.Time) (Attempt, error) {
		if in.Asked != "" {
			return a.answer(now, by, s.o.Times)
		}
		return a.scan(now, how, by, s.o.Times)
	})
	if errors.Is(err, errState) {
		s.suspicious(r, a, u)
		return Attempt{}, "", err
	}
	if err != nil {
		return Attempt{}, "", err
	}
	if in.Asked != "" {
		s.asking.forgive(u.ID)
		s.unanswered.forgive(u.ID)
	}
	s.announce(r.Context(), a, "scanned")
	s.audit(r.Context(), r, ActionScanned, a, u.ID)
	return a, nonce, nil
}

// signals gathers what speaks against an attempt that u's phone scans.
func (s *Server) signals(r *http.Request, a Attempt, by scanner, in scanned) Signals {
	from, _ := netip.ParseAddr(a.Browser.IP)
	there, here := a.Browser.Place, by.is.Place
	return Signals{
		NewBrowser:   !s.known(r.Context(), by.user.ID, a.BrowserKey),
		OtherNetwork: !sameNetwork(from, s.ip(r), there, here),
		OtherCountry: there.Country != "" && here.Country != "" && there.Country != here.Country,
		Distance:     there.distance(here),
		Automated:    there.Hosting || a.Headless,
		Linked:       in.Linked,
		Typed:        in.UserCode != "",
		Crowd:        s.crowd.others(addressKey(from).String(), by.user.ID),
	}
}

// find is the attempt that the phone means, and the hash that found it.
// Guesses are fined.
func (s *Server) find(r *http.Request, u User, in scanned) (Attempt, Hash, error) {
	switch {
	case in.Asked != "":
		a, err := s.get(r.Context(), in.Asked)
		if err == nil && a.Asked.ID == u.ID {
			return a, Hash{}, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Attempt{}, Hash{}, err
		}
	case in.UserCode != "":
		return s.findTyped(r, u, plainCode(in.UserCode))
	default:
		if ticket := strings.ToUpper(in.Ticket); isID(ticket) {
			a, err := s.lookUp(r, HashOf(ticket))
			if !errors.Is(err, ErrNotFound) {
				return a, HashOf(ticket), err
			}
		}
	}
	s.scan.charge(s.ip(r), 3)
	return Attempt{}, Hash{}, errGone
}

// lookUp is the live attempt of a ticket's or code's hash, or ErrNotFound.
func (s *Server) lookUp(r *http.Request, h Hash) (Attempt, error) {
	a, err := s.ours(s.o.Store.ByTicket(r.Context(), h))
	if err == nil && !a.takes(h, time.Now()) {
		err = ErrNotFound
	}
	return a, err
}

// findTyped is find for a typed code, which is short: five wrong ones lock the
// account's phones out of typing, twenty the address's, for ten minutes.
func (s *Server) findTyped(r *http.Request, u User, plain string) (Attempt, Hash, error) {
	address := addressKey(s.ip(r)).String()
	if wait := max(s.wrongUser.locked(u.ID), s.wrongAddress.locked(address)); wait > 0 {
		return Attempt{}, Hash{}, newProblem(http.StatusTooManyRequests, "too_many_codes", "Too many codes were wrong.", "Wait some minutes, or scan the code.").after(wait)
	}
	if plain != "" {
		h := s.userCodeHash(plain)
		a, err := s.lookUp(r, h)
		if !errors.Is(err, ErrNotFound) {
			return a, h, err
		}
	}
	s.wrongUser.add(u.ID)
	s.wrongAddress.add(address)
	return Attempt{}, Hash{}, errGone
}

// suspicious tells page and phone that somebody else scanned the code too.
func (s *Server) suspicious(r *http.Request, a Attempt, u User) {
	if a.State != Scanned && a.State != Challenged && a.State != Approved || a.heldBy(u) {
		return
	}
	before := len(a.Others)
	a, err := s.step(r.Context(), a.ID, func(a Attempt, now time.Time) (Attempt, error) {
		return a.scannedAgain(now, u), nil
	})
	if err != nil {
		s.o.Logger.Warn("qrlogin: a second scan could not be noted", "attempt", a.ID, "error", err)
		return
	}
	s.audit(r.Context(), r, ActionSecondScan, a, u.ID)
	if a.State == Rejected && len(a.Others) > before {
		s.announce(r.Context(), a, "rejected")
		s.audit(r.Context(), r, ActionRejected, a, a.UserID)
		return
	}
	s.announce(r.Context(), a, "suspicious_scan")
}
