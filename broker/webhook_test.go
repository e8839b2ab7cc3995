package broker_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// What happens in an app reaches its endpoint, signed.
func TestWebhooksTellWhatHappens(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.WebhooksPrivate = true })
	type delivery struct {
		head http.Header
		body []byte
	}
	came := make(chan delivery, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		came <- delivery{r.Header, body}
	}))
	defer receiver.Close()
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, `{"rules":[{"namespace":"told","webhooks":true}]}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	status, body := post(t, s, "/v1/apps/"+s.App+"/webhooks", s.AccountToken, `{"url":"`+receiver.URL+`/hook"}`)
	var hook protocol.Webhook
	if err := json.Unmarshal([]byte(body), &hook); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}

	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["*"],"presence":["*"]}}`)
	c := ready(t, s, token)
	c.send(`{"type":"subscribe","ref":2,"channel":"told:1"}`)
	c.want(protocol.TypeSubscribed, "")
	c.send(`{"type":"presence","ref":3,"channel":"told:1","action":"enter","data":{"mood":"good"}}`)
	publish(t, s, "told:1", `{"n":1}`)
	publish(t, s, "untold:1", `{"n":2}`)

	want := map[string]bool{
		protocol.WebhookChannelOccupied: true, protocol.WebhookMemberJoined: true,
		protocol.WebhookMessagePublished: true, protocol.WebhookConnectionClosed: true,
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for len(want) > 0 {
		if len(want) == 1 { // all but the last have come
			c.close()
		}
		select {
		case d := <-came:
			if err := fanfare.VerifyWebhook(hook.Secret, d.head, d.body, 0); err != nil {
				t.Errorf("%v: %s", err, d.body)
			}
			var e struct {
				Type string
				Data struct {
					Channel, User string
					Message       protocol.Message
				}
			}
			if err := json.Unmarshal(d.body, &e); err != nil {
				t.Fatalf("%v: %s", err, d.body)
			}
			if e.Data.Channel == "untold:1" {
				t.Errorf("the rule does not tell of %s", d.body)
			}
			if e.Type == protocol.WebhookMessagePublished && (string(e.Data.Message.Data) != `{"n":1}` || e.Data.Message.Position == "") {
				t.Errorf("got %s", d.body)
			}
			if (e.Type == protocol.WebhookMemberJoined || e.Type == protocol.WebhookConnectionClosed) && e.Data.User != "ann" {
				t.Errorf("got %s", d.body)
			}
			delete(want, e.Type)
		case <-late.C:
			t.Fatalf("these never came: %v", want)
		}
	}
}

// TestWebhooksAreCounted has one receiver that takes events and one that is
// gone, and reads /metrics, which name no app.
func TestWebhooksAreCounted(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.WebhooksPrivate = true })
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
	}))
	defer receiver.Close()
	for _, path := range []string{"/here", "/gone"} {
		if status, body := post(t, s, "/v1/apps/"+s.App+"/webhooks", s.AccountToken, `{"url":"`+receiver.URL+path+`","events":["connection.closed"]}`); status != http.StatusCreated {
			t.Fatalf("%d %s", status, body)
		}
	}
	ready(t, s, s.PublishableKey).close()
	want := []string{
		`fanfare_webhook_tries_total{result="ok"} 1`,
		`fanfare_webhook_tries_total{result="failed"} 1`,
		`fanfare_webhook_events_total{outcome="delivered"} 1`,
		`fanfare_webhook_events_total{outcome="given_up"} 1`,
		`fanfare_webhook_events_waiting 0`,
		`fanfare_webhook_endpoints_disabled 1`,
	}
	var metrics string
	eventually(t, "all is counted", func() bool {
		_, metrics = call(t, s, http.MethodGet, "/metrics", "", "")
		for _, line := range want {
			if !strings.Contains(metrics, line+"\n") {
				return false
			}
		}
		return true
	})
	if strings.Contains(metrics, s.App) {
		t.Error("the metrics name an app")
	}
}
