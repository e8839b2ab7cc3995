package pusher

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/fanfarehq/fanfare/broker/tenant"
)

// sign is the HMAC-SHA256 of text under secret, in hexadecimal digits.
func sign(secret []byte, text string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed reports, in constant time, whether signature is text's under secret.
func signed(secret []byte, text, signature string) bool {
	return hmac.Equal([]byte(sign(secret, text)), []byte(signature))
}

// vouched reports whether auth, a key and a signature with a colon between, is
// good for text: of any live key of the app, since they rotate.
func (d *Door) vouched(pass *tenant.Pass, auth, text string) bool {
	key, signature, ok := strings.Cut(auth, ":")
	if !ok {
		return false
	}
	if key != pass.Keys[tenant.RoleKey] {
		other, err := d.o.Tenants.Pass(tenant.DoorPusher, key)
		if err != nil || other.App != pass.App {
			return false
		}
		pass = other
	}
	return signed(pass.Secret, text, signature)
}
