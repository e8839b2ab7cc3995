package bus_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// TestRoutesAreEncrypted: nodes know each other by the secret, and nobody else
// gets as far as being heard.
func TestRoutesAreEncrypted(t *testing.T) {
	all := addresses(t, 3)
	for i, b := range openCluster(t, t.TempDir(), all) {
		if is := b.Encrypted(); is != "TLS 1.3" {
			t.Errorf("the ways of node %d are encrypted by %q", i, is)
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"node.fanfare.internal"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	own, err := x509.CreateCertificate(rand.Reader, self, self, public, private)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*tls.Config{
		"no certificate":              {InsecureSkipVerify: true},
		"another authority":           {InsecureSkipVerify: true, Certificates: []tls.Certificate{{Certificate: [][]byte{own}, PrivateKey: private}}},
		"an older version of TLS":     {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		"nobody that it would expect": {ServerName: "node.fanfare.internal"},
	} {
		conn, err := net.Dial("tcp", all[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 1)
		s := tls.Client(conn, c)
		if err = s.Handshake(); err == nil { // in TLS 1.3 the refusal comes behind it
			_, err = s.Read(said)
		}
		if err == nil {
			t.Errorf("%s: it is heard, and told %q", what, said)
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("%s: nothing was said for 30 s", what)
		}
		_ = conn.Close()
	}
}
