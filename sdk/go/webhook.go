package fanfare

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Why a webhook is not taken; errors.Is finds them in VerifyWebhook's error.
var (
	// ErrWebhookSignature: a header is missing or wrong, or no signature is of
	// the secret. Answer 400 or 401; never do what the body says.
	ErrWebhookSignature = errors.New("the webhook's signature is not valid")
	// ErrWebhookTime: it was signed too long ago, or in the future. It may be an
	// old one that somebody recorded.
	ErrWebhookTime = errors.New("the webhook's timestamp is too far from this clock")
	// ErrWebhookSecret: the secret is not whsec_ and the base64 of 24 to 64 bytes.
	ErrWebhookSecret = errors.New("the webhook's secret is not valid")
)

// WebhookTolerance is how far a webhook's timestamp may be from this machine's
// clock, where VerifyWebhook is not told otherwise.
const WebhookTolerance = 5 * time.Minute

const maxWebhookSignatures = 16 // in one header; a rotation makes two

// VerifyWebhook is nil when body was sent by the server that knows secret, not
// longer than tolerance ago (0: WebhookTolerance), by Standard Webhooks 1.0
// (PROTOCOL.md, clause 9.32). secret is what fanfare webhook create or rotate
// gave, "whsec_…". body is the request's body, byte for byte: read it whole
// before parsing it.
//
// The header webhook-id names the event. An event may come more than once, so
// remember the ids of those you took, for a day and a half at least, if doing
// its work twice would hurt.
func VerifyWebhook(secret string, header http.Header, body []byte, tolerance time.Duration) error {
	text, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return fmt.Errorf("fanfare: %w", ErrWebhookSecret)
	}
	id, at, given := header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature")
	if id == "" || at == "" || given == "" {
		return fmt.Errorf("fanfare: %w: webhook-id, webhook-timestamp or webhook-signature is missing", ErrWebhookSignature)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	matches, seen := false, 0
	for one := range strings.FieldsSeq(given) {
		if seen++; seen > maxWebhookSignatures {
			break
		}
		version, text, _ := strings.Cut(one, ",")
		if version != "v1" { // signatures of other kinds may stand beside ours
			continue
		}
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil && hmac.Equal(sum, want) {
			matches = true
		}
	}
	if !matches {
		return fmt.Errorf("fanfare: %w: none is of this secret and this body", ErrWebhookSignature)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("fanfare: %w: webhook-timestamp is no number", ErrWebhookSignature)
	}
	if tolerance <= 0 {
		tolerance = WebhookTolerance
	}
	if d := time.Since(time.Unix(seconds, 0)); d > tolerance || d < -tolerance {
		return fmt.Errorf("fanfare: %w", ErrWebhookTime)
	}
	return nil
}
