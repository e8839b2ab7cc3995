package bus

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

const (
	routeName   = "node.fanfare.internal" // whom a node expects at the other end, whatever its address
	routeRounds = 100_000                 // of guessing the secret from a certificate; some 30 ms each
	routeTLS    = 5 * time.Second         // for a handshake
)

// routeTrust is how nodes know each other, and what they say stays between
// them: TLS 1.3, each side with a certificate that an authority signed whose
// key comes of the cluster's secret. So every node is its own authority, there
// are no files to hand out, and whoever does not know the secret can neither
// be a node nor read along, not even later: a node's own key is new at each
// start and goes nowhere. made is told of each connection.
func routeTrust(secret string, made func(tls.ConnectionState)) (*tls.Config, error) {
	seed, err := pbkdf2.Key(sha256.New, secret, []byte("fanfare routes v1"), routeRounds, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	authority := ed25519.NewKeyFromSeed(seed)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fanfare cluster"},
		// Nodes whose clocks differ must agree, and nothing ends by itself: who
		// wants new keys changes the secret.
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority)
	if err != nil {
		return nil, fmt.Errorf("making the cluster's authority: %w", err)
	}
	if root, err = x509.ParseCertificate(signed); err != nil {
		return nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: routeName}, DNSNames: []string{routeName},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, root, own.Public(), authority)
	if err != nil {
		return nil, fmt.Errorf("making the node's certificate: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(root)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: routeName,
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: own}},
		VerifyConnection: func(s tls.ConnectionState) error { // beside all other checks
			made(s)
			return nil
		},
		RootCAs: trusted, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}

// Encrypted says how the ways to the other nodes are encrypted, as of the last
// one that was made; "" where there was none, or they are not ours.
func (b *Bus) Encrypted() string {
	if v := b.encrypted.Load(); v != 0 {
		return tls.VersionName(uint16(v))
	}
	return ""
}
