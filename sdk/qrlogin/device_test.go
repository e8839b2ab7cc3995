package qrlogin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// devices are a television and a program with a secret.
func devices(o *qrlogin.Options) {
	o.Devices = &qrlogin.Devices{
		Clients: []qrlogin.DeviceClient{
			{ID: "tv", Name: "Living room TV", Scopes: []string{"watch", "profile"}},
			{ID: "printer", Name: "Printer", Scopes: []string{"print"}, Secret: qrlogin.HashOf("printer's secret")},
		},
		Token: func(_ context.Context, l qrlogin.Login, c qrlogin.DeviceClient, scope string) (qrlogin.DeviceToken, error) {
			return qrlogin.DeviceToken{AccessToken: l.User.ID + " on " + c.ID + " for " + scope, ExpiresIn: time.Hour}, nil
		},
	}
}

func form(c *client) *client {
	c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c
}

const deviceGrant = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=tv&device_code="

func TestDevices(t *testing.T) {
	g := newRig(t, devices)
	tv, phone := form(g.client()), g.phone("ada/1")
	a := tv.want(200, "POST", "/qr/oauth/device_authorization", rawForm("client_id=tv&scope=watch"))
	if a.text("verification_uri") != "http://127.0.0.1:8090/q" || a.body["interval"] != 5.0 || a.body["expires_in"] != 600.0 || len(a.text("device_code")) != 78 || len(a.text("user_code")) != 9 {
		t.Fatalf("%s", a.Body)
	}
	if push, _ := a.body["push"].(map[string]any); push["ws"] != "ws://127.0.0.1:8090/v1/ws" || push["channel"] == "" || push["token"] == "" {
		t.Errorf("push: %v", a.body["push"])
	}
	asked := phone.scan(a.text("verification_uri_complete")[strings.LastIndexByte(a.text("verification_uri_complete"), '/')+1:])
	if asked.Code != 200 || asked.text("user_code") != a.text("user_code") || asked.text("session_label") != "Living room TV" {
		t.Fatalf("what the phone shows: %s", asked.Body)
	}
	// Who waits is told at once.
	waiting := make(chan answer, 1)
	go func() { waiting <- tv.do("POST", "/qr/oauth/token", rawForm(deviceGrant+a.text("device_code"))) }()
	synchronous(t, phone.decide(asked.text("attempt_id"), "approve", asked.text("decision_nonce")), "approved")
	if got := <-waiting; got.Code != 200 || got.text("access_token") != "ada on tv for watch" || got.text("token_type") != "Bearer" || got.body["expires_in"] != 3600.0 || got.text("scope") != "watch" {
		t.Fatalf("the token: %d %s", got.Code, got.Body)
	}
	if got := tv.do("POST", "/qr/oauth/token", rawForm(deviceGrant+a.text("device_code"))); got.Code != 400 || got.text("error") != "invalid_grant" {
		t.Errorf("once more: %d %s", got.Code, got.Body)
	}
	if strings.Contains(g.log.String(), a.text("device_code")[26:]) || strings.Contains(g.log.String(), a.text("user_code")) {
		t.Error("the log holds a code")
	}
}

func TestDeviceErrors(t *testing.T) {
	g := newRig(t, devices)
	tv := form(g.client())
	code := tv.want(200, "POST", "/qr/oauth/device_authorization", rawForm("client_id=tv")).text("device_code")
	for what, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"an unknown client":   {"device_authorization", "client_id=radio", 401, "invalid_client"},
		"no client":           {"device_authorization", "", 401, "invalid_client"},
		"a client's secret":   {"device_authorization", "client_id=printer", 401, "invalid_client"},
		"a wrong secret":      {"device_authorization", "client_id=printer&client_secret=x", 401, "invalid_client"},
		"a secret of nobody":  {"device_authorization", "client_id=tv&client_secret=x", 401, "invalid_client"},
		"a scope too many":    {"device_authorization", "client_id=tv&scope=watch+admin", 400, "invalid_scope"},
		"another grant":       {"token", "client_id=tv&grant_type=password", 400, "unsupported_grant_type"},
		"no code":             {"token", deviceGrant, 400, "invalid_grant"},
		"half a code":         {"token", deviceGrant + code[:40], 400, "invalid_grant"},
		"another's code":      {"token", strings.Replace(deviceGrant, "=tv", "=printer&client_secret=printer%27s+secret", 1) + code, 400, "invalid_grant"},
		"a code with a flaw":  {"token", deviceGrant + code[:77] + "0", 400, "invalid_grant"},
		"an id of nobody":     {"token", deviceGrant + strings.Repeat("A", 26) + code[26:], 400, "invalid_grant"},
		"the right one, then": {"device_authorization", "client_id=printer&client_secret=printer%27s+secret", 200, ""},
	} {
		if a := tv.do("POST", "/qr/oauth/"+c.path, rawForm(c.body)); a.Code != c.status || a.text("error") != c.code {
			t.Errorf("%s: %d %s, want %d %s", what, a.Code, a.Body, c.status, c.code)
		}
	}
	basic := form(g.client())
	basic.header.Set("Authorization", "Basic dHY6") // tv and an empty password
	basic.want(200, "POST", "/qr/oauth/device_authorization", rawForm(""))
	if a := newRig(t).client().do("POST", "/qr/oauth/device_authorization", rawForm("client_id=tv")); a.Code != 404 {
		t.Errorf("where it is off: %d, want 404", a.Code)
	}
	// A device's attempt is no page's, and the other way round.
	page := g.open()
	if a := tv.do("POST", "/qr/oauth/token", rawForm(deviceGrant+page.id+page.cookies["qrl-"+page.id])); a.text("error") != "invalid_grant" {
		t.Errorf("a page's cookie as a device code: %d %s", a.Code, a.Body)
	}
}
