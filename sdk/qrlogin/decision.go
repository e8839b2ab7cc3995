package qrlogin

import (
	"encoding/json"
	"net/http"
	"time"
)

// decided answers the phone's decision.
type decided struct {
	phoneView
	Check string `json:"check_code,omitempty"` // the digits; nowhere else
}

// decision is what the phone sends.
type decision struct {
	Decision  string          `json:"decision"`
	Nonce     string          `json:"nonce"`
	Assertion json.RawMessage `json:"assertion"`
	Remember  bool            `json:"remember_browser"`
}

// postDecision is the yes or no of the phone that scanned.
func (s *Server) postDecision(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	var in decision
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return s.answerDecision(w, r, u, in)
}

func (s *Server) answerDecision(w http.ResponseWriter, r *http.Request, u User, in decision) error {
	if in.Decision != "approve" && in.Decision != "reject" {
		return badRequest(`decision has to be "approve" or "reject".`)
	}
	a, digits, err := s.settleOn(r, u, in)
	if err != nil {
		return inState(err, a)
	}
	out := decided{phoneView: phoneViewOf(a)}
	if a.State == Challenged {
		out.Check = digits[:a.Digits]
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// settleOn carries the decision out and tells everybody.
func (s *Server) settleOn(r *http.Request, u User, in decision) (a Attempt, digits string, err error) {
	id, yes := r.PathValue("id"), in.Decision == "approve"
	if a, err = s.get(r.Context(), id); err != nil {
		return a, "", err
	}
	// Whether a passkey has to confirm is asked only of who may decide at all.
	// An attempt that another phone holds is as one that there is not.
	if held := a.heldBy(u); !held || !a.Nonce.Is(in.Nonce) {
		s.audit(r.Context(), r, ActionRefused, a, u.ID)
		if !held {
			return Attempt{}, "", errGone
		}
		return a, "", errForbidden
	}
	var has, did bool
	if yes && a.at(time.Now()).State == Scanned { // else the step below says that it is late
		if has, did, err = s.confirmed(r, a, u, in.Nonce, in.Assertion); err != nil {
			return a, "", err
		}
	}
	digits = newDigits(4)
	a, err = s.step(r.Context(), id, func(a Attempt, now time.Time) (Attempt, error) {
		if !yes && a.at(now).State == Challenged {
			return a.withdraw(now, u, in.Nonce)
		}
		return a.decide(now, u, in.Nonce, yes, s.judge(a, now, digits, has, did, in.Remember), s.o.Times)
	})
	if err != nil {
		return a, "", err
	}
	s.announce(r.Context(), a, string(a.State))
	action := map[State]string{Approved: ActionApproved, Challenged: ActionChallenged}[a.State]
	if action == "" {
		action = ActionRejected
	}
	s.audit(r.Context(), r, action, a, u.ID)
	return a, digits, nil
}

// getPhone is the phone's snapshot.
func (s *Server) getPhone(w http.ResponseWriter, r *http.Request) error {
	u, err := s.phoneUser(r)
	if err != nil {
		return err
	}
	a, err := s.get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if !a.heldBy(u) {
		return errGone
	}
	writeJSON(w, http.StatusOK, "application/json", phoneViewOf(s.settle(r, a.at(time.Now()))))
	return nil
}
