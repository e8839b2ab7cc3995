package tenant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of an app's JWKS.
const (
	maxJWKS     = 32 << 10 // bytes
	maxJWKSKeys = 32
)

// signer is one public key of a JWKS. It is immutable.
type signer struct {
	kid    string
	alg    string // RS256 or ES256
	public publicKey
}

// publicKey is what *rsa.PublicKey and *ecdsa.PublicKey have in common.
type publicKey interface {
	Equal(x crypto.PublicKey) bool
}

// keySet is an app's JWKS (RFC 7517), parsed. It is immutable; a nil keySet
// has no keys.
type keySet struct{ keys []*signer }

// parseKeySet parses a JWKS of RSA keys (2048 to 8192 bits) and EC keys on
// P-256. It fetches nothing (x5u is not looked at), and refuses private keys,
// which somebody pasted by mistake.
func parseKeySet(raw []byte) (*keySet, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var in struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, errors.New("it is not a JSON object with a list of keys")
	}
	if len(in.Keys) == 0 || len(in.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("it has %d keys; it must have 1 to %d", len(in.Keys), maxJWKSKeys)
	}
	set := &keySet{}
	for i, k := range in.Keys {
		s, err := parseJWK(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if s.kid != "" && set.find(s.alg, s.kid) != nil {
			return nil, fmt.Errorf("key %d: there is another %s key of the kid %q", i+1, s.alg, cut(s.kid, 100))
		}
		set.keys = append(set.keys, s)
	}
	return set, nil
}

// jwk are the members of a key that we look at (RFC 7518, section 6).
type jwk struct {
	Kty string           `json:"kty"`
	Kid string           `json:"kid"`
	Alg string           `json:"alg"`
	Use string           `json:"use"`
	N   string           `json:"n"`
	E   string           `json:"e"`
	Crv string           `json:"crv"`
	X   string           `json:"x"`
	Y   string           `json:"y"`
	D   *json.RawMessage `json:"d"`
	K   *json.RawMessage `json:"k"`
}

func parseJWK(raw []byte) (*signer, error) {
	var k jwk
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, errors.New("it is not a JSON object of strings")
	}
	if k.D != nil || k.K != nil {
		return nil, errors.New("it is a private or a shared key; put public keys here, and take this one out of use")
	}
	if k.Use != "" && k.Use != "sig" {
		return nil, fmt.Errorf("its use is %q; sig is needed", cut(k.Use, 20))
	}
	s := &signer{kid: k.Kid}
	switch k.Kty {
	case "RSA":
		public, err := parseRSA(k)
		if err != nil {
			return nil, err
		}
		s.alg, s.public = "RS256", public
	case "EC":
		public, err := parseEC(k)
		if err != nil {
			return nil, err
		}
		s.alg, s.public = "ES256", public
	default:
		return nil, fmt.Errorf("its kty is %q; RSA or EC is needed", cut(k.Kty, 20))
	}
	if k.Alg != "" && k.Alg != s.alg {
		return nil, fmt.Errorf("its alg is %q; %s is needed", cut(k.Alg, 20), s.alg)
	}
	return s, nil
}

func parseRSA(k jwk) (*rsa.PublicKey, error) {
	n, err1 := base64.RawURLEncoding.DecodeString(k.N)
	e, err2 := base64.RawURLEncoding.DecodeString(k.E)
	if err1 != nil || err2 != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("its n or e is not a number in base64url")
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := public.N.BitLen(); bits < 2048 || bits > 8192 {
		return nil, fmt.Errorf("it has %d bits; 2048 to 8192 are needed", bits)
	}
	if public.E < 3 || public.E%2 == 0 || public.E > 1<<31-1 || public.N.Bit(0) == 0 {
		return nil, errors.New("its n and e are no RSA key")
	}
	return public, nil
}

func parseEC(k jwk) (*ecdsa.PublicKey, error) {
	x, err1 := base64.RawURLEncoding.DecodeString(k.X)
	y, err2 := base64.RawURLEncoding.DecodeString(k.Y)
	if k.Crv != "P-256" || err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("it is not a point of P-256, 32 bytes of x and of y in base64url")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, errors.New("its x and y are not a point of P-256")
	}
	return public, nil
}

// find is the key of kid for alg. A token without kid is good where there is
// only one key that it could be.
func (s *keySet) find(alg, kid string) *signer {
	var found *signer
	if s == nil {
		return nil
	}
	for _, k := range s.keys {
		if k.alg != alg || kid != "" && k.kid != kid {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

// has reports whether a key that a token was verified with is still there.
func (s *keySet) has(k *signer) bool {
	if s == nil {
		return false
	}
	for _, mine := range s.keys {
		if mine == k || mine.kid == k.kid && mine.alg == k.alg && mine.public.Equal(k.public) {
			return true
		}
	}
	return false
}
