package bench_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
)

// signed reports whether a request has a signature as Pusher's HTTP API wants
// it, by the secret "secret".
func signed(r *http.Request, body []byte) bool {
	q := r.URL.Query()
	signature, err := hex.DecodeString(q.Get("auth_signature"))
	if err != nil || q.Get("auth_key") != "key" || q.Get("auth_version") != "1.0" {
		return false
	}
	sum := md5.Sum(body)
	mac := hmac.New(sha256.New, []byte("secret"))
	fmt.Fprintf(mac, "POST\n%s\nauth_key=key&auth_timestamp=%s&auth_version=1.0&body_md5=%x", r.URL.Path, q.Get("auth_timestamp"), sum)
	return hmac.Equal(mac.Sum(nil), signature)
}
