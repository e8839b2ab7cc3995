package qrlogin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// postCode takes the digits that the phone shows. Whoever types them sees that
// phone, so the two are in front of one person.
func (s *Server) postCode(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Code     string `json:"code"`
		Verifier string `json:"code_verifier"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	a, err := s.typeCode(r, s.secretOf(r, r.PathValue("id")), in.Verifier, in.Code)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", s.viewOf(a))
	return nil
}

// typeCode is one try at the digits. A wrong one is no error: the attempt
// says how many are left.
func (s *Server) typeCode(r *http.Request, secret, verifier, digits string) (Attempt, error) {
	id := r.PathValue("id")
	a, err := s.step(r.Context(), id, func(a Attempt, now time.Time) (Attempt, error) {
		return a.typed(now, secret, verifier, s.checkHash(id, digits), s.o.Times)
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return a, errForbidden
	case err != nil:
		return a, inState(err, a)
	case a.State == Approved:
		s.announce(r.Context(), a, "approved")
		s.tellPhone(r.Context(), a, "challenge_ok")
		s.audit(r.Context(), r, ActionApproved, a, a.UserID)
	case a.State == Rejected:
		s.announce(r.Context(), a, "rejected")
		s.audit(r.Context(), r, ActionWrongCode, a, a.UserID)
		s.audit(r.Context(), r, ActionRejected, a, a.UserID)
	default:
		s.announce(r.Context(), a, "challenge")
		s.audit(r.Context(), r, ActionWrongCode, a, a.UserID)
	}
	return a, nil
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
	a, err := s.consume(r, id, s.secretOf(r, id), in.Verifier)
	if err != nil {
		return inState(err, a)
	}
	if err := s.letIn(w, r, a); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"name": a.UserName, "next": s.o.AfterLogin})
	// The page does not wait for the phone to be told.
	_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends at the end
	s.tellPhone(r.Context(), a, "completed")
	return nil
}

// consume is the one use of an approval. An attempt that is not there is as
// one of somebody else.
func (s *Server) consume(r *http.Request, id, secret, verifier string) (Attempt, error) {
	a, err := s.step(r.Context(), id, func(a Attempt, now time.Time) (Attempt, error) {
		return a.consume(now, secret, verifier)
	})
	if errors.Is(err, ErrNotFound) {
		err = errForbidden
	}
	if errors.Is(err, errForbidden) {
		s.audit(r.Context(), r, ActionRefused, Attempt{ID: id}, "")
	}
	return a, err
}

// letIn makes the app's session for the browser of r.
func (s *Server) letIn(w http.ResponseWriter, r *http.Request, a Attempt) error {
	c, err := s.cookie(r, a.ID, "", 0)
	if err != nil {
		return err
	}
	if err := s.o.OnLogin(w, r, loginOf(a)); err != nil {
		s.tellPhone(r.Context(), a, "failed")
		return err
	}
	http.SetCookie(w, c)
	s.remember(w, r, a)
	s.audit(r.Context(), r, ActionSignedIn, a, a.UserID)
	return nil
}

func loginOf(a Attempt) Login {
	return Login{
		User: User{ID: a.UserID, Name: a.UserName}, Browser: a.Browser, Phone: a.PhoneIs, Attempt: a.ID,
		Verified: a.Verified, Risk: a.Risk,
	}
}

// asker is the user whom this browser may ask without a code, or the zero User.
func (s *Server) asker(r *http.Request) (User, error) {
	key := s.browserKey(r)
	if s.o.OnAsk == nil || key == (Hash{}) {
		return User{}, nil
	}
	k, ok, err := s.o.Known.Asker(r.Context(), key)
	if err != nil || !ok {
		return User{}, err
	}
	return k.User, nil
}

// mayAsk is u if they may be asked now. Nobody is asked so often that they say
// yes to have peace.
func (s *Server) mayAsk(u User) (User, error) {
	if u.ID == "" {
		return User{}, errForbidden
	}
	for _, k := range []*strikes{s.asking, s.unanswered} {
		if wait := k.locked(u.ID); wait > 0 {
			return User{}, newProblem(http.StatusTooManyRequests, "asked_too_often", "The phone was asked often and did not answer.", "Scan the code instead.").after(wait)
		}
	}
	s.asking.add(u.ID)
	s.unanswered.add(u.ID)
	return u, nil
}

// ask tells the user's phones.
func (s *Server) ask(ctx context.Context, a Attempt) {
	err := s.o.OnAsk(context.WithoutCancel(ctx), Ask{User: a.Asked, Browser: a.Browser, Path: "/qr/ask/" + a.ID})
	if err != nil {
		s.o.Logger.Warn("qrlogin: a phone could not be asked", "attempt", a.ID, "error", err)
	}
}
