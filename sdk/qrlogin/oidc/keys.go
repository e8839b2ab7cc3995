package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Keys sign tokens. They are in a file (mode 0600), so a restart changes
// nothing. Each is renewed after 90 days: the new one is told a day before it
// signs, since apps keep what they read, and the old one a month longer. Safe
// for concurrent use; one process writes the file.
type Keys struct {
	path string

	mu sync.Mutex
	in keyFile
}

type keyFile struct {
	Secret []byte   `json:"secret"` // seals records, and links of ours
	Keys   []oneKey `json:"keys"`   // the oldest first
}

type oneKey struct {
	ID      string    `json:"kid"`
	Alg     string    `json:"alg"`
	Private []byte    `json:"pkcs8"`
	Signs   time.Time `json:"signs"` // from when on
	signer  crypto.Signer
}

const (
	keyLife  = 90 * 24 * time.Hour
	keyEarly = 24 * time.Hour
	keyLate  = 30 * 24 * time.Hour
)

// algs are what tokens are signed by; the first one where a client does not say,
// which every client has to know (OpenID Connect Core, 15.1).
func algs() []string { return []string{string(jose.RS256), string(jose.ES256)} }

// OpenKeys reads the file, or makes it. The keys themselves are made when they
// are first wanted.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.in.Secret = make([]byte, 32)
		_, _ = rand.Read(k.in.Secret) // it does not fail (crypto/rand, since Go 1.24)
		return k, k.write()
	case err != nil:
		return nil, fmt.Errorf("read the signing keys: %w", err)
	default:
		if err := k.read(text); err != nil {
			return nil, fmt.Errorf("%s is damaged; move it away to begin with new keys, which signs all apps out: %w", path, err)
		}
	}
	return k, nil
}

func (k *Keys) read(text []byte) error {
	if err := json.Unmarshal(text, &k.in); err != nil {
		return err
	}
	if len(k.in.Secret) < 32 {
		return errors.New("its secret is too short")
	}
	for i, one := range k.in.Keys {
		private, err := x509.ParsePKCS8PrivateKey(one.Private)
		if err != nil {
			return err
		}
		signer, ok := private.(crypto.Signer)
		if !ok || !slices.Contains(algs(), one.Alg) {
			return fmt.Errorf("the key %s cannot sign by %s", one.ID, one.Alg)
		}
		k.in.Keys[i].signer = signer
	}
	return nil
}

// turn makes the keys that are missing or due, and drops those long over. The
// file is written before a key is used. The caller has k.mu.
func (k *Keys) turn() error {
	now, keys, changed := time.Now(), slices.Clone(k.in.Keys), false
	for _, alg := range algs() {
		newest := time.Time{}
		for _, one := range keys {
			if one.Alg == alg && one.Signs.After(newest) {
				newest = one.Signs
			}
		}
		var signs time.Time
		switch {
		case newest.IsZero():
			signs = now
		case now.After(newest.Add(keyLife - keyEarly)):
			signs = now.Add(keyEarly)
		default:
			continue
		}
		one, err := newKey(alg, signs)
		if err != nil {
			return err
		}
		keys, changed = append(keys, one), true
	}
	if !changed {
		return nil
	}
	old := k.in.Keys
	k.in.Keys = slices.DeleteFunc(keys, func(one oneKey) bool { return now.After(one.Signs.Add(keyLife + keyEarly + keyLate)) })
	if err := k.write(); err != nil {
		k.in.Keys = old
		return err
	}
	return nil
}

func newKey(alg string, signs time.Time) (oneKey, error) {
	var signer crypto.Signer
	var err error
	if alg == string(jose.ES256) {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return oneKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	return oneKey{ID: rand.Text()[:12], Alg: alg, Private: private, Signs: signs.UTC(), signer: signer}, err
}

func (k *Keys) write() error {
	text, err := json.MarshalIndent(k.in, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the signing keys: %w", err)
	}
	return os.Rename(k.path+".new", k.path)
}

// Secret is for sealing what belongs to the provider: 32 bytes that stay.
func (k *Keys) Secret() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.in.Secret)
}

// all are the keys of now. A key that could not be written is none.
func (k *Keys) all() ([]oneKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.turn()
	if err != nil && len(k.in.Keys) > 0 {
		err = nil // the old ones go on; it is tried again
	}
	return slices.Clone(k.in.Keys), err
}

// sign makes a JWT of that type.
func (k *Keys) sign(alg, kind string, claims map[string]any) (string, error) {
	set, err := k.all()
	if err != nil {
		return "", err
	}
	var key oneKey
	for _, one := range set {
		if one.Alg == alg && !one.Signs.After(time.Now()) && !one.Signs.Before(key.Signs) {
			key = one
		}
	}
	if key.signer == nil {
		return "", fmt.Errorf("oidc: no key signs by %s", alg)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: key.signer, KeyID: key.ID}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
	if err != nil {
		return "", fmt.Errorf("oidc: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// public is the document of all keys that verify.
func (k *Keys) public() (set jose.JSONWebKeySet, err error) {
	all, err := k.all()
	for _, one := range all {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: one.signer.Public(), KeyID: one.ID, Algorithm: one.Alg, Use: "sig"})
	}
	return set, err
}

// verify reads a JWT of ours of that type. It does not look at the times.
func (k *Keys) verify(text, kind string, claims any) error {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return err
	}
	if len(token.Headers) != 1 || token.Headers[0].ExtraHeaders[jose.HeaderType] != kind {
		return errors.New("the token is of another type")
	}
	set, err := k.public()
	if err != nil {
		return err
	}
	for _, key := range set.Key(token.Headers[0].KeyID) {
		if key.Algorithm == token.Headers[0].Algorithm {
			return token.Claims(key.Key, claims)
		}
	}
	return errors.New("the token is signed by a key that is not there")
}
