package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/webhook"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// openWebhooks opens the room of webhooks. Nothing runs it: what is sent is
// sent by hand.
func openWebhooks(tb testing.TB, b *bus.Bus, log *slog.Logger) *webhook.Webhooks {
	tb.Helper()
	records, err := b.Bucket(tb.Context(), "webhooks", bus.BucketOptions{})
	must(tb, err)
	queue, err := b.Queue(tb.Context(), "webhooks", bus.QueueOptions{})
	must(tb, err)
	tries, err := b.Journal(tb.Context(), "webhooks", bus.JournalOptions{Entries: webhook.KeepTries})
	must(tb, err)
	w, err := webhook.New(tb.Context(), webhook.Options{Records: records, Queue: queue, Log: tries, AllowPrivate: true, Logger: log})
	must(tb, err)
	tb.Cleanup(w.Close)
	return w
}

// claims: 9.30 9.31 9.35
func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	var got *http.Request
	var body []byte
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		rw.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	base := "/v1/apps/" + string(w.app) + "/webhooks"
	do := func(method, path, body string, status int, v any) {
		t.Helper()
		accepted(t, w.send(request{method: method, path: base + path, as: w.accountToken, body: body}), status, v)
	}
	fails := func(method, path, body string, code protocol.Code) {
		t.Helper()
		refused(t, w.send(request{method: method, path: base + path, as: w.accountToken, body: body}), code)
	}
	var made, read, rotated protocol.Webhook
	do("POST", "", `{"url":"`+receiver.URL+`","events":["member.joined"]}`, 201, &made)
	if !strings.HasPrefix(made.Secret, "whsec_") || made.App != w.app || len(made.Events) != 1 {
		t.Errorf("made: %+v", made)
	}
	one := "/" + made.ID
	do("GET", one, "", 200, &read)
	if read.Secret != "" || read.URL != receiver.URL {
		t.Errorf("read: %+v", read)
	}
	do("PATCH", one, `{"disabled":true}`, 200, &read)
	if !read.Disabled || read.DisabledReason == "" {
		t.Errorf("disabled: %+v", read)
	}
	do("POST", one+"/rotate", `{"grace":60}`, 200, &rotated)
	if rotated.Secret == made.Secret || rotated.OldSecretUntil == nil {
		t.Errorf("rotated: %+v", rotated)
	}
	var tried, again protocol.WebhookDelivery
	do("POST", one+"/test", "", 200, &tried)
	for _, secret := range []string{made.Secret, rotated.Secret} {
		if err := fanfare.VerifyWebhook(secret, got.Header, body, 0); err != nil {
			t.Error(err)
		}
	}
	do("POST", one+"/deliveries/"+tried.ID+"/resend", "", 200, &again)
	if !tried.OK || !again.OK || again.Event != tried.Event || again.ID == tried.ID {
		t.Errorf("tried %+v, and again %+v", tried, again)
	}
	var list struct{ Deliveries []protocol.WebhookDelivery }
	do("GET", one+"/deliveries", "", 200, &list)
	if len(list.Deliveries) != 2 || list.Deliveries[0].ID != again.ID {
		t.Errorf("deliveries: %+v", list)
	}

	fails("POST", one+"/deliveries/dlv_9/resend", "", protocol.CodeDeliveryNotFound)
	fails("POST", "", `{"url":"ftp://example.com/"}`, protocol.CodeURLNotAllowed)
	fails("PATCH", one, `{"url":"x"}`, protocol.CodeURLNotAllowed)
	fails("PATCH", one, `{"events":["x"]}`, protocol.CodeBadRequest)
	fails("POST", one+"/rotate", `{"grace":-1}`, protocol.CodeBadRequest)
	for range 9 {
		do("POST", "", `{"url":"`+receiver.URL+`"}`, 201, nil)
	}
	fails("POST", "", `{"url":"`+receiver.URL+`"}`, protocol.CodeWebhookLimit)
	do("DELETE", one, "", 204, nil)
	for _, c := range [][2]string{{"GET", one}, {"DELETE", one}, {"POST", one + "/rotate"}, {"POST", one + "/test"}, {"GET", one + "/deliveries"}, {"POST", one + "/deliveries/" + tried.ID + "/resend"}} {
		fails(c[0], c[1], "", protocol.CodeWebhookNotFound)
	}
	accepted(t, w.send(request{method: "DELETE", path: "/v1/apps/" + string(w.app), as: w.accountToken}), 204, nil)
	if left := w.hooks.List(w.app); len(left) != 0 {
		t.Errorf("of a deleted app %d webhooks are left", len(left))
	}
	for _, secret := range []string{made.Secret, rotated.Secret} {
		if strings.Contains(w.logs.String(), secret[6:]) {
			t.Error("a secret is in the log")
		}
	}
}

func TestWithoutWebhooksThereAreNoRoutes(t *testing.T) {
	w := newWorld(t, func(o *api.Options) { o.Webhooks, o.Deliveries = nil, nil })
	for _, path := range []string{"", "/whk_1", "/whk_1/deliveries"} {
		refused(t, w.send(request{method: "GET", path: "/v1/apps/" + string(w.app) + "/webhooks" + path, as: w.accountToken}), protocol.CodeNotFound)
	}
	accepted(t, w.send(request{method: "DELETE", path: "/v1/apps/" + string(w.app), as: w.accountToken}), 204, nil)
}
