package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// MaxAccessTTL is how long an access token of GoEasy's may be good.
const MaxAccessTTL = 3 * time.Hour

// Access is what an access token of GoEasy's gives one user in one channel.
type Access struct {
	User    string
	Channel protocol.Channel
	Read    bool
	Write   bool
}

// accessClaims are what such a token says (GoEasy's documentation, page
// authorization/pubsub).
type accessClaims struct {
	jwt.RegisteredClaims
	User    string `json:"id"`
	Channel string `json:"channel"`
	Read    bool   `json:"r"`
	Write   bool   `json:"w"`
}

// ReadAccess checks an access token, which is signed with the pass's secret.
// Errors: token_invalid, token_expired.
func (t *Tenants) ReadAccess(p *Pass, token string) (Access, error) {
	if len(token) > maxToken {
		return Access{}, tokenInvalid("The access token has %d bytes; %d is the most.", len(token), maxToken)
	}
	var c accessClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(Leeway), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(token, &c, func(tok *jwt.Token) (any, error) { return p.Secret, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Access{}, tokenInvalid("The access token was not signed with the app's secret key and HS256.")
	case errors.Is(err, jwt.ErrTokenExpired):
		return Access{}, protocol.Errorf(protocol.CodeTokenExpired, "The access token expired at %s.", c.ExpiresAt.UTC().Format(time.RFC3339))
	case err != nil:
		return Access{}, tokenInvalid("The access token is not a JWT with exp, id, channel, r and w.")
	case time.Until(c.ExpiresAt.Time) > MaxAccessTTL+Leeway:
		return Access{}, tokenInvalid("The access token is good for more than %s.", MaxAccessTTL)
	}
	return Access{User: c.User, Channel: protocol.Channel(c.Channel), Read: c.Read, Write: c.Write}, nil
}

// onceFor is how long a name is remembered that may be used once.
const onceFor = 15 * time.Minute

// Once reports whether nobody has used a name before, on any node, within 15
// minutes.
func (t *Tenants) Once(ctx context.Context, name string) (bool, error) {
	_, err := t.tickets.Create(ctx, vaultKey("once", name), []byte{'1'}, onceFor)
	switch {
	case errors.Is(err, bus.ErrConflict):
		return false, nil
	case err != nil:
		return false, stored(err)
	}
	return true, nil
}
