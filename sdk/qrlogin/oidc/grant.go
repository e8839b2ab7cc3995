package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// grant is what an app holds for a user: one record for all tokens that came of
// one sign-in. With a refresh token it lives 30 days, without one as long as
// its access token.
type grant struct {
	ID       string       `json:"-"`
	Client   string       `json:"client"`
	User     string       `json:"user"`
	Session  string       `json:"session"`
	Scopes   []string     `json:"scopes"`
	AuthTime time.Time    `json:"auth_time"`
	Made     time.Time    `json:"made"`
	Family   qrlogin.Hash `json:"family,omitzero"`  // of what all of its refresh tokens share
	Refresh  qrlogin.Hash `json:"refresh,omitzero"` // of the one that is good
	Ended    string       `json:"ended,omitempty"`  // why
}

const accessLife = briefLife

// newGrantID says by its first letter where the grant is kept.
func newGrantID(offline bool) string {
	if offline {
		return "L" + rand.Text()
	}
	return "B" + rand.Text()
}

func grantKey(id string) (key string, life time.Duration) {
	if strings.HasPrefix(id, "L") {
		return long + "grant-" + id, longLife
	}
	return brief + "grant-" + id, briefLife
}

func isGrantID(id string) bool {
	return len(id) == 1+idLen && (id[0] == 'L' || id[0] == 'B') && isBase32(id[1:])
}

// Tokens are what a client gets (RFC 6749, 5.1).
type Tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"` // seconds
	Scope   string `json:"scope"`
	ID      string `json:"id_token,omitempty"`
	Refresh string `json:"refresh_token,omitempty"`
}

// Grant lets a client in without its asking: one that a user let in on another
// way, as a device by a code.
func (p *Provider) Grant(ctx context.Context, s Session, c Client, scope string) (Tokens, error) {
	g := grant{Client: c.ID, User: s.User, Session: s.ID, AuthTime: s.Since.UTC(), Made: time.Now().UTC()}
	for one := range strings.FieldsSeq(scope) {
		if c.may(one) {
			g.Scopes = append(g.Scopes, one)
		}
	}
	g.ID = newGrantID(slices.Contains(g.Scopes, "offline_access"))
	return p.open(ctx, c, g, "")
}

// open writes a new grant and makes its first tokens.
func (p *Provider) open(ctx context.Context, c Client, g grant, nonce string) (Tokens, error) {
	if err := p.overFor(ctx, g); err != nil {
		return Tokens{}, err
	}
	key, life := grantKey(g.ID)
	refresh := ""
	if strings.HasPrefix(g.ID, "L") {
		family := rand.Text() + rand.Text()
		refresh = g.ID + family + rand.Text() + rand.Text()
		g.Family, g.Refresh = qrlogin.HashOf(family), qrlogin.HashOf(refresh)
	}
	err := save(ctx, p.o.Store, key, g, "", life)
	if errors.Is(err, qrlogin.ErrConflict) {
		return Tokens{}, errGrant() // it was ended before it began: its code came twice
	}
	if err != nil {
		return Tokens{}, err
	}
	return p.tokens(c, g, g.Scopes, nonce, refresh)
}

// refresh turns a refresh token into fresh tokens and another refresh token.
// Who comes with one that was used has stolen it or was stolen from: nobody of
// the family gets anything any more (RFC 9700, 4.14.2).
func (p *Provider) refresh(ctx context.Context, c Client, text, scope string) (Tokens, error) {
	if len(text) != 1+5*idLen || !isGrantID(text[:1+idLen]) {
		return Tokens{}, errGrant()
	}
	id, family := text[:1+idLen], text[1+idLen:1+3*idLen]
	for {
		g, rev, err := p.live(ctx, id)
		if err != nil {
			return Tokens{}, err
		}
		if g.Client != c.ID || !g.Family.Is(family) {
			return Tokens{}, errGrant()
		}
		if !g.Refresh.Is(text) {
			p.o.Logger.Warn("oidc: a refresh token came twice: all of its tokens are revoked", "client", c.ID, "user", g.User)
			if err := p.endGrant(ctx, id, "refresh token used twice"); err != nil {
				return Tokens{}, err
			}
			return Tokens{}, errGrant()
		}
		scopes := g.Scopes
		if scope != "" {
			scopes = slices.Compact(slices.Sorted(strings.FieldsSeq(scope)))
			for _, one := range scopes {
				if !slices.Contains(g.Scopes, one) {
					return Tokens{}, fault{400, "invalid_scope", "A scope was not granted."}
				}
			}
		}
		next := id + family + rand.Text() + rand.Text()
		g.Refresh = qrlogin.HashOf(next)
		key, _ := grantKey(id)
		err = save(ctx, p.o.Store, key, g, rev, longLife-time.Since(g.Made))
		if errors.Is(err, qrlogin.ErrConflict) {
			continue
		}
		if err != nil {
			return Tokens{}, err
		}
		return p.tokens(c, g, scopes, "", next)
	}
}

