package tenant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Authenticate finds out who sent a credential: a key, a token or an account
// token. origin is the request's Origin header; "" means that it has none. It
// asks nobody and waits for nothing. The error is an *Error, one of
// credential_missing, key_invalid, key_expired, token_invalid, token_expired,
// origin_not_allowed and app_not_found.
func (t *Tenants) Authenticate(_ context.Context, credential, origin string) (*Principal, error) {
	switch {
	case credential == "":
		return nil, protocol.NewError(protocol.CodeCredentialMissing)
	case looksLikeKey(credential):
		return t.byKey(credential, origin)
	case len(credential) > maxToken || strings.Contains(credential, "."):
		return t.byToken(credential, origin)
	}
	return nil, protocol.Errorf(protocol.CodeKeyInvalid, "This is neither a key (ffp_, ffs_, ffa_) nor a token. It was not looked up.")
}

// byKey finds the principal of a key's text.
func (t *Tenants) byKey(text, origin string) (*Principal, error) {
	id, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	var b [keyLen]byte // on the stack, unlike []byte(text)
	copy(b[:], text)
	sum := sha256.Sum256(b[:])
	key, r := t.view.findKey(id)
	if r == nil || subtle.ConstantTimeCompare(sum[:], r.Hash) != 1 {
		return nil, keyUnknown()
	}
	p := r.principal(key)
	if err := p.Check(); err != nil {
		if protocol.AsError(err).Code == protocol.CodeAppNotFound {
			return nil, keyUnknown() // its app was deleted a moment ago, and it will be
		}
		return nil, err
	}
	if err := checkOrigin(r.Origins, origin); err != nil {
		return nil, err
	}
	return p, nil
}

// principal is who has the key.
func (r *keyRecord) principal(key *keyState) *Principal {
	return &Principal{Account: r.Account, App: r.App, Kind: r.Kind, KeyID: r.ID, Grants: r.Grants, app: key.app, key: key}
}

func keyUnknown() error {
	return protocol.Errorf(protocol.CodeKeyInvalid, "The key is well formed, but this server does not know it.")
}
