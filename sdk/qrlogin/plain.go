package qrlogin

import (
	"encoding/base32"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// A page without scripts has its cookie and nothing else. So ticket, user code
// and login code are made of the cookie's secret by keyed hashes: the page can
// be drawn again and again, and the store still has no secret in clear.

func (s *Server) plainVerifier(secret string) string {
	return s.keyed("plain verifier", secret).String()
}

func (s *Server) plainTicket(secret string) string {
	h := s.keyed("plain ticket", secret)
	return base32.StdEncoding.EncodeToString(h[:])[:26]
}

func (s *Server) plainUserCode(secret string) string { return s.codeFrom("plain code", secret) }

// codeFrom makes a user code of a secret.
func (s *Server) codeFrom(purpose, secret string) string {
	h := s.keyed(purpose, secret)
	out := make([]byte, 8)
	for i := range out { // 16 bits for 20 letters: as good as even
		out[i] = codeLetters[(int(h[2*i])<<8|int(h[2*i+1]))%len(codeLetters)]
	}
	return string(out[:4]) + "-" + string(out[4:])
}

func (s *Server) plainRoutes(route func(string, *limiter, func(http.ResponseWriter, *http.Request) error)) {
	route("POST /qr/plain", s.create, s.postPlain)
	route("GET /qr/plain/{id}", s.read, s.getPlain)
	route("GET /qr/plain/{id}/qr.svg", s.read, s.getPlainCode)
	route("POST /qr/plain/{id}/code", s.exchange, s.postPlainCode)
	route("POST /qr/plain/{id}/finish", s.exchange, s.postPlainFinish)
	route("POST /qr/plain-scan", s.scan, s.postPlainScan)
	route("POST /qr/plain/{id}/decision", s.decide, s.postPlainDecision)
}

// postPlain begins an attempt for a page without scripts.
func (s *Server) postPlain(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	b, err := s.openFor(w, r, Attempt{Kind: ByPlain, Browser: s.browserOf(r), Headless: headless(r), BrowserKey: s.browserKey(r)})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/qr/plain/"+b.ID+withNext(next), http.StatusSeeOther)
	return nil
}

// withNext is the query that carries next through the pages without scripts.
func withNext(next string) string {
	if next == "" {
		return ""
	}
	return "?" + url.Values{"next": {next}}.Encode()
}

// plainBound is the attempt of a page without scripts.
func (s *Server) plainBound(r *http.Request) (a Attempt, secret string, err error) {
	if a, err = s.bound(r); err != nil {
		return a, "", err
	}
	if a.Kind != ByPlain {
		return a, "", errGone
	}
	return a, s.secretOf(r, a.ID), nil
}

// getPlain is that page. It loads itself again every few seconds; where
// something is typed it waits.
func (s *Server) getPlain(w http.ResponseWriter, r *http.Request) error {
	a, secret, err := s.plainBound(r)
	if err != nil {
		return err
	}
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	v := s.viewOf(a)
	data := map[string]any{"Query": withNext(next), "Site": s.o.Site, "ID": a.ID, "State": string(a.State), "Reason": a.Reason, "Profile": v.Profile, "Digits": v.Digits, "Tries": v.Tries}
	if a.State == Pending {
		data["Code"], data["CodeURL"] = s.plainUserCode(secret), s.codeURL()
	}
	data["Wrong"] = a.State == Challenged && a.Tries < maxTries
	data["Refresh"] = a.State == Pending || a.State == Scanned
	return s.pages.draw(w, r, http.StatusOK, "plain.html", data)
}

func (s *Server) getPlainCode(w http.ResponseWriter, r *http.Request) error {
	a, secret, err := s.plainBound(r)
	if err != nil {
		return err
	}
	if a.State != Pending {
		return errGone
	}
	return writeQR(w, s.ticketURL(s.plainTicket(secret)))
}

func (s *Server) postPlainCode(w http.ResponseWriter, r *http.Request) error {
	a, secret, err := s.plainBound(r)
	if err != nil {
		return err
	}
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	// What was typed too late shows on the page.
	if _, err := s.typeCode(r, secret, s.plainVerifier(secret), r.PostFormValue("code")); err != nil && !errors.Is(err, errState) && problemOf(err).Status != http.StatusConflict {
		return err
	}
	http.Redirect(w, r, "/qr/plain/"+a.ID+withNext(next), http.StatusSeeOther)
	return nil
}

// postPlainFinish lets the browser in if the phone has approved, and else
// shows the page again.
func (s *Server) postPlainFinish(w http.ResponseWriter, r *http.Request) error {
	a, secret, err := s.plainBound(r)
	if err != nil {
		return err
	}
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	if a.State != Approved {
		http.Redirect(w, r, "/qr/plain/"+a.ID+withNext(next), http.StatusSeeOther)
		return nil
	}
	if a, err = s.consume(r, a.ID, secret, s.plainVerifier(secret)); err != nil {
		return err
	}
	if err := s.letIn(w, r, a); err != nil {
		return err
	}
	if next == "" {
		http.Redirect(w, r, s.o.AfterLogin, http.StatusSeeOther)
	} else {
		s.Onward(w, r, next)
	}
	s.tellPhone(r.Context(), a, "completed")
	return nil
}

// postPlainScan is the scan of a phone without scripts: the facts and two
// buttons.
func (s *Server) postPlainScan(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	a, nonce, err := s.take(r, u, scanned{
		Ticket: r.PostFormValue("ticket"), UserCode: r.PostFormValue("user_code"), Asked: r.PostFormValue("asked"), Linked: r.PostFormValue("linked") != "",
	})
	if err != nil {
		return err
	}
	return s.drawPlainAsk(w, r, plainForm{s.o.Site, "/qr/plain/" + a.ID + "/decision"}, a, u, nonce)
}

// plainForm is where a phone's page without scripts stands, and where its form
// goes; "" is back to the same address.
type plainForm struct{ Site, Action string }

// drawPlainAsk draws the facts and two buttons.
func (s *Server) drawPlainAsk(w http.ResponseWriter, r *http.Request, f plainForm, a Attempt, u User, nonce string) error {
	return s.pages.draw(w, r, http.StatusOK, "plainask.html", map[string]any{
		"Site": f.Site, "Action": f.Action, "ID": a.ID, "Nonce": nonce, "Name": u.Name, "Label": a.Browser.Label(), "Browser": a.Browser, "Found": a.Found,
		"Seconds": int(time.Since(a.Created).Seconds()), "CanAsk": s.o.OnAsk != nil && a.Kind != ByHost,
	})
}

func (s *Server) postPlainDecision(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	in := decision{Decision: r.PostFormValue("decision"), Nonce: r.PostFormValue("nonce"), Remember: r.PostFormValue("remember") != ""}
	if in.Decision != "approve" && in.Decision != "reject" {
		return badRequest(`decision has to be "approve" or "reject".`)
	}
	a, digits, err := s.settleOn(r, u, in)
	if err != nil {
		return err
	}
	return s.drawPlainDone(w, r, plainForm{s.o.Site, "/qr/plain/" + a.ID + "/decision"}, a, in.Nonce, digits)
}

// drawPlainDone draws what came of the decision: the digits, perhaps.
func (s *Server) drawPlainDone(w http.ResponseWriter, r *http.Request, f plainForm, a Attempt, nonce, digits string) error {
	name := map[State]string{Challenged: "challenge", Approved: "approved", Rejected: "rejected"}[a.State]
	data := map[string]any{"Site": f.Site, "Action": f.Action, "ID": a.ID, "Nonce": nonce, "State": name, "Label": a.Browser.Label()}
	if a.State == Challenged {
		data["Check"] = digits[:a.Digits]
	}
	return s.pages.draw(w, r, http.StatusOK, "plaindone.html", data)
}

// writeQR draws a code as the answer.
func writeQR(w http.ResponseWriter, text string) error {
	svg, err := drawQR(text)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(svg) // the caller is gone, if anything
	return nil
}
