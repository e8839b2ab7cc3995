package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// code is an authorization code as it is kept: good once, for a minute, for
// one client, one address and the app that holds the PKCE verifier. It is kept
// for some minutes more, so that a second use is seen.
type code struct {
	Secret    qrlogin.Hash `json:"secret"`
	Client    string       `json:"client"`
	Redirect  string       `json:"redirect"`
	Challenge string       `json:"challenge"`
	Nonce     string       `json:"nonce,omitempty"`
	User      string       `json:"user"`
	Session   string       `json:"session"`
	Scopes    []string     `json:"scopes"`
	AuthTime  time.Time    `json:"auth_time"`
	Made      time.Time    `json:"made"`
	Grant     string       `json:"grant,omitempty"` // what it became, when it was used
}

const (
	codeLife = time.Minute
	idLen    = 26 // of rand.Text
)

func codeKey(id string) string { return brief + "code-" + id }

// giveCode ends a request well.
func (p *Provider) giveCode(w http.ResponseWriter, r *http.Request, a request, s Session) {
	id, secret := rand.Text(), rand.Text()+rand.Text()
	c := code{Secret: qrlogin.HashOf(secret), Client: a.client.ID, Redirect: a.redirect, Challenge: a.challenge, Nonce: a.nonce,
		User: s.User, Session: s.ID, Scopes: a.scopes, AuthTime: s.Since.UTC(), Made: time.Now().UTC()}
	if err := save(r.Context(), p.o.Store, codeKey(id), c, "", codeLife); err != nil {
		p.fail(w, r, a, err)
		return
	}
	p.o.Logger.Info("oidc: a code was given", "client", a.client.ID, "user", s.User)
	p.sendBack(w, r, a, url.Values{"code": {id + secret}})
}

// redeem makes a code's grant, once. Who comes second with a code has stolen it
// or was stolen from, so the first one's grant ends too (RFC 6749, 4.1.2).
func (p *Provider) redeem(ctx context.Context, c Client, text, redirect, verifier string) (grant, string, error) {
	if len(text) != 3*idLen || !isBase32(text) {
		return grant{}, "", errGrant()
	}
	key, secret := codeKey(text[:idLen]), text[idLen:]
	for range 4 {
		k, rev, err := load[code](ctx, p.o.Store, key)
		switch {
		case errors.Is(err, qrlogin.ErrNotFound):
			return grant{}, "", errGrant()
		case err != nil:
			return grant{}, "", err
		case !k.Secret.Is(secret) || k.Client != c.ID:
			return grant{}, "", errGrant()
		case k.Grant != "":
			p.o.Logger.Warn("oidc: a code came twice: its tokens are revoked", "client", c.ID, "user", k.User)
			if err := p.endGrant(ctx, k.Grant, "code used twice"); err != nil {
				return grant{}, "", err
			}
			return grant{}, "", errGrant()
		case time.Since(k.Made) > codeLife, k.Redirect != redirect, !verifies(verifier, k.Challenge):
			return grant{}, "", errGrant()
		}
		g := grant{Client: c.ID, User: k.User, Session: k.Session, Scopes: k.Scopes, AuthTime: k.AuthTime, Made: time.Now().UTC()}
		g.ID = newGrantID(slices.Contains(k.Scopes, "offline_access"))
		k.Grant = g.ID
		err = save(ctx, p.o.Store, key, k, rev, briefLife)
		if errors.Is(err, qrlogin.ErrConflict) {
			continue
		}
		return g, k.Nonce, err
	}
	return grant{}, "", errGrant()
}

// verifies reports in constant time whether verifier (RFC 7636, 4.1) is what
// challenge was made from.
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

func isBase32(s string) bool {
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '2' || r > '7') {
			return false
		}
	}
	return true
}
