package qrlogin

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Confirmer verifies, on the phone and at each approval, that it is its user
// who approves, by a passkey with user verification. The challenge is the
// digest of what the phone shows, so the assertion is a signed yes to just
// that: it fits no other attempt, and no other context of this one.
type Confirmer interface {
	// Options are the WebAuthn request options, as JSON for
	// PublicKeyCredential.parseRequestOptionsFromJSON, that ask one of u's
	// passkeys to sign challenge with user verification; nil where u has none.
	Options(r *http.Request, u User, challenge []byte) (json.RawMessage, error)
	// Check is nil where assertion is u's answer to that challenge, with user
	// verification.
	Check(r *http.Request, u User, challenge []byte, assertion json.RawMessage) error
}

// binding is the challenge of a yes to the attempt: 32 bytes that depend on
// all that the person is shown and on the nonce of this one question.
func binding(a Attempt, nonce string) []byte {
	shown, err := json.Marshal(struct {
		Browser Browser
		Created int64
	}{a.Browser, a.Created.UnixMilli()})
	if err != nil { // strings and numbers only
		return nil
	}
	digest := sha256.Sum256(shown)
	sum := sha256.Sum256(fmt.Appendf(nil, "qrlogin/v1|%s|%s|approve|%x|%s", a.Tenant, a.ID, digest, nonce))
	return sum[:]
}

// confirmed reports whether the phone verified its user: has the user a
// passkey, and did it sign this yes?
func (s *Server) confirmed(r *http.Request, a Attempt, u User, nonce string, assertion json.RawMessage) (has, did bool, err error) {
	if s.o.Confirm == nil {
		return false, false, nil
	}
	challenge := binding(a, nonce)
	options, err := s.o.Confirm.Options(r, u, challenge)
	if err != nil || options == nil {
		return false, false, err
	}
	if len(assertion) == 0 || string(assertion) == "null" {
		return true, false, nil
	}
	if err := s.o.Confirm.Check(r, u, challenge, assertion); err != nil {
		s.o.Logger.Warn("qrlogin: a passkey did not confirm", "attempt", a.ID, "user", u.ID, "error", err)
		return true, false, newProblem(http.StatusBadRequest, "not_confirmed", "The passkey did not confirm this sign-in.", "Try again with a passkey of this account.")
	}
	return true, true, nil
}

// judge is what becomes of the phone's yes. The digits come in clear, for the
// phone alone.
func (s *Server) judge(a Attempt, now time.Time, digits string, has, did, remember bool) verdict {
	found := a.Found
	found.Others = len(a.Others)
	found.Hasty = now.Sub(a.ScannedAt) < hasty
	found.Unverified = has && !did
	v := verdict{risk: Assess(found, s.o.Policy), verified: did, remember: remember && s.o.OnAsk != nil && a.Kind == ByPage}
	if a.Kind == ByDevice { // nobody can type there; the device's own code was shown instead
		v.risk.Challenge = false
	}
	if v.risk.Challenge {
		v.digits = v.risk.digits()
		v.check = s.checkHash(a.ID, digits[:v.digits])
	}
	return v
}
