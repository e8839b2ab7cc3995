package qrlogin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// Hash is the SHA-256 of a secret: the only form in which one is stored. The
// secrets have 128 random bits or more, so a plain hash is enough.
type Hash [sha256.Size]byte

// HashOf hashes a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Is reports, in constant time, whether h is the hash of secret. The zero Hash
// is that of no secret.
func (h Hash) Is(secret string) bool { return h.Equal(HashOf(secret)) }

// Equal reports in constant time whether both are the same and not zero.
func (h Hash) Equal(o Hash) bool {
	return subtle.ConstantTimeCompare(h[:], o[:]) == 1 && h != Hash{}
}

// String is the hash in hex, fit for a key in a store.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(h[:], text); err != nil || n != len(h) || len(text) != 2*len(h) {
		return errors.New("qrlogin: this is not the hex of a SHA-256")
	}
	return nil
}

// newID makes 128 random bits or more as 26 characters of A-Z and 2-7.
func newID() string { return rand.Text() }

// newSecret makes 256 random bits or more.
func newSecret() string { return rand.Text() + rand.Text() }

// isID reports whether s has the form of newID's result.
func isID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// isChallenge reports whether s is a PKCE S256 challenge: 32 bytes in
// base64url without padding (RFC 7636, 4.2).
func isChallenge(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// isVerifier reports whether s is a PKCE verifier: 43 to 128 unreserved
// characters (RFC 7636, 4.1).
func isVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
	})
}

// pkce is the S256 challenge of a verifier.
func pkce(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// verifies reports in constant time whether verifier is what challenge was
// made from.
func verifies(verifier, challenge string) bool {
	return isVerifier(verifier) && subtle.ConstantTimeCompare([]byte(pkce(verifier)), []byte(challenge)) == 1
}
