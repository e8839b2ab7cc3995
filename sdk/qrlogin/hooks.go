package qrlogin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// hooks tell hosts of what becomes of their attempts, by Standard Webhooks
// 1.0. A notice is a hint: hosts ask for the state, and hear of no secret. Any
// goroutine may send; run delivers in its own.
type hooks struct {
	queue  chan notice
	client *http.Client
}

type notice struct {
	to   Host
	id   string
	body []byte
}

const (
	maxNotices    = 1000
	noticeTries   = 4
	noticeTimeout = 5 * time.Second
)

func newHooks() *hooks {
	return &hooks{queue: make(chan notice, maxNotices), client: &http.Client{
		Timeout:       noticeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// webhookKey is the key of a whsec_ secret.
func webhookKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("qrlogin: Host.WebhookSecret has to be whsec_ and the base64 of 24 to 64 bytes")
	}
	return key, nil
}

// notify queues a notice to the attempt's host, or drops it where the queue is
// full.
func (s *Server) notify(action string, a Attempt) {
	h, ok := s.hostNamed(a.Client)
	if !ok || a.Kind != ByHost || h.WebhookURL == "" || action == ActionCreated || action == ActionRefused {
		return
	}
	name := map[string]string{ActionSignedIn: "consumed"}[action]
	if name == "" {
		name = action
	}
	body, err := json.Marshal(map[string]any{
		"type": "attempt." + name, "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
		"data": map[string]any{"attempt_id": a.ID, "state": a.State, "reason": a.Reason, "subject": a.UserID},
	})
	if err != nil { // strings only
		return
	}
	select {
	case s.hooks.queue <- notice{h, "msg_" + newID(), body}:
	default:
		s.o.Logger.Warn("qrlogin: a webhook was dropped: too many wait", "host", h.Name, "attempt", a.ID)
	}
}

// run delivers until ctx is done.
func (k *hooks) run(ctx context.Context, failed func(Host, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-k.queue:
			if err := k.deliver(ctx, n); err != nil && ctx.Err() == nil {
				failed(n.to, err)
			}
		}
	}
}

// deliver tries a few times, a quarter of a second, one and four apart.
func (k *hooks) deliver(ctx context.Context, n notice) (err error) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for try := range noticeTries {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait.C:
		}
		if err = k.post(ctx, n); err == nil {
			return nil
		}
		wait.Reset(250 * time.Millisecond << (2 * try))
	}
	return err
}

func (k *hooks) post(ctx context.Context, n notice) error {
	key, err := webhookKey(n.to.WebhookSecret)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.to.WebhookURL, bytes.NewReader(n.body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(n.id + "." + at + "." + string(n.body))) // a hash does not fail
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", n.id)
	r.Header.Set("webhook-timestamp", at)
	r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := k.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return errors.New("answered " + resp.Status)
	}
	return nil
}
