package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 9.36
func TestUsage(t *testing.T) {
	w := newWorld(t)
	publish := func(body string) {
		t.Helper()
		accepted(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: body}), 200, nil)
	}
	publish(`{"channel":"a","data":"12345678","id":"once"}`)
	publish(`{"channel":"a","data":"12345678","id":"once"}`) // a duplicate
	publish(`{"channels":["a","b"],"data":1}`)
	refused(t, w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"","data":1}`}), protocol.CodeChannelInvalid)
	type used struct {
		Messages, Bytes int64
	}
	var got struct {
		By      string
		Periods []used
		Total   used
		Stored  int64
		Quotas  []any
	}
	for _, path := range []string{"/v1/apps/" + string(w.app) + "/usage?by=day", "/v1/account/usage?by=day"} {
		accepted(t, w.send(request{method: "GET", path: path, as: w.accountToken}), 200, &got)
		if got.By != "day" || len(got.Periods) != 30 || got.Total != (used{3, 12}) || got.Stored != 3 || got.Quotas == nil || len(got.Quotas) != 0 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := w.send(request{method: "GET", path: "/v1/account/usage", as: w.otherToken}).body; !strings.Contains(got, `"total":{"messages":0,"bytes":0,`) {
		t.Errorf("the other account is told %s", got)
	}
	for _, wrong := range []string{"by=week", "from=yesterday", "to=2026-01-01", "from=0001-01-01T00:00:00Z", "format=xml", "hour=1", "by=minute&from=2020-01-01T00:00:00Z"} {
		refused(t, w.send(request{method: "GET", path: "/v1/account/usage?" + wrong, as: w.accountToken}), protocol.CodeBadRequest)
	}
	refused(t, w.send(request{method: "GET", path: "/v1/usage?top=0", as: w.ownToken}), protocol.CodeBadRequest)
}

// claims: 9.36
func TestUsageOfEverybody(t *testing.T) {
	w := newWorld(t)
	accepted(t, w.send(request{method: "PATCH", path: "/v1/accounts/" + string(w.other), as: w.ownToken, body: `{"name":"=HYPERLINK(\"http://x\",\"y\")","plan":"free"}`}), 200, nil)
	app, err := w.tenants.CreateApp(t.Context(), w.other, tenant.AppInput{Name: "brief"})
	must(t, err)
	k, err := w.tenants.CreateKey(t.Context(), w.other, app.ID, tenant.KeyInput{Kind: tenant.KindSecret})
	must(t, err)
	for as, n := range map[string]int{w.secret: 2, k.Text: 5} {
		for i := range n {
			accepted(t, w.send(request{method: "POST", path: "/v1/messages", as: as, body: fmt.Sprintf(`{"channel":"a","data":%d}`, i)}), 200, nil)
		}
	}
	must(t, w.tenants.DeleteApp(t.Context(), w.other, app.ID))
	var got struct {
		Accounts []struct {
			Account, Name, Plan string
			Messages            int64
			Quotas              []struct{ Quota string }
		}
		Apps []struct {
			App, Name, Account string
			Messages           int64
		}
	}
	accepted(t, w.send(request{method: "GET", path: "/v1/usage?by=month", as: w.ownToken}), 200, &got)
	if a := got.Accounts; len(a) != 3 || a[0].Account != string(w.other) || a[0].Messages != 5 || a[0].Plan != "free" || len(a[0].Quotas) != 4 || a[1].Messages != 2 || a[2].Messages != 0 {
		t.Errorf("accounts: %+v", a)
	}
	if a := got.Apps; len(a) != 2 || a[0].App != string(app.ID) || a[0].Messages != 5 || a[0].Name != "" || a[1].Name != "main" || a[1].Account != string(w.account) {
		t.Errorf("apps: %+v", a)
	}
	accepted(t, w.send(request{method: "GET", path: "/v1/usage?top=1", as: w.ownToken}), 200, &got)
	if len(got.Apps) != 1 {
		t.Errorf("the top one is %+v", got.Apps)
	}

	csvOf := func(path, as string) [][]string {
		t.Helper()
		got := w.send(request{method: "GET", path: path, as: as})
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
		must(t, err)
		return rows
	}
	rows := csvOf("/v1/usage?format=csv", w.ownToken)
	if len(rows) != 4 || rows[0][3] != "messages" || rows[1][3] != "5" || !strings.HasPrefix(rows[1][1], "'=") {
		t.Errorf("the table of accounts: %q", rows)
	}
	rows = csvOf("/v1/account/usage?by=hour&format=csv", w.accountToken)
	if len(rows) != 25 || rows[0][0] != "start" || rows[24][1] != "2" {
		t.Errorf("the table of hours: %q", rows)
	}
}

// claims: 9.37
func TestQuotas(t *testing.T) {
	w := newWorld(t)
	plan := func(body string) reply {
		return w.send(request{method: "PATCH", path: "/v1/accounts/" + string(w.account), as: w.ownToken, body: body})
	}
	publish := func() reply {
		return w.send(request{method: "POST", path: "/v1/messages", as: w.secret, body: `{"channel":"a","data":"0123456789"}`})
	}
	accepted(t, plan(`{"plan":"custom","quotas":{"messages":3}}`), 200, nil)
	for range 3 {
		accepted(t, publish(), 200, nil)
	}
	p := refused(t, publish(), protocol.CodeQuotaExceeded)
	if !strings.Contains(p.Detail, "3 messages of this month") || !strings.Contains(p.Detail, "-01T00:00:00Z") || !strings.Contains(p.Remedy, "operator") {
		t.Errorf("the publisher is told: %s %s", p.Detail, p.Remedy)
	}
	accepted(t, plan(`{"quotas":{"bytes":48}}`), 200, nil)
	accepted(t, publish(), 200, nil)
	refused(t, publish(), protocol.CodeQuotaExceeded)
	accepted(t, plan(`{"plan":""}`), 200, nil)
	accepted(t, publish(), 200, nil)
	for body, say := range map[string]string{
		`{"plan":"golden"}`: "free", `{"plan":"custom"}`: "needs quotas", `{"quotas":{"messages":1}}`: "custom", `{"plan":"custom","quotas":{"messages":-1}}`: "messages", `{"name":""}`: "name",
	} {
		if p := refused(t, plan(body), protocol.CodeBadRequest); !strings.Contains(p.Detail, say) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	refused(t, w.send(request{method: "PATCH", path: "/v1/accounts/nobody", as: w.ownToken, body: `{}`}), protocol.CodeNotFound)

	var made struct {
		Account struct{ ID string }
		ID      string
		Token   string
	}
	got := w.send(request{method: "POST", path: "/v1/accounts", as: w.ownToken, body: `{"name":"new","plan":"free"}`})
	accepted(t, got, 201, &made)
	if me := w.send(request{method: "GET", path: "/v1/account", as: made.Token}).body; !strings.Contains(me, `"plan":"free"`) || !strings.Contains(me, made.ID) {
		t.Errorf("the new account is %s", me)
	}
	var list struct {
		Accounts []tenant.Account
		Plans    []json.RawMessage
	}
	accepted(t, w.send(request{method: "GET", path: "/v1/accounts", as: w.ownToken}), 200, &list)
	if len(list.Accounts) != 4 || len(list.Plans) != 1 {
		t.Errorf("%d accounts, %d plans", len(list.Accounts), len(list.Plans))
	}
}