// live is the grant of that id if it is good.
func (p *Provider) live(ctx context.Context, id string) (grant, string, error) {
	key, life := grantKey(id)
	g, rev, err := load[grant](ctx, p.o.Store, key)
	if errors.Is(err, qrlogin.ErrNotFound) || err == nil && (g.Ended != "" || time.Since(g.Made) >= life) {
		return g, rev, errGrant()
	}
	g.ID = id
	if err == nil {
		err = p.overFor(ctx, g)
	}
	return g, rev, err
}

// endGrant ends a grant, also one that has not begun.
func (p *Provider) endGrant(ctx context.Context, id, why string) error {
	key, life := grantKey(id)
	for {
		g, rev, err := load[grant](ctx, p.o.Store, key)
		if err != nil && !errors.Is(err, qrlogin.ErrNotFound) {
			return err
		}
		g.Ended = why
		if err := save(ctx, p.o.Store, key, g, rev, life); !errors.Is(err, qrlogin.ErrConflict) {
			return err
		}
	}
}

// ended says that everything of a session or a user from before is over.
type ended struct {
	At time.Time `json:"at"`
}

func (p *Provider) end(ctx context.Context, what string) error {
	key := keyOf(long, "end", what)
	for {
		_, rev, err := load[ended](ctx, p.o.Store, key)
		if err != nil && !errors.Is(err, qrlogin.ErrNotFound) {
			return err
		}
		if err := save(ctx, p.o.Store, key, ended{time.Now().UTC()}, rev, longLife); !errors.Is(err, qrlogin.ErrConflict) {
			return err
		}
	}
}

// overFor is errGrant() where the grant's session has ended, or its user had
// everything ended.
func (p *Provider) overFor(ctx context.Context, g grant) error {
	for _, what := range []string{"session " + g.Session, "user " + g.User} {
		e, _, err := load[ended](ctx, p.o.Store, keyOf(long, "end", what))
		switch {
		case err == nil && !g.AuthTime.After(e.At):
			return errGrant()
		case err != nil && !errors.Is(err, qrlogin.ErrNotFound):
			return err
		}
	}
	return nil
}

// tokens signs what a client gets for a grant.
func (p *Provider) tokens(c Client, g grant, scopes []string, nonce, refresh string) (Tokens, error) {
	alg := c.Alg
	if alg == "" {
		alg = algs()[0]
	}
	now := time.Now()
	base := map[string]any{"iss": p.base, "sub": g.User, "aud": c.ID, "iat": now.Unix(), "exp": now.Add(accessLife).Unix()}
	claims := maps.Clone(base)
	maps.Copy(claims, map[string]any{"client_id": c.ID, "scope": strings.Join(scopes, " "), "jti": rand.Text(), grantClaim: g.ID})
	access, err := p.o.Keys.sign(alg, accessType, claims)
	if err != nil {
		return Tokens{}, err
	}
	t := Tokens{Access: access, Type: "Bearer", Expires: int(accessLife.Seconds()), Scope: strings.Join(scopes, " "), Refresh: refresh}
	if !slices.Contains(scopes, "openid") {
		return t, nil
	}
	sum := sha256.Sum256([]byte(access))
	maps.Copy(base, map[string]any{"auth_time": g.AuthTime.Unix(), "sid": g.Session, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])})
	if nonce != "" {
		base["nonce"] = nonce
	}
	t.ID, err = p.o.Keys.sign(alg, idType, base)
	return t, err
}

// The types of tokens, so that none is taken for another (RFC 9068, 2.1), and
// the claim that leads from an access token to its grant.
const (
	accessType = "at+jwt"
	idType     = "JWT"
	grantClaim = "fanfare_grant"
)
