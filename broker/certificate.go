package broker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificatePause is how often the files of a certificate are looked at, at
// most: who renews it need not tell anybody.
const certificatePause = time.Second

// certificate is a certificate in two files (PEM), which are read again when
// they change. What cannot be read then leaves the old one in place. It may be
// used concurrently.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	looked time.Time
	stamp  string // of the files that were read last, be it in vain
}

// openCertificate reads the files; the error says which is wrong and what to do.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, fmt.Errorf("a certificate needs its file and that of its key: give both, --tls-cert and --tls-key, or none")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamp, err := c.stampNow()
	if err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be used: %w; check --tls-cert and --tls-key", err)
	}
	c.stamp, c.looked = stamp, time.Now()
	return c, nil
}

// stampNow tells one state of the files from another.
func (c *certificate) stampNow() (stamp string, err error) {
	for _, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprint(info.Size(), " ", info.ModTime().UnixNano(), " ")
	}
	return stamp, nil
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		c.now = &pair
	}
	return err
}

// get is the certificate for a handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificatePause {
		return c.now, nil
	}
	c.looked = time.Now()
	stamp, err := c.stampNow()
	if err == nil && stamp == c.stamp {
		return c.now, nil
	}
	if err == nil {
		c.stamp = stamp
		err = c.load()
	}
	if err != nil {
		c.log.Error("the new certificate cannot be used, the old one stays", "file", c.certFile, "error", err)
	} else {
		c.log.Info("a new certificate is used from now on", "file", c.certFile, "until", c.now.Leaf.NotAfter)
	}
	return c.now, nil
}
