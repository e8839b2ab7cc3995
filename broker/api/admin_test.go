package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 9.6 8.8 9.1
func TestAppAndKeysFromBirthToDeath(t *testing.T) {
	w := newWorld(t)
	do := func(method, path, body string, status int, v any) string {
		t.Helper()
		got := w.send(request{method: method, path: path, as: w.accountToken, body: body})
		accepted(t, got, status, v)
		return got.body
	}
	var app tenant.App
	raw := do("POST", "/v1/apps", `{"name":"shop","limits":{"message_bytes":100},"rules":[{"namespace":"chat","echo":false}]}`, 201, &app)
	for _, part := range []string{`"message_bytes":100`, `"connections":100000`, `"publish_per_second":5000`, `"namespace":"chat"`, `"created":"20`} {
		if !strings.Contains(raw, part) {
			t.Errorf("no %s in %s", part, raw)
		}
	}
	refused(t, w.send(request{method: "POST", path: "/v1/apps", as: w.accountToken, body: `{"name":"shop"}`}), protocol.CodeNameTaken)
	at := "/v1/apps/" + string(app.ID)
	do("PATCH", at, `{"name":"store"}`, 200, &app)
	if app.Name != "store" || app.Limits.MessageBytes != 100 || len(app.Rules) != 1 {
		t.Errorf("a patch of the name left %+v", app)
	}
	do("PATCH", at, `{"rules":[],"limits":{"message_bytes":0}}`, 200, &app)
	if app.Limits.MessageBytes != 65536 || len(app.Rules) != 0 {
		t.Errorf("a patch of limits and rules left %+v", app)
	}
	var list struct{ Apps []tenant.App }
	do("GET", "/v1/apps", "", 200, &list)
	if len(list.Apps) != 2 || list.Apps[0].Name != "main" || list.Apps[1].Name != "store" {
		t.Errorf("apps: %+v", list.Apps)
	}
	if raw := w.send(request{method: "GET", path: "/v1/apps", as: w.otherToken}).body; strings.TrimSpace(raw) != `{"apps":[]}` {
		t.Errorf("the other account sees %s", raw)
	}

	var k, next tenant.Key
	do("POST", at+"/keys", `{"kind":"secret","name":"server"}`, 201, &k)
	if !strings.HasPrefix(k.Text, k.ID) || len(k.Text) != 52 {
		t.Fatalf("the new key's text is %d characters", len(k.Text))
	}
	one := at + "/keys/" + k.ID
	for _, path := range []string{one, at + "/keys"} {
		if raw := do("GET", path, "", 200, nil); strings.Contains(raw, k.Text) || !strings.Contains(raw, k.ID) {
			t.Errorf("GET %s: %s", path, raw)
		}
	}
	publish := func(as string) reply {
		return w.send(request{method: "POST", path: "/v1/messages", as: as, body: `{"channel":"a","data":1}`})
	}
	accepted(t, publish(k.Text), 200, nil)
	do("POST", one+"/rotate", `{"grace":3600}`, 201, &next)
	accepted(t, publish(k.Text), 200, nil)
	accepted(t, publish(next.Text), 200, nil)
	var third tenant.Key
	do("POST", at+"/keys/"+next.ID+"/rotate", `{"grace":0}`, 201, &third)
	refused(t, publish(next.Text), protocol.CodeKeyExpired)
	accepted(t, publish(third.Text), 200, nil)
	do("DELETE", one, "", 204, nil)
	refused(t, publish(k.Text), protocol.CodeKeyExpired)
	refused(t, w.send(request{method: "GET", path: at + "/keys/ffs_0123456789", as: w.accountToken}), protocol.CodeKeyNotFound)
	do("DELETE", at, "", 204, nil)
	refused(t, publish(third.Text), protocol.CodeKeyInvalid)
	refused(t, w.send(request{method: "GET", path: at, as: w.accountToken}), protocol.CodeAppNotFound)
	for _, text := range []string{k.Text, next.Text, third.Text} {
		if strings.Contains(w.logs.String(), text) {
			t.Error("a secret key is in the log")
		}
	}
}

func TestRotationWithoutAWordLeavesADay(t *testing.T) {
	w := newWorld(t)
	k := w.key(tenant.KeyInput{Kind: tenant.KindSecret, Name: "k"})
	accepted(t, w.send(request{method: "POST", path: fmt.Sprintf("/v1/apps/%s/keys/%s/rotate", w.app, k.ID), as: w.accountToken}), 201, nil)
	old, err := w.tenants.Key(w.account, w.app, k.ID)
	must(t, err)
	if old.Expires == nil || time.Until(*old.Expires) < 23*time.Hour || time.Until(*old.Expires) > 24*time.Hour {
		t.Errorf("the old key ends at %v, want in a day", old.Expires)
	}
}

