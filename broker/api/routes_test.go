package api_test

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// who a route is for.
const (
	everybody   = "everybody"
	forApps     = "apps"     // key or token
	forSecrets  = "secrets"  // secret key
	forAdmin    = "admin"    // account token or session
	forTokens   = "tokens"   // account token only
	forOperator = "operator" // account token or session of the server's own account
)

// route is a line of the table: {app}, {key} and {code} stand for ones that
// are made anew for each case. A query may stand behind the path.
type route struct {
	method, path string
	who          string
	body         string // one that is right; "" where the route takes none
	status       int    // of the answer to it
	most         int    // bytes of the largest body
}

func table() []route {
	const mib = 1 << 20
	return []route{
		{"POST", "/v1/messages", forApps, `{"channel":"chat:1","data":{"a":1}}`, 200, 4 * mib},
		{"GET", "/v1/messages?channel=chat:1", forApps, "", 200, 0},
		{"DELETE", "/v1/messages?channel=chat:1", forSecrets, "", 204, 0},
		{"GET", "/v1/presence?channel=chat:1", forApps, "", 200, 0},
		{"GET", "/v1/channels", forSecrets, "", 200, 0},
		{"DELETE", "/v1/connections?user=ann", forSecrets, "", 200, 0},
		{"POST", "/v1/tickets", forApps, "", 201, 0},
		{"POST", "/v1/tokens", forSecrets, `{"user":"ann","grants":{"subscribe":["*"]}}`, 201, mib},
		{"GET", "/v1/account", forAdmin, "", 200, 0},
		{"GET", "/v1/apps", forAdmin, "", 200, 0},
		{"POST", "/v1/apps", forAdmin, `{"name":"fresh"}`, 201, mib},
		{"GET", "/v1/apps/{app}", forAdmin, "", 200, 0},
		{"PATCH", "/v1/apps/{app}", forAdmin, `{"limits":{"message_bytes":1000}}`, 200, mib},
		{"DELETE", "/v1/apps/{app}", forAdmin, "", 204, 0},
		{"GET", "/v1/apps/{app}/keys", forAdmin, "", 200, 0},
		{"POST", "/v1/apps/{app}/keys", forAdmin, `{"kind":"secret","name":"n"}`, 201, mib},
		{"GET", "/v1/apps/{app}/keys/{key}", forAdmin, "", 200, 0},
		{"PATCH", "/v1/apps/{app}/keys/{key}", forAdmin, `{"name":"other"}`, 200, mib},
		{"DELETE", "/v1/apps/{app}/keys/{key}", forAdmin, "", 204, 0},
		{"POST", "/v1/apps/{app}/keys/{key}/rotate", forAdmin, `{"grace":60}`, 201, mib},
		{"GET", "/v1/apps/{app}/door-keys", forAdmin, "", 200, 0},
		{"POST", "/v1/apps/{app}/door-keys", forAdmin, `{"door":"pusher"}`, 201, mib},
		{"GET", "/v1/apps/{app}/door-keys/{key}", forAdmin, "", 200, 0},
		{"DELETE", "/v1/apps/{app}/door-keys/{key}", forAdmin, "", 204, 0},
		{"POST", "/v1/apps/{app}/door-keys/{key}/rotate", forAdmin, `{"grace":60}`, 201, mib},
		{"GET", "/v1/apps/{app}/webhooks", forAdmin, "", 200, 0},
		{"POST", "/v1/apps/{app}/webhooks", forAdmin, `{"url":"https://hooks.example.com/","events":["member.left"]}`, 201, mib},
		{"GET", "/v1/apps/{app}/webhooks/{id}", forAdmin, "", 200, 0},
		{"PATCH", "/v1/apps/{app}/webhooks/{id}", forAdmin, `{"disabled":true}`, 200, mib},
		{"DELETE", "/v1/apps/{app}/webhooks/{id}", forAdmin, "", 204, 0},
		{"POST", "/v1/apps/{app}/webhooks/{id}/rotate", forAdmin, `{"grace":60}`, 200, mib},
		{"POST", "/v1/apps/{app}/webhooks/{id}/test", forAdmin, "", 200, 0},
		{"GET", "/v1/apps/{app}/webhooks/{id}/deliveries", forAdmin, "", 200, 0},
		{"POST", "/v1/apps/{app}/webhooks/{id}/deliveries/{delivery}/resend", forAdmin, "", 200, 0},
		{"GET", "/v1/apps/{app}/usage", forAdmin, "", 200, 0},
		{"GET", "/v1/apps/{app}/refusals?limit=5", forAdmin, "", 200, 0},
		{"GET", "/v1/apps/{app}/connections?user=ann&limit=1", forAdmin, "", 200, 0},
		{"DELETE", "/v1/apps/{app}/connections?session=s1", forAdmin, "", 200, 0},
		{"GET", "/v1/apps/{app}/channels?prefix=a", forAdmin, "", 200, 0},
		{"GET", "/v1/account/usage", forAdmin, "", 200, 0},
		{"GET", "/v1/usage", forOperator, "", 200, 0},
		{"GET", "/v1/accounts", forOperator, "", 200, 0},
		{"POST", "/v1/accounts", forOperator, `{"name":"new","plan":"free"}`, 201, mib},
		{"PATCH", "/v1/accounts/{account}", forOperator, `{"plan":"custom","quotas":{"messages":1000}}`, 200, mib},
		{"POST", "/v1/links", forTokens, "", 201, 0},
		{"POST", "/v1/session", everybody, `{"code":"{code}"}`, 201, mib},
		{"DELETE", "/v1/session", everybody, "", 204, 0},
		{"GET", "/livez", everybody, "", 200, 0},
		{"GET", "/readyz", everybody, "", 200, 0},
		{"GET", "/version", everybody, "", 200, 0},
	}
}

