package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// writeCertificate makes a certificate of that number for this machine.
func writeCertificate(t *testing.T, dir string, number int64) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile, pool
}

// TestTLS: both wires and REST work over TLS, and a certificate that is renewed
// is used without a restart; one that is broken is not.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, pool := writeCertificate(t, dir, 1)
	s := brokertest.Start(t, func(c *broker.Config) { c.TLSCert, c.TLSKey = certFile, keyFile })
	if !strings.HasPrefix(s.URL, "https://127.0.0.1:") {
		t.Fatalf("the address is %s", s.URL)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, s.URL+"/v1/ws", &websocket.DialOptions{Subprotocols: []string{protocol.Subprotocol}, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	hello := `{"type":"hello","key":"` + s.PublishableKey + `"}` + "\n" + `{"type":"subscribe","ref":1,"channel":"a"}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	text := ""
	read := func(want string) {
		t.Helper()
		for !strings.Contains(text, want) {
			_, b, err := conn.Read(ctx)
			if err != nil {
				t.Fatalf("before %s came: %v; %s", want, err, text)
			}
			text += string(b)
		}
	}
	read(`"subscribed"`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/messages", strings.NewReader(`{"channel":"a","data":"over TLS"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.SecretKey)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("publish: %s over %s, %v", res.Status, res.Proto, err)
	}
	read("over TLS")

	served := func() int64 {
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), &tls.Config{InsecureSkipVerify: true}) // which one it is, is the question
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := served(); n != 1 {
		t.Errorf("certificate %d, want 1", n)
	}
	if err := os.WriteFile(certFile, []byte("half of a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := served(); n != 1 {
		t.Errorf("certificate %d while the file is broken, want 1", n)
	}
	writeCertificate(t, dir, 2)
	eventually(t, "the renewed certificate is used", func() bool { return served() == 2 })
}

func TestWrongCertificates(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := writeCertificate(t, dir, 1)
	other, _, _ := writeCertificate(t, t.TempDir(), 2)
	for name, c := range map[string]broker.Config{
		"no key": {TLSCert: certFile}, "no certificate": {TLSKey: keyFile}, "missing": {TLSCert: filepath.Join(dir, "none"), TLSKey: keyFile}, "of another key": {TLSCert: other, TLSKey: keyFile},
	} {
		c.Data, c.Listen, c.Logger = t.TempDir(), "127.0.0.1:0", slog.New(slog.DiscardHandler)
		b, err := broker.New(t.Context(), c)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "--tls-cert") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
