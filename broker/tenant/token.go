package tenant

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Bounds of tokens (PROTOCOL.md, clauses 8.4 and 9.5).
const (
	maxToken    = 8 << 10         // bytes
	maxUser     = 128             // bytes
	Leeway      = 5 * time.Second // difference of clocks that is forgiven
	MaxTokenTTL = 24 * time.Hour  // of tokens that the server signs
)

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Grants protocol.Grants `json:"grants"`
}

// verified is a token whose signature and form are right. That its key still
// lives and its time is not over is asked anew at each use.
type verified struct {
	app    *appState
	key    *keyState // HS256
	sign   *signer   // RS256, ES256
	user   string
	grants protocol.Grants
	exp    time.Time
}

// algorithms are those that tokens may be signed with: a fixed list, which
// "none" is not on (RFC 8725, section 3.1).
func algorithms() []string { return []string{"HS256", "RS256", "ES256"} }

// newParser is the one way in which tokens are read. The library by itself
// would take tokens without exp.
func newParser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(algorithms()),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(Leeway),
		jwt.WithStrictDecoding(),
	)
}

// byToken finds the principal of a token.
func (t *Tenants) byToken(token, origin string) (*Principal, error) {
	if len(token) > maxToken {
		return nil, tokenInvalid("The token has %d bytes; %d is the most.", len(token), maxToken)
	}
	sum := sha256.Sum256([]byte(token))
	v, cached := t.tokens.get(sum)
	if !cached {
		var err error
		if v, err = t.verify(token); err != nil {
			return nil, err
		}
	}
	p := &Principal{App: v.app.id, Kind: KindToken, User: v.user, Grants: v.grants, Expires: v.exp, app: v.app, key: v.key, sign: v.sign}
	app, key, err := p.now()
	if err != nil {
		return nil, err
	}
	p.Account = app.Account
	if key != nil {
		p.KeyID = key.ID
		if err := checkOrigin(key.Origins, origin); err != nil {
			return nil, err
		}
	}
	if !cached {
		t.tokens.put(sum, v, len(token))
	}
	return p, nil
}