// fill puts a new app, key and code into the places of r.
func (w *world) fill(t *testing.T, r route, as string) request {
	t.Helper()
	req := request{method: r.method, path: r.path, as: as, body: r.body}
	if strings.Contains(r.path, "{app}") {
		app, err := w.tenants.CreateApp(t.Context(), w.account, tenant.AppInput{Name: rand.Text()})
		must(t, err)
		k, err := w.tenants.CreateKey(t.Context(), w.account, app.ID, tenant.KeyInput{Kind: tenant.KindSecret, Name: "k"})
		must(t, err)
		hook, delivery := protocol.Webhook{}, protocol.WebhookDelivery{}
		if strings.Contains(r.path, "{id}") {
			hook, err = w.hooks.Create(t.Context(), app.ID, protocol.WebhookInput{URL: "http://127.0.0.1:1/"}) // where nobody listens
			must(t, err)
		}
		if strings.Contains(r.path, "{delivery}") {
			delivery, err = w.hooks.Test(t.Context(), app.ID, hook.ID)
			must(t, err)
		}
		door, err := w.tenants.CreateDoorKey(t.Context(), w.account, app.ID, tenant.DoorKeyInput{Door: tenant.DoorGoEasy})
		must(t, err)
		key := k.ID
		if strings.Contains(r.path, "door-keys") {
			key = door.ID
		}
		req.path = strings.NewReplacer("{app}", string(app.ID), "{key}", key, "{id}", hook.ID, "{delivery}", delivery.ID).Replace(r.path)
	}
	req.path = strings.Replace(req.path, "{account}", string(w.other), 1)
	if strings.Contains(r.body, "{code}") {
		req.body = strings.Replace(r.body, "{code}", w.link(), 1)
	}
	return req
}

// right is a credential that will do for r, wrong one that is good but of a
// kind that will not.
func (w *world) right(r route) string {
	return map[string]string{forApps: w.token, forSecrets: w.secret, forAdmin: w.accountToken, forTokens: w.accountToken, forOperator: w.ownToken}[r.who]
}

func (w *world) wrong(r route) []string {
	switch r.who {
	case forApps:
		return []string{w.accountToken}
	case forSecrets:
		return []string{w.publishable, w.token, w.accountToken}
	case forAdmin, forTokens:
		return []string{w.publishable, w.token, w.secret}
	case forOperator:
		return []string{w.publishable, w.token, w.secret, w.accountToken, w.otherToken}
	}
	return nil
}

// claims: 8.2 9.1 9.2 9.3 9.4 9.5 9.6 9.7 9.8
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	for _, r := range table() {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			t.Run("ok", func(t *testing.T) { accepted(t, w.send(w.fill(t, r, w.right(r))), r.status, nil) })
			if r.who != everybody {
				t.Run("credentials", func(t *testing.T) { w.tryCredentials(t, r) })
			}
			t.Run("method", func(t *testing.T) {
				req := w.fill(t, r, w.right(r))
				req.method = http.MethodPut
				got := w.send(req)
				refused(t, got, protocol.CodeMethodNotAllowed)
				if !strings.Contains(got.header.Get("Allow"), r.method) {
					t.Errorf("Allow: %q, want %s in it", got.header.Get("Allow"), r.method)
				}
			})
			if r.body != "" {
				t.Run("bodies", func(t *testing.T) { w.tryBodies(t, r) })
			}
		})
	}
	for _, secret := range []string{w.secret, w.publishable, w.token, w.accountToken, w.otherToken} {
		if strings.Contains(w.logs.String(), secret) || strings.Contains(w.logs.String(), secret[14:30]) {
			t.Error("a credential is in the log")
		}
	}
}