// claims: 9.2
func TestWrongMembersAreNamed(t *testing.T) {
	w := newWorld(t)
	keys := "/v1/apps/" + string(w.app) + "/keys"
	for _, tc := range []struct{ method, path, as, body, say string }{
		{"POST", "/v1/apps", w.accountToken, ``, "body is required"},
		{"POST", "/v1/apps", w.accountToken, `{}`, "name"},
		{"POST", "/v1/apps", w.accountToken, `{"name":7}`, `"name"`},
		{"POST", "/v1/apps", w.accountToken, `{"name":""}`, `"name"`},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","limits":{"conections":1}}`, "limits.conections"},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","limits":{"connections":1.5}}`, "limits.connections"},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","limits":{"connections":-1}}`, "connections"},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","limits":{"connections":99999999999999999999}}`, "connections"},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","rules":[{"namespace":"a","ecko":true}]}`, "rules[0].ecko"},
		{"POST", "/v1/apps", w.accountToken, `{"name":"x","jwks":{"keys":[{}]}}`, "jwks"},
		{"PATCH", "/v1/apps/" + string(w.app), w.accountToken, `{"rules":[{}]}`, "namespace"},
		{"POST", keys, w.accountToken, `{"kind":"odd","name":"x"}`, `"kind"`},
		{"POST", keys, w.accountToken, `{"kind":"account","name":"x"}`, `"kind"`},
		{"POST", keys, w.accountToken, `{"kind":"secret","name":"x","expires":"tomorrow"}`, `"expires"`},
		{"POST", keys, w.accountToken, `{"kind":"publishable","name":"x","allowed_origins":["nope"]}`, "origin"},
		{"POST", keys, w.accountToken, `{"kind":"publishable","name":"x","grants":{"publish":[""]}}`, "publish"},
		{"POST", keys + "/" + w.publishable[:14] + "/rotate", w.accountToken, `{"grace":-1}`, `"grace"`},
		{"POST", keys + "/" + w.publishable[:14] + "/rotate", w.accountToken, `{"grace":"1h"}`, `"grace"`},
		{"POST", "/v1/tokens", w.secret, `{"user":"ann"}`, "grants"},
		{"POST", "/v1/tokens", w.secret, `{"grants":{},"ttl":0}`, `"ttl"`},
		{"POST", "/v1/tokens", w.secret, `{"grants":{},"ttl":86401}`, `"ttl"`},
		{"POST", "/v1/tokens", w.secret, `{"grants":{},"user":"` + strings.Repeat("x", 129) + `"}`, "user"},
		{"POST", "/v1/session", "", `{"code":{}}`, `"code"`},
	} {
		p := refused(t, w.send(request{method: tc.method, path: tc.path, as: tc.as, body: tc.body}), protocol.CodeBadRequest)
		if !strings.Contains(p.Detail, tc.say) || strings.Contains(p.Detail, "Go ") || strings.Contains(p.Detail, "tenant.") {
			t.Errorf("%s %s: detail %q, want %q in it and nothing of the source", tc.path, tc.body, p.Detail, tc.say)
		}
	}
}

// claims: 9.5 8.4 9.4
func TestTokensAndTickets(t *testing.T) {
	w := newWorld(t)
	var tok struct {
		Token   string
		Expires time.Time
	}
	accepted(t, w.send(request{method: "POST", path: "/v1/tokens", as: w.secret, body: `{"grants":{"publish":["chat:*"]},"user":"bob"}`}), 201, &tok)
	if left := time.Until(tok.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the token ends in %s, want an hour", left)
	}
	p, err := w.tenants.Authenticate(t.Context(), tok.Token, "")
	must(t, err)
	if p.User != "bob" || p.App != w.app {
		t.Errorf("the token is of %s in %s", p.User, p.App)
	}
	accepted(t, w.send(request{method: "POST", path: "/v1/tokens", as: w.secret, body: `{"grants":{},"ttl":60}`}), 201, &tok)
	if left := time.Until(tok.Expires); left < 50*time.Second || left > time.Minute {
		t.Errorf("the token ends in %s, want a minute", left)
	}
	for _, as := range []string{w.secret, w.publishable, w.token} {
		var out struct {
			Ticket  string
			Expires time.Time
		}
		accepted(t, w.send(request{method: "POST", path: "/v1/tickets", as: as}), 201, &out)
		if left := time.Until(out.Expires); left < 25*time.Second || left > 30*time.Second {
			t.Errorf("the ticket ends in %s, want 30 s", left)
		}
		if p, err := w.tenants.RedeemTicket(t.Context(), out.Ticket, ""); err != nil || p.App != w.app {
			t.Errorf("the ticket stands for %v, %v", p, err)
		}
	}
}
