package qrlogin

import (
	"cmp"
	"net/http"
	"strings"
)

// hostPage is what a host passes on of a phone that opened a code's address
// there: who is signed in, and the fields of the form that was sent, if any.
type hostPage struct {
	hostUser
	Go     string `json:"go"` // the person wants to see which browser it is
	ID     string `json:"id"`
	Linked string `json:"linked"`
	From   string `json:"sec_fetch_site"` // the header, as the host got it
}

// hostPhone draws the page of the host's phone, which the host passes on: so a
// backend in any language has one that is translated, and says all that the
// person has to know. Its forms go back to the host's own address, whose guard
// against other sites is the host's.
func (s *Server) hostPhone(w http.ResponseWriter, r *http.Request, h Host) error {
	var in hostPage
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := in.user(h)
	if err != nil {
		return err
	}
	q, err := in.as(r)
	if err != nil {
		return err
	}
	q.SetPathValue("id", in.ID)
	site := plainForm{Site: h.Name}
	if h.PublicURL != "" {
		site.Site = s.publicOf(h).Hostname()
	}
	if err := s.hostPhoneStep(w, q, h, u, in, site); err != nil {
		o := s.o
		o.Site = site.Site
		s.pages.message(w, q, o, problemOf(err))
	}
	return nil
}

func (s *Server) hostPhoneStep(w http.ResponseWriter, q *http.Request, h Host, u User, in hostPage, site plainForm) error {
	switch {
	case in.decision.Decision != "":
		if in.decision.Decision != "approve" && in.decision.Decision != "reject" {
			return badRequest(`decision has to be "approve" or "reject".`)
		}
		if err := s.limit(s.decide, q, 1); err != nil {
			return err
		}
		if _, err := s.hostAttempt(q, h); err != nil {
			return err
		}
		a, digits, err := s.settleOn(q, u, in.decision)
		if err != nil {
			return err
		}
		return s.drawPlainDone(w, q, site, a, in.Nonce, digits)
	case in.Go != "":
		if err := s.limit(s.scan, q, 1); err != nil {
			return err
		}
		ticket, _, _ := strings.Cut(in.Ticket, "?")
		a, nonce, err := s.take(q, u, scanned{Ticket: strings.Trim(ticket, "/"), Linked: in.Linked != ""})
		if err != nil {
			return err
		}
		return s.drawPlainAsk(w, q, site, a, u, nonce)
	}
	from := cmp.Or(in.From, "none")
	return s.pages.draw(w, q, http.StatusOK, "plainstart.html", map[string]any{"Site": site.Site, "Linked": from == "cross-site" || from == "same-site"})
}
