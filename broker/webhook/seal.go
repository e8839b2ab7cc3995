package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// newSeal is AES-256-GCM under a key that is derived from the master key, for
// this room alone.
func newSeal(master [32]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master[:], nil, "fanfare webhook secrets v1", 32)
	if err != nil {
		return nil, fmt.Errorf("webhook: derive the sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("webhook: sealing key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("webhook: sealing key: %w", err)
	}
	return aead, nil
}

// seal binds the secret to the endpoint of that id: in another one's record it
// does not open.
func seal(aead cipher.AEAD, id string, secret []byte) []byte {
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret)+aead.Overhead())
	rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, secret, []byte(id))
}

var errSeal = errors.New("the secret was sealed with another master key, or for another endpoint")

func unseal(aead cipher.AEAD, id string, sealed []byte) ([]byte, error) {
	n := aead.NonceSize()
	if len(sealed) < n {
		return nil, errSeal
	}
	secret, err := aead.Open(nil, sealed[:n], sealed[n:], []byte(id))
	if err != nil {
		return nil, errSeal
	}
	return secret, nil
}
