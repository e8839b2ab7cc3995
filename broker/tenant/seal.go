package tenant

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// newSeal is AES-256-GCM under a key that is derived from the master key, so
// that other uses of the master key have keys of their own.
func newSeal(master [32]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master[:], nil, "fanfare secret keys v1", 32)
	if err != nil {
		return nil, fmt.Errorf("tenant: derive the sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("tenant: sealing key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("tenant: sealing key: %w", err)
	}
	return aead, nil
}

// sealed is text under the master key, bound to the id of its key: put into
// another key's record it does not open.
func (t *Tenants) sealed(id, text string) []byte {
	nonce := make([]byte, t.seal.NonceSize(), t.seal.NonceSize()+len(text)+t.seal.Overhead())
	rand.Read(nonce) // never fails
	return t.seal.Seal(nonce, nonce, []byte(text), []byte(id))
}

// unseal is the text of a secret key.
func (t *Tenants) unseal(r *keyRecord) ([]byte, error) {
	return t.open(r.ID, r.Sealed)
}

// open undoes sealed.
func (t *Tenants) open(id string, sealed []byte) ([]byte, error) {
	n := t.seal.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("tenant: the sealed text of %s is cut off", id)
	}
	text, err := t.seal.Open(nil, sealed[:n], sealed[n:], []byte(id))
	if err != nil {
		return nil, fmt.Errorf("tenant: unseal %s: %w", id, err)
	}
	return text, nil
}
