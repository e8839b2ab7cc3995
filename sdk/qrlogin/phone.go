package qrlogin

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// phoneUser is who is signed in on the phone.
func (s *Server) phoneUser(r *http.Request) (User, error) {
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
	linked := r.Header.Get("Sec-Fetch-Site") == "cross-site" || r.URL.Query().Get("via") == "link"
	u, err := s.phoneUser(r)
	if errors.Is(err, ErrNotSignedIn) {
		if s.o.SignIn == nil {
			return err
		}
		back := "/q/" + ticket
		if linked {
			back += "?via=link"
		}
		s.o.SignIn(w, r, back)
		return nil
	}
	if err != nil {
		return err
	}
	s.pages.approve(w, s.o, ticket, u, linked)
	return nil
}

// asked answers POST /qr/scan: what the person is about to approve.
type asked struct {
	phoneView
	channelGrant
	AttemptID string    `json:"attempt_id"`
	Nonce     string    `json:"decision_nonce"`
	Site      string    `json:"site"`
	Context   Browser   `json:"context"`
	Started   time.Time `json:"started_at"`
	SameIP    bool      `json:"same_network"`
}

// postScan gives the attempt to this phone. The first one wins; a second is
// refused, and both sides are told.
func (s *Server) postScan(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	var in struct {
		Ticket string `json:"ticket"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	ticket := strings.ToUpper(in.Ticket)
	a, err := s.find(r, ticket)
	if err != nil {
		return err
	}
	nonce, is := newID(), s.browserOf(r)
	grant, err := s.grant(a.PhoneChannel, time.Now().Add(s.o.Times.Decide+s.o.Times.Exchange))
	if err != nil {
		return err
	}
	a, err = s.step(r.Context(), a.ID, func(a Attempt, now time.Time) (Attempt, error) {
		return a.scan(now, HashOf(ticket), scanner{u, is, HashOf(nonce)}, s.o.Times)
	})
	if errors.Is(err, errState) {
		s.suspicious(r, a, u)
		return err
	}
	if err != nil {
		return err
	}
	s.announce(r.Context(), a, "scanned")
	writeJSON(w, http.StatusOK, "application/json", asked{
		phoneView: phoneViewOf(a), channelGrant: grant, AttemptID: a.ID, Nonce: nonce, Site: s.o.Site,
		Context: a.Browser, Started: a.Created.UTC(), SameIP: a.Browser.IP == is.IP,
	})
	return nil
}

// find is the attempt of a ticket. Guesses are fined.
func (s *Server) find(r *http.Request, ticket string) (Attempt, error) {
	if isID(ticket) {
		a, err := s.o.Store.ByTicket(r.Context(), HashOf(ticket))
		if err == nil && a.takes(HashOf(ticket), time.Now()) {
			return a, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Attempt{}, err
		}
	}
	s.scan.charge(s.ip(r), 3)
	return Attempt{}, errGone
}

// suspicious tells page and phone that somebody else scanned the code too.
func (s *Server) suspicious(r *http.Request, a Attempt, u User) {
	if a.State != Scanned && a.State != Approved || a.heldBy(u) {
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
	s.o.Logger.Warn("qrlogin: a second phone scanned a code", "attempt", a.ID, "user", u.ID, "first", a.UserID, "ip", s.ip(r).String())
	if a.State == Rejected && len(a.Others) > before {
		s.announce(r.Context(), a, "rejected")
		return
	}
	s.announce(r.Context(), a, "suspicious_scan")
}

// postDecision is the yes or no of the phone that scanned.
func (s *Server) postDecision(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	var in struct {
		Decision string `json:"decision"`
		Nonce    string `json:"nonce"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Decision != "approve" && in.Decision != "reject" {
		return badRequest(`decision has to be "approve" or "reject".`)
	}
	if !isID(r.PathValue("id")) {
		return errGone
	}
	a, err := s.step(r.Context(), r.PathValue("id"), func(a Attempt, now time.Time) (Attempt, error) {
		return a.decide(now, u, in.Nonce, in.Decision == "approve", s.o.Times)
	})
	if err != nil {
		return inState(err, a)
	}
	s.announce(r.Context(), a, string(a.State))
	writeJSON(w, http.StatusOK, "application/json", phoneViewOf(a))
	return nil
}

// getPhone is the phone's snapshot.
func (s *Server) getPhone(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	a, err := s.o.Store.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if !a.heldBy(u) {
		return errGone
	}
	writeJSON(w, http.StatusOK, "application/json", phoneViewOf(s.settle(r, a.at(time.Now()))))
	return nil
}
