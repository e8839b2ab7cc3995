package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	statusGone  = http.StatusGone
	maxAnswer   = 64 << 10 // bytes of an answer that are read
	shownAnswer = 512      // bytes of them that go into the log of tries
)

// try sends an event to an endpoint, once. asked is how long the receiver
// wants to be left alone.
func (w *Webhooks) try(ctx context.Context, r *record, p parcel, body []byte) (d protocol.WebhookDelivery, asked time.Duration) {
	now := time.Now()
	defer func() { w.stats.WebhookTry(d.OK) }()
	d = protocol.WebhookDelivery{Event: p.ID, Type: p.Type, Time: now.UTC().Truncate(time.Millisecond)}
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	res, err := w.post(ctx, r, p.ID, now, body)
	if err != nil {
		d.Latency, d.Error = time.Since(now).Milliseconds(), reason(err)
		return d, 0
	}
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // its status has come, which says it all
	res.Body.Close()
	d.Latency, d.Status = time.Since(now).Milliseconds(), res.StatusCode
	if d.OK = res.StatusCode >= 200 && res.StatusCode < 300; d.OK {
		return d, 0
	}
	d.Error = "the receiver answered " + strconv.Itoa(res.StatusCode)
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		d.Error += "; redirects are not followed"
	}
	d.Answer = strings.ToValidUTF8(string(answer[:min(len(answer), shownAnswer)]), "")
	return d, retryAfter(res.Header, time.Now())
}

func (w *Webhooks) post(ctx context.Context, r *record, id string, now time.Time, body []byte) (*http.Response, error) {
	if err := w.guard.checkURL(r.URL); err != nil { // the option may have been switched off since it was made
		return nil, errPrivate
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // a try is one request: what a receiver may have got is not sent again behind our back
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Fanfare-Webhooks/1")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signatures(r.live(now), id, now, body))
	return w.client.Do(req)
}

// reason says why there was no answer, to the people of the app: without what
// they must not learn of the server's own network.
func reason(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if errors.Is(err, errPrivate) {
		return "nothing was sent: " + errPrivate.Error()
	}
	if de, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the name %s could not be looked up: %s", de.Name, de.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return fmt.Sprintf("the receiver did not answer within %v", tryLimit)
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return "the connection failed: " + oe.Err.Error()
	}
	return "there was no answer: " + err.Error()
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
