package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/broker/webhook"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// withWebhooks is a shell beside a server whose webhooks may go to this
// machine, which those of fanfare serve may not.
func withWebhooks(t *testing.T) shell {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	b, err := bus.Open(ctx, bus.Options{Dir: t.TempDir()})
	must(err)
	t.Cleanup(func() { b.Close() })
	bucket := func(name string) *bus.Bucket {
		k, err := b.Bucket(ctx, name, bus.BucketOptions{})
		must(err)
		return k
	}
	tenants, err := tenant.Open(ctx, tenant.Options{Records: bucket("tenant"), Tickets: bucket("tickets"), Sessions: bucket("sessions")})
	must(err)
	t.Cleanup(tenants.Close)
	account, token, err := tenants.CreateAccount(ctx, "a")
	must(err)
	_, err = tenants.CreateApp(ctx, account.ID, tenant.AppInput{Name: "shop"})
	must(err)
	queue, err := b.Queue(ctx, "webhooks", bus.QueueOptions{})
	must(err)
	tries, err := b.Journal(ctx, "webhooks", bus.JournalOptions{Entries: webhook.KeepTries})
	must(err)
	hooks, err := webhook.New(ctx, webhook.Options{Records: bucket("webhooks"), Queue: queue, Log: tries, AllowPrivate: true})
	must(err)
	t.Cleanup(hooks.Close)
	s := httptest.NewServer(api.New(api.Options{Tenants: tenants, Stats: stats.New(), Webhooks: hooks, Deliveries: hooks}))
	t.Cleanup(s.Close)
	return shell{env: []string{"FANFARE_URL=" + s.URL, "FANFARE_ACCOUNT_TOKEN=" + token, "FANFARE_APP=shop"}}
}

// claims: 9.30 9.35
func TestWebhooks(t *testing.T) {
	s := withWebhooks(t)
	secrets, status := []string{}, http.StatusNoContent
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, secret := range secrets {
			if err := fanfare.VerifyWebhook(secret, r.Header, body, time.Minute); err != nil {
				t.Error(err)
			}
		}
		w.WriteHeader(status)
		io.WriteString(w, "the kitchen is closed")
	}))
	t.Cleanup(receiver.Close)
	r := s.run(t, "webhook", "create", receiver.URL+"/first")
	if r.status != 0 || !strings.Contains(r.stderr, "not shown again") || !strings.Contains(r.out, "whsec_") {
		t.Fatalf("create: status %d\n%s%s", r.status, r.out, r.stderr)
	}
	var made, next protocol.Webhook
	fromJSON(t, s.ok(t, "webhook", "create", receiver.URL, "--event", "member.joined", "--event", "member.left", "--json"), &made)
	fromJSON(t, s.ok(t, "webhook", "rotate", made.ID, "--grace", "1h", "--json"), &next)
	secrets = append(secrets, made.Secret, next.Secret)
	if out := s.ok(t, "webhook", "test", made.ID); !strings.Contains(out, "ok 204") || !strings.Contains(out, "webhook.test") {
		t.Errorf("test shows\n%s", out)
	}
	status = http.StatusTeapot
	var failed protocol.WebhookDelivery
	r = s.run(t, "webhook", "test", made.ID, "--json")
	if fromJSON(t, r.out, &failed); r.status != 1 || failed.Status != status {
		t.Errorf("a test that fails: status %d\n%s", r.status, r.out)
	}
	status = http.StatusOK
	s.ok(t, "webhook", "resend", made.ID, failed.ID)
	out := s.ok(t, "webhook", "deliveries", made.ID)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 4 || !strings.Contains(lines[1], "ok 200") || !strings.Contains(lines[2], "answered 418") || !strings.Contains(lines[3], "by hand") {
		t.Errorf("deliveries shows\n%s", out)
	}
	s.ok(t, "webhook", "update", made.ID, "--to", receiver.URL+"/second", "--disable")
	list := s.ok(t, "webhook", "list")
	if !strings.Contains(list, "disabled") || !strings.Contains(list, "/second") || !strings.Contains(list, "member.joined member.left") || strings.Contains(list, "whsec_") {
		t.Errorf("the list is\n%s", list)
	}
	s.ok(t, "webhook", "update", made.ID, "--enable", "--event", "channel.vacated")
	s.fails(t, 2, "nothing to change", "webhook", "update", made.ID)
	s.fails(t, 1, "[url_not_allowed]", "webhook", "create", "ftp://example.com/")
	s.fails(t, 1, "[delivery_not_found]", "webhook", "resend", made.ID, "dlv_zz")
	s.fails(t, 2, "--yes", "webhook", "delete", made.ID)
	s.ok(t, "webhook", "delete", made.ID, "--yes")
	s.fails(t, 1, "[webhook_not_found]", "webhook", "test", made.ID)
}
