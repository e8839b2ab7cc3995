package oidc

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// consent is what a user let an app know, until it is forgotten after 30 days.
type consent struct {
	Scopes []string  `json:"scopes"`
	At     time.Time `json:"at"`
}

func consentKey(user, client string) string { return keyOf(long, "consent", user, client) }

// agreed reports whether the user need not be asked.
func (p *Provider) agreed(ctx context.Context, a request, s Session) (bool, error) {
	if slices.Contains(a.prompt, "consent") {
		return false, nil
	}
	if a.client.FirstParty {
		return true, nil
	}
	c, _, err := load[consent](ctx, p.o.Store, consentKey(s.User, a.client.ID))
	if errors.Is(err, qrlogin.ErrNotFound) {
		return false, nil
	}
	for _, one := range a.scopes {
		if !slices.Contains(c.Scopes, one) {
			return false, err
		}
	}
	return err == nil, err
}

// askConsent asks the person. The form may lead to the app's own origin and
// nowhere else: browsers hold also its redirects against the policy.
func (p *Provider) askConsent(w http.ResponseWriter, a request, s Session) {
	app := ""
	if u, err := url.Parse(a.redirect); err == nil {
		if app = u.Scheme + "://" + u.Host; u.Scheme != "https" && u.Scheme != "http" {
			app = u.Scheme + ":"
		}
		w.Header().Set("Content-Security-Policy", policy("'self' "+app))
	}
	query := a.query.Encode()
	p.draw(w, http.StatusOK, "consent.html", map[string]any{
		"Client": a.client.Name, "Name": s.Name, "Where": app, "Profile": slices.Contains(a.scopes, "profile"), "Offline": slices.Contains(a.scopes, "offline_access"),
		"Query": query, "Seal": p.seal("consent", s.ID, query), "Other": p.other(a),
	})
}

// other is the same request for another user.
func (p *Provider) other(a request) string {
	q := without(without(a.query, since), "prompt")
	q.Set("prompt", "login")
	return "/oidc/authorize?" + q.Encode()
}

// postConsent takes the answer of our own page, for the session that was asked.
func (p *Provider) postConsent(w http.ResponseWriter, r *http.Request) {
	query := r.PostFormValue("query")
	s, err := p.o.Session(r)
	q, perr := url.ParseQuery(query)
	if err != nil || perr != nil || !hmac.Equal([]byte(r.PostFormValue("seal")), []byte(p.seal("consent", s.ID, query))) {
		p.page(w, http.StatusForbidden, "This page is over", "Go back to the app and begin again.")
		return
	}
	a, err := p.read(r, q)
	switch {
	case err != nil:
	case r.PostFormValue("decision") != "allow":
		err = fault{0, "access_denied", "The user said no."}
	case p.stale(a, s):
		p.o.SignIn(w, r, p.comeBack(q), a.loginHint)
		return
	default:
		err = p.agree(r.Context(), a, s)
	}
	if err != nil {
		p.fail(w, r, a, err)
		return
	}
	p.giveCode(w, r, a, s)
}

// agree remembers a consent, with those before.
func (p *Provider) agree(ctx context.Context, a request, s Session) error {
	key := consentKey(s.User, a.client.ID)
	for {
		old, rev, err := load[consent](ctx, p.o.Store, key)
		if err != nil && !errors.Is(err, qrlogin.ErrNotFound) {
			return err
		}
		now := consent{Scopes: slices.Clone(a.scopes), At: time.Now().UTC()}
		for _, one := range old.Scopes {
			if !slices.Contains(now.Scopes, one) {
				now.Scopes = append(now.Scopes, one)
			}
		}
		if err := save(ctx, p.o.Store, key, now, rev, longLife); !errors.Is(err, qrlogin.ErrConflict) {
			return err
		}
	}
}