// verify checks a token's form and signature. The key is chosen by the
// algorithm's family, so that a public key never serves as an HMAC secret.
func (t *Tenants) verify(token string) (*verified, error) {
	v := &verified{}
	var c claims
	var refused error // why no key was found
	tok, err := t.parser.ParseWithClaims(token, &c, func(tok *jwt.Token) (any, error) {
		var secret any
		if _, ok := tok.Header["crit"]; ok { // RFC 7515, section 4.1.11
			refused = tokenInvalid("The token has critical extensions (crit); none is known here.")
		} else if tok.Method.Alg() == "HS256" {
			secret, refused = t.secretOf(tok, v)
		} else {
			secret, refused = t.publicOf(tok, &c, v)
		}
		return secret, refused
	})
	switch {
	case refused != nil:
		return nil, refused
	case err == nil:
	case tok != nil && foreignAlg(tok):
		return nil, tokenInvalid("The token's alg is none of %s.", strings.Join(algorithms(), ", "))
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, tokenInvalid("The token's signature does not match the key that its kid names.")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return nil, tokenInvalid("The token has no exp.")
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, protocol.Errorf(protocol.CodeTokenExpired, "The token expired at %s.", c.ExpiresAt.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return nil, tokenInvalid("The token is not valid yet (nbf).")
	default:
		return nil, tokenInvalid("The token is not a JWT, or a claim in it is of the wrong type.")
	}
	if len(c.Subject) > maxUser {
		return nil, tokenInvalid("The token's sub has %d bytes; %d is the most.", len(c.Subject), maxUser)
	}
	if c.ExpiresAt.Year() > 9999 {
		return nil, tokenInvalid("The token's exp is not a time before the year 10000.")
	}
	if err := c.Grants.Check(); err != nil {
		return nil, tokenInvalid("The token's grants are not valid: %s", protocol.AsError(err).Message)
	}
	v.user, v.grants, v.exp = c.Subject, c.Grants, c.ExpiresAt.Time
	return v, nil
}

// foreignAlg reports an algorithm that is not taken.
func foreignAlg(tok *jwt.Token) bool {
	alg, ok := tok.Header["alg"].(string)
	return ok && !slices.Contains(algorithms(), alg)
}

// secretOf is the secret key that a token's kid names.
func (t *Tenants) secretOf(tok *jwt.Token, v *verified) (any, error) {
	kid, _ := tok.Header["kid"].(string)
	if kid == "" {
		return nil, tokenInvalid("The token has no kid: it must be the id of the secret key, its first %d characters.", idLen)
	}
	key, r := t.view.findKey(kid)
	if r == nil || r.Kind != KindSecret {
		return nil, tokenInvalid("The token's kid is not the id of a secret key that this server knows.")
	}
	if r.ended(time.Now()) {
		return nil, tokenInvalid("The token was signed with a key that has expired or was revoked.")
	}
	text, err := t.unseal(r)
	if err != nil {
		t.log.Error("a secret key cannot be unsealed", "app", r.App, "key", r.ID, "error", err)
		return nil, protocol.NewError(protocol.CodeInternal)
	}
	v.app, v.key = key.app, key
	return text, nil
}

// publicOf is the key of the app's JWKS that a token was signed with. The app
// is the one that the claims name, which the signature then proves.
func (t *Tenants) publicOf(tok *jwt.Token, c *claims, v *verified) (any, error) {
	if len(c.Audience) != 1 {
		return nil, tokenInvalid("The token's aud must be the app's id and nothing else, since it is signed with %s.", tok.Method.Alg())
	}
	if app := t.view.findApp(protocol.AppID(c.Audience[0])); app != nil {
		if r := app.record.Load(); r != nil {
			kid, _ := tok.Header["kid"].(string)
			if s := r.keys.find(tok.Method.Alg(), kid); s != nil {
				v.app, v.sign = app, s
				return s.public, nil
			}
		}
	}
	return nil, tokenInvalid("The token's aud names no app that has a key for its kid and %s in its jwks.", tok.Method.Alg())
}

func tokenInvalid(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeTokenInvalid, format, args...)
}

// SignToken signs a token with the secret key that p is, for user ("" is
// nobody) with grants g, good for ttl: 1 s to MaxTokenTTL. Errors: key_kind,
// bad_request, and what Check says.
func (t *Tenants) SignToken(p *Principal, user string, g protocol.Grants, ttl time.Duration) (string, time.Time, error) {
	if err := p.Need(KindSecret); err != nil {
		return "", time.Time{}, err
	}
	_, key, err := p.now()
	if err != nil {
		return "", time.Time{}, err
	}
	switch {
	case len(user) > maxUser:
		return "", time.Time{}, badRequest("The user has %d bytes; %d is the most.", len(user), maxUser)
	case !utf8.ValidString(user):
		return "", time.Time{}, badRequest("The user is not valid UTF-8.")
	case ttl < time.Second || ttl > MaxTokenTTL:
		return "", time.Time{}, badRequest("The ttl is %d s; it must be from 1 to %d.", int(ttl.Seconds()), int(MaxTokenTTL.Seconds()))
	}
	if err := g.Check(); err != nil {
		return "", time.Time{}, err
	}
	text, err := t.unseal(key)
	if err != nil {
		return "", time.Time{}, err
	}
	at := time.Now()
	expires := at.Add(ttl).Truncate(time.Second).UTC()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: user, IssuedAt: jwt.NewNumericDate(at), ExpiresAt: jwt.NewNumericDate(expires)},
		Grants:           g,
	})
	tok.Header["kid"] = key.ID
	signed, err := tok.SignedString(text)
	if err != nil {
		return "", time.Time{}, err
	}
	if len(signed) > maxToken {
		return "", time.Time{}, badRequest("The token would have %d bytes; %d is the most: grant fewer channels, or prefixes.", len(signed), maxToken)
	}
	return signed, expires, nil
}
