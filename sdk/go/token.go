package fanfare

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	keyIDLength   = 14 // of a key's text: its prefix and the 10 characters that name it
	maxTokenBytes = 8 << 10
	maxUserBytes  = 128
	maxTokenTime  = 24 * time.Hour
	tokenTime     = time.Hour
)

// Token signs a token for one of the app's users: a JWT (HS256) by the
// Client's secret key, made here without asking the server (PROTOCOL.md,
// clause 8.4). Give it to the user's browser, whose SDK connects with it.
//
// user is the app's own name for the user, at most 128 bytes of UTF-8; "" is
// nobody in particular. g is all that the token may do: its zero value is
// nothing. ttl is 1 s to 24 h; 0 means 1 h. A token cannot be called back
// while the key that signed it lives, so keep ttl short: SDKs fetch a new one
// in time. Whatever does not fit is a *protocol.Error: key_kind without a
// secret key, bad_request, or token_invalid where the grants make the token
// longer than 8 KiB.
func (c *Client) Token(user string, g protocol.Grants, ttl time.Duration) (string, error) {
	switch {
	case !strings.HasPrefix(c.key, "ffs_") || len(c.key) <= keyIDLength:
		return "", protocol.Errorf(protocol.CodeKeyKind, "Signing a token takes a secret key (ffs_).")
	case len(user) > maxUserBytes || !utf8.ValidString(user):
		return "", protocol.Errorf(protocol.CodeBadRequest, "The user must have at most %d bytes of UTF-8.", maxUserBytes)
	case ttl == 0:
		ttl = tokenTime
	case ttl < time.Second || ttl > maxTokenTime:
		return "", protocol.Errorf(protocol.CodeBadRequest, "The token's time to live is %v; it must be 1 s to 24 h.", ttl)
	}
	if err := g.Check(); err != nil {
		return "", err
	}
	head, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{"HS256", c.key[:keyIDLength], "JWT"})
	if err != nil {
		return "", fmt.Errorf("fanfare: %w", err)
	}
	claims, err := json.Marshal(struct {
		Exp    int64           `json:"exp"`
		Sub    string          `json:"sub,omitempty"`
		Grants protocol.Grants `json:"grants"`
	}{time.Now().Add(ttl).Unix(), user, g})
	if err != nil {
		return "", fmt.Errorf("fanfare: %w", err)
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString(head) + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(c.key))
	mac.Write([]byte(signed))
	token := signed + "." + enc.EncodeToString(mac.Sum(nil))
	if len(token) > maxTokenBytes {
		return "", protocol.Errorf(protocol.CodeTokenInvalid, "The token would have %d bytes; %d is the most. Grant prefixes (chat:*) instead of many names.", len(token), maxTokenBytes)
	}
	return token, nil
}