func (w *world) tryCredentials(t *testing.T, r route) {
	req := w.fill(t, r, "")
	as := func(text string) request { req.as = text; return req }
	p := refused(t, w.send(as("")), protocol.CodeCredentialMissing)
	if !strings.Contains(p.Detail, "ff") {
		t.Errorf("the message does not say what to send: %s", p.Detail)
	}
	for _, text := range w.wrong(r) {
		p := refused(t, w.send(as(text)), protocol.CodeKeyKind)
		if !strings.Contains(p.Detail, "This takes ") || !strings.Contains(p.Detail, " was sent") {
			t.Errorf("the message does not say what to send: %s", p.Detail)
		}
	}
	good := w.right(r)
	refused(t, w.send(as(good[:len(good)-1])), map[bool]protocol.Code{true: protocol.CodeTokenInvalid, false: protocol.CodeKeyInvalid}[r.who == forApps])
	// Nothing but Bearer is taken, and nothing in the URL.
	req.as, req.header = "", map[string]string{"Authorization": "Basic " + good}
	refused(t, w.send(req), protocol.CodeCredentialMissing)
	more := "?"
	if strings.Contains(req.path, "?") {
		more = "&"
	}
	req.header, req.path = nil, req.path+more+"key="+good
	refused(t, w.send(req), protocol.CodeKeyInURL)

	if !strings.Contains(r.path, "{app}") {
		return
	}
	// claims: 9.7
	foreign := w.fill(t, route{r.method, r.path, r.who, r.body, 0, 0}, w.otherToken).path
	absent := strings.NewReplacer("{app}", "zzzzzzzzzz", "{key}", "ffs_0123456789", "{id}", "whk_0", "{delivery}", "dlv_1").Replace(r.path)
	var answers []problem
	for _, path := range []string{foreign, absent} {
		p := refused(t, w.send(request{method: r.method, path: path, as: w.otherToken, body: r.body}), protocol.CodeAppNotFound)
		p.RequestID = ""
		answers = append(answers, p)
	}
	if answers[0] != answers[1] {
		t.Errorf("a foreign app is answered %+v, an absent one %+v", answers[0], answers[1])
	}
}

func (w *world) tryBodies(t *testing.T, r route) {
	req := w.fill(t, r, w.right(r))
	with := func(body string) request { req.body = body; return req }
	for _, body := range []string{`{`, `{"a":}`, `{"a":1}}`, "{\"a\":\"\xff\"}", `nope`} {
		refused(t, w.send(with(body)), protocol.CodeBadJSON)
	}
	for _, body := range []string{`[]`, `null`, `7`, `"x"`} {
		refused(t, w.send(with(body)), protocol.CodeBadRequest)
	}
	p := refused(t, w.send(with(strings.Replace(r.body, "{", `{"chanel":1,`, 1))), protocol.CodeBadRequest)
	if !strings.Contains(p.Detail, `"chanel"`) {
		t.Errorf("the message does not name the member: %s", p.Detail)
	}
	big := `{"name":"` + strings.Repeat("a", r.most) + `"}`
	refused(t, w.send(with(big)), protocol.CodeBodyTooLarge)
	for _, body := range []string{`{`, big} { // strangers are not read at all
		if r.who != everybody {
			req.as = ""
			refused(t, w.send(with(body)), protocol.CodeCredentialMissing)
		}
	}
}

func TestSpecAndTableAgree(t *testing.T) {
	w := newWorld(t)
	doc := readSpec(t, w.handler)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %q, want 3.1.0", doc.OpenAPI)
	}
	elsewhere := []string{"GET /v1/ws", "GET /v1/sse", "GET /v1/backup"} // described here, served by other doors
	var described, tabled []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			described = append(described, method+" "+path)
			if op.Summary == "" || op.OperationID == "" || op.Responses.Default() == nil || op.Security == nil {
				t.Errorf("%s %s: no summary, id, default answer or security", method, path)
			}
		}
	}
	for _, r := range table() {
		path, _, _ := strings.Cut(r.path, "?")
		tabled = append(tabled, r.method+" "+path)
	}
	tabled = append(tabled, elsewhere...)
	slices.Sort(described)
	slices.Sort(tabled)
	if !slices.Equal(described, tabled) {
		t.Errorf("described: %q\nin the table: %q", described, tabled)
	}
	raw := w.send(request{method: "GET", path: "/v1/openapi.json"}).body
	for _, word := range []string{"unpkg", "$schema", "ErrorModel"} {
		if strings.Contains(raw, word) {
			t.Errorf("%s is in the description", word)
		}
	}
}

func TestUnknownAddresses(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/nope", "/v1", "/v1/", "/v1/apps/", "/v1/apps/a/b/c/d/e", "/docs", "/openapi.json", "/schemas/App", "/sdk/", "/sdk/../api.go", "/dashboard/"} {
		refused(t, w.send(request{method: "GET", path: path, as: w.accountToken}), protocol.CodeNotFound)
	}
	refused(t, w.send(request{method: "BREW", path: "/v1/apps"}), protocol.CodeMethodNotAllowed)
}
