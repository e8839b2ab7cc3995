package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// passkey is a credential of a user, as people know it.
type passkey struct {
	ID         string              `json:"id"` // names it here; not secret
	Name       string              `json:"name"`
	Created    time.Time           `json:"created"`
	Used       time.Time           `json:"used"`
	Credential webauthn.Credential `json:"credential"`
}

// passkeys are what the site does with WebAuthn: sign in, add, confirm. User
// verification is always required. Safe for concurrent use.
type passkeys struct {
	web   *webauthn.WebAuthn
	users *users

	mu   sync.Mutex
	open map[string]webauthn.SessionData // ceremonies under way, by a random id
}

const (
	ceremonyLife = 5 * time.Minute
	maxOpen      = 10_000
	maxPasskeys  = 20
)

// newPasskeys is nil where the site's address cannot have passkeys: browsers
// give none to bare IP addresses.
func newPasskeys(public *url.URL, site string, u *users) (*passkeys, error) {
	if _, err := netip.ParseAddr(public.Hostname()); err == nil {
		return nil, nil
	}
	web, err := webauthn.New(&webauthn.Config{
		RPID: public.Hostname(), RPDisplayName: site, RPOrigins: []string{public.Scheme + "://" + public.Host},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, err
	}
	return &passkeys{web: web, users: u, open: map[string]webauthn.SessionData{}}, nil
}

// holder makes a user what the library wants of one.
type holder struct{ user }

func (h holder) WebAuthnID() []byte          { return h.Handle }
func (h holder) WebAuthnName() string        { return h.user.ID }
func (h holder) WebAuthnDisplayName() string { return h.user.Name }
func (h holder) WebAuthnCredentials() (out []webauthn.Credential) {
	for _, k := range h.Passkeys {
		out = append(out, k.Credential)
	}
	return out
}

// keep remembers a ceremony and names it.
func (p *passkeys) keep(s webauthn.SessionData) string {
	id := rand.Text()
	s.Expires = time.Now().Add(ceremonyLife)
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, old := range p.open {
		if len(p.open) >= maxOpen || time.Now().After(old.Expires) {
			delete(p.open, k)
		}
	}
	p.open[id] = s
	return id
}

// take is the ceremony of that name, once.
func (p *passkeys) take(id string) (webauthn.SessionData, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.open[id]
	delete(p.open, id)
	if !ok || time.Now().After(s.Expires) {
		return s, errors.New("this took too long: begin again")
	}
	return s, nil
}

// beginSignIn asks for any passkey of this site.
func (p *passkeys) beginSignIn() (options any, ceremony string, err error) {
	a, s, err := p.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", err
	}
	return a, p.keep(*s), nil
}

// finishSignIn is whose passkey signed.
func (p *passkeys) finishSignIn(ceremony string, body []byte) (user, error) {
	s, err := p.take(ceremony)
	if err != nil {
		return user{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		return user{}, err
	}
	var who user
	_, used, err := p.web.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		var ok bool
		if who, ok = p.users.byHandle(handle); !ok {
			return nil, errors.New("nobody has this passkey")
		}
		return holder{who}, nil
	}, s, parsed)
	if err != nil {
		return user{}, err
	}
	return who, p.used(who.ID, used)
}

// used notes a passkey's counter. One that went back is a copy.
func (p *passkeys) used(userID string, c *webauthn.Credential) error {
	if c.Authenticator.CloneWarning {
		return errors.New("this passkey seems to be a copy")
	}
	return p.users.change(userID, func(u *user) {
		for i := range u.Passkeys {
			if string(u.Passkeys[i].Credential.ID) == string(c.ID) {
				u.Passkeys[i].Credential, u.Passkeys[i].Used = *c, time.Now()
			}
		}
	})
}

// beginAdd asks for a new passkey of u.
func (p *passkeys) beginAdd(u user) (options any, ceremony string, err error) {
	have := webauthn.Credentials(holder{u}.WebAuthnCredentials()).CredentialDescriptors()
	c, s, err := p.web.BeginRegistration(holder{u}, webauthn.WithExclusions(have))
	if err != nil {
		return nil, "", err
	}
	return c, p.keep(*s), nil
}

// finishAdd keeps the new passkey.
func (p *passkeys) finishAdd(u user, ceremony, name string, body []byte) error {
	s, err := p.take(ceremony)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(body)
	if err != nil {
		return err
	}
	c, err := p.web.CreateCredential(holder{u}, s, parsed)
	if err != nil {
		return err
	}
	if len(u.Passkeys) >= maxPasskeys {
		return errors.New("there are too many passkeys: remove one first")
	}
	return p.users.change(u.ID, func(u *user) {
		u.Passkeys = append(u.Passkeys, passkey{ID: rand.Text(), Name: name, Created: time.Now(), Credential: *c})
	})
}

// Options is qrlogin.Confirmer's.
func (p *passkeys) Options(_ *http.Request, u qrlogin.User, challenge []byte) (json.RawMessage, error) {
	a, _, err := p.question(u, challenge)
	if err != nil || a == nil {
		return nil, err
	}
	return json.Marshal(a.Response)
}

// Check is qrlogin.Confirmer's.
func (p *passkeys) Check(_ *http.Request, u qrlogin.User, challenge []byte, assertion json.RawMessage) error {
	a, s, err := p.question(u, challenge)
	if err != nil {
		return err
	}
	if a == nil {
		return errors.New("the account has no passkey")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(assertion)
	if err != nil {
		return err
	}
	one, _ := p.users.get(u.ID)
	used, err := p.web.ValidateLogin(holder{one}, *s, parsed)
	if err != nil {
		return err
	}
	return p.used(u.ID, used)
}

// question asks one of u's passkeys to sign challenge; nil where u has none.
func (p *passkeys) question(u qrlogin.User, challenge []byte) (*protocol.CredentialAssertion, *webauthn.SessionData, error) {
	one, ok := p.users.get(u.ID)
	if !ok || len(one.Passkeys) == 0 {
		return nil, nil, nil
	}
	return p.web.BeginLogin(holder{one}, webauthn.WithChallenge(challenge), webauthn.WithUserVerification(protocol.VerificationRequired))
}

// ceremonyName is the cookie that joins the two halves of a ceremony.
func (a *app) ceremonyName(secure bool) string {
	if secure {
		return "__Host-ceremony"
	}
	return "ceremony"
}

func (a *app) startCeremony(w http.ResponseWriter, r *http.Request, options any, ceremony string) {
	_, secure, err := a.cookieName(r)
	if err != nil {
		jsonFault(w, http.StatusForbidden, err.Error())
		return
	}
	http.SetCookie(w, &http.Cookie{Name: a.ceremonyName(secure), Value: ceremony, Path: "/", MaxAge: int(ceremonyLife.Seconds()), HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode})
	jsonAnswer(w, http.StatusOK, options)
}

func (a *app) ceremony(r *http.Request) string {
	_, secure, err := a.cookieName(r)
	if err != nil {
		return ""
	}
	c, err := r.Cookie(a.ceremonyName(secure))
	if err != nil {
		return ""
	}
	return c.Value
}

func jsonAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller is gone, if anything
}

func jsonFault(w http.ResponseWriter, status int, detail string) {
	jsonAnswer(w, status, map[string]any{"status": status, "detail": detail})
}
