package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServesTLS: a server with a certificate is healthy to its own container,
// whatever name the certificate has.
func TestServesTLS(t *testing.T) {
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	pair := lender.TLS.Certificates[0]
	lender.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Errorf("the address is %s", s.url)
	}
	s.ok(t, "health")
	inside := shell{env: []string{"FANFARE_LISTEN=:" + s.url[strings.LastIndex(s.url, ":")+1:], "FANFARE_TLS_CERT=" + certFile}}
	inside.ok(t, "health")
	s.fails(t, 1, "", "app", "list") // who asks with a secret trusts nobody's certificate
}
