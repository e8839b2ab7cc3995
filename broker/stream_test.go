package broker_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 7.2 7.1
func TestStreamCredentials(t *testing.T) {
	s := brokertest.Start(t)
	token := makeToken(t, s, `{"grants":{"subscribe":["a"]}}`)
	none := func(*http.Request) {}
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "fanfare_token", Value: token}) }
	for _, c := range []struct {
		name, query string
		change      func(*http.Request)
		code        protocol.Code
	}{
		{"publishable key in the URL", "?channel=a&key=" + s.PublishableKey, none, ""},
		{"cookie", "?channel=a", cookie, ""},
		{"secret key in the URL", "?channel=a&key=" + s.SecretKey, none, protocol.CodeKeyInURL},
		{"token in the URL", "?channel=a&token=" + token, none, protocol.CodeKeyInURL},
		{"nothing", "?channel=a", none, protocol.CodeCredentialMissing},
		{"no channel", "", cookie, protocol.CodeBadRequest},
		{"101 channels", "?" + strings.TrimSuffix(strings.Repeat("channel=a&", 101), "&"), cookie, protocol.CodeChannelLimit},
		{"one of two not granted", "?channel=a&channel=b", cookie, protocol.CodeNotGranted},
		{"bad ticket", "?channel=a&ticket=nope", none, protocol.CodeTicketInvalid},
	} {
		_, refused := getSSE(t, s, c.query, c.change, 1)
		if c.code == "" && refused != nil {
			t.Errorf("%s: %s", c.name, refused.raw)
		}
		if c.code != "" && (refused == nil || refused.Code != c.code) {
			t.Errorf("%s: got %+v, want %s", c.name, refused, c.code)
		}
	}
	if status, body := post(t, s, "/v1/sse", s.SecretKey, ""); status != http.StatusMethodNotAllowed || !strings.Contains(body, "method_not_allowed") {
		t.Errorf("POST: %d %s", status, body)
	}
}

// claims: 9.4
func TestTicket(t *testing.T) {
	s := brokertest.Start(t)
	status, body := post(t, s, "/v1/tickets", makeToken(t, s, `{"user":"ann","grants":{"subscribe":["a"]}}`), "")
	if status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	ticket := between(body, `"ticket":"`, `"`)
	none := func(*http.Request) {}
	l, refused := getSSE(t, s, "?channel=a&ticket="+ticket, none, 1)
	if refused != nil {
		t.Fatalf("refused: %s", refused.raw)
	}
	publish(t, s, "a", "1")
	message(t, l)
	if _, refused := getSSE(t, s, "?channel=a&ticket="+ticket, none, 1); refused == nil || refused.Code != protocol.CodeTicketInvalid {
		t.Errorf("a second time: %+v", refused)
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// A page of another origin may read a stream, since no cookie goes with it.
//
// claims: 9.10
func TestStreamFromAnotherOrigin(t *testing.T) {
	s := brokertest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		r, err := http.NewRequestWithContext(ctx, method, s.URL+"/v1/sse?channel=a&key="+s.PublishableKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://page.example.com")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "*" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d, allow-origin %q", method, resp.StatusCode, got)
		}
	}
}
