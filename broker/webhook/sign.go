package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// secretBytes is how long a new secret is; Standard Webhooks wants 24 to 64.
const secretBytes = 32

// newSecret makes a secret that nobody can guess.
func newSecret() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return b
}

// secretText is how a person gets a secret.
func secretText(secret []byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(secret)
}

// signatures is the webhook-signature header: one signature for each secret
// (Standard Webhooks 1.0, symmetric).
func signatures(secrets [][]byte, id string, at time.Time, body []byte) string {
	var out []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}
