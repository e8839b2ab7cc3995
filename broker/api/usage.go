package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/ledger"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

// Ledger knows what apps and accounts used. A *ledger.Ledger is one.
type Ledger interface {
	OfApp(ctx context.Context, app protocol.AppID, q ledger.Query) ([]ledger.Period, error)
	OfAccount(ctx context.Context, account protocol.AccountID, q ledger.Query) ([]ledger.Period, error)
	All(ctx context.Context, q ledger.Query) (map[protocol.AccountID]ledger.Count, map[protocol.AppID]ledger.Count, error)
	Stored(ctx context.Context, apps ...protocol.AppID) (int64, error)
}

// Used is what was used in a time.
type Used struct {
	Messages  int64 `json:"messages" doc:"Messages published"`
	Bytes     int64 `json:"bytes" doc:"Bytes of their data"`
	Delivered int64 `json:"delivered" doc:"Messages handed to connections: for information, no quota counts them"`
	Refused   int64 `json:"refused" doc:"Requests and commands that were answered with an error"`
	Peak      int64 `json:"peak_connections" doc:"Most connections at a time"`
}

type (
	usedPeriod struct {
		Start time.Time `json:"start" doc:"When the period begins"`
		Used
	}
	usageAnswer struct {
		By          string       `json:"by" enum:"minute,hour,day,month" doc:"How long the periods are"`
		Periods     []usedPeriod `json:"periods" nullable:"false" doc:"The oldest first; those without anything too"`
		Total       Used         `json:"total" doc:"Of all periods"`
		Connections int64        `json:"connections" doc:"Open now"`
		Stored      int64        `json:"stored" doc:"Messages kept as history now"`
		Quotas      []stats.Use  `json:"quotas" nullable:"false" doc:"The account's quotas, and what is used of them"`
	}
	usedAccount struct {
		Account     protocol.AccountID `json:"account" doc:"The account's id"`
		Name        string             `json:"name" doc:"Its name; empty where it is gone"`
		Plan        string             `json:"plan" doc:"Its plan; empty: as much as it likes"`
		Connections int64              `json:"connections" doc:"Open now"`
		Quotas      []stats.Use        `json:"quotas" nullable:"false" doc:"Its quotas, and what is used of them"`
		Used
	}
	usedApp struct {
		App     protocol.AppID     `json:"app" doc:"The app's id"`
		Name    string             `json:"name" doc:"Its name; empty where it is gone"`
		Account protocol.AccountID `json:"account" doc:"The account that owns it; empty where it is gone"`
		Used
	}
	serverUsage struct {
		By       string        `json:"by" enum:"minute,hour,day,month" doc:"What from and to were rounded to"`
		Accounts []usedAccount `json:"accounts" nullable:"false" doc:"All accounts, those with the most messages first"`
		Apps     []usedApp     `json:"apps" nullable:"false" doc:"The apps with the most messages"`
	}
)

func usedOf(c ledger.Count) Used {
	return Used{c.Messages, c.Bytes, c.Delivered, c.Refused, c.Peak}
}

func (d *door) usageRoutes(e *echo.Echo, api huma.API) {
	account, operator := needAccount(), needOperator()
	text := &huma.Schema{Type: huma.TypeString}
	at := &huma.Schema{Type: huma.TypeString, Format: "date-time"}
	span := []*huma.Param{
		query("by", "How long the periods are, in UTC; default hour", &huma.Schema{Type: huma.TypeString, Enum: []any{"minute", "hour", "day", "month"}}),
		query("from", "A time in the first period (RFC 3339); default: the last 60 minutes, 24 hours, 30 days or 12 months", at),
		query("to", "The end of the last period; default: now", at),
		query("format", "csv for a table", &huma.Schema{Type: huma.TypeString, Enum: []any{"json", "csv"}}),
	}
	describe := func(id, path, summary, description string, n *need, answer any, more ...*huma.Param) {
		ok := jsonResponse("What was used", schemaOf(api, answer))
		ok.Content["text/csv"] = &huma.MediaType{Schema: text}
		api.OpenAPI().AddOperation(&huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"usage"}, Summary: summary, Description: description,
			Security: security(n), Parameters: append(more, span...), Responses: map[string]*huma.Response{"200": ok, "default": problemResponse(api)}})
	}
	const kept = "Minutes are kept for two days, hours for three months, days for three years, months for ever. It is the whole cluster's; what other nodes counted in the last second may be missing."
	e.GET("/v1/apps/:app/usage", d.appUsage)
	app := &huma.Param{Name: "app", In: "path", Required: true, Description: "The app's id", Schema: text}
	describe("app-usage", "/v1/apps/{app}/usage", "What an app used", kept, &account, usageAnswer{}, app)
	e.GET("/v1/account/usage", d.accountUsage)
	describe("account-usage", "/v1/account/usage", "What the account used", kept+" Apps that were deleted count.", &account, usageAnswer{})
	e.GET("/v1/usage", d.serverUsage)
	least, most := 1.0, float64(maxPage)
	describe("server-usage", "/v1/usage", "What everybody used", "All accounts, and the apps with the most messages, of all periods together. Takes a token of the server's own account.", &operator, serverUsage{},
		query("top", "How many apps; default 20", &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most}))
}

// spanOf is the query that the URL asks for.
func spanOf(q url.Values) (ledger.Query, error) {
	out := ledger.Query{By: ledger.By(cmp.Or(q.Get("by"), "hour"))}
	for name, to := range map[string]*time.Time{"from": &out.From, "to": &out.To} {
		if !q.Has(name) {
			continue
		}
		t, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil || t.Year() < 2000 || t.Year() > 9999 {
			return out, protocol.Errorf(protocol.CodeBadRequest, "The parameter %q must be a time as 2006-01-02T15:04:05Z, from the year 2000 on.", name)
		}
		*to = t
	}
	if f := q.Get("format"); f != "" && f != "csv" && f != "json" {
		return out, protocol.Errorf(protocol.CodeBadRequest, `The parameter "format" must be json or csv.`)
	}
	return out, nil
}

// usageCall is who asks for which usage.
func (d *door) usageCall(c echo.Context, n need, more ...string) (*tenant.Principal, url.Values, ledger.Query, error) {
	c.Response().Header().Set("Cache-Control", "no-store")
	who, err := d.admit(c.Request(), n)
	if err != nil {
		return nil, nil, ledger.Query{}, err
	}
	q, err := parameters(c.Request().URL.RawQuery, append(more, "by", "from", "to", "format")...)
	if err != nil {
		return nil, nil, ledger.Query{}, err
	}
	span, err := spanOf(q)
	return who, q, span, err
}

func (d *door) appUsage(c echo.Context) error {
	who, q, span, err := d.usageCall(c, needAccount())
	if err != nil {
		return err
	}
	app, err := d.apps.App(who.Account, protocol.AppID(c.Param("app")))
	if err != nil {
		return err
	}
	periods, err := d.ledger.OfApp(c.Request().Context(), app.ID, span)
	if err != nil {
		return err
	}
	return d.tellUsage(c, q, span, periods, who.Account, d.stats.App(app.ID), app.ID)
}

func (d *door) accountUsage(c echo.Context) error {
	who, q, span, err := d.usageCall(c, needAccount())
	if err != nil {
		return err
	}
	periods, err := d.ledger.OfAccount(c.Request().Context(), who.Account, span)
	if err != nil {
		return err
	}
	var apps []protocol.AppID
	for _, a := range d.apps.Apps(who.Account) {
		apps = append(apps, a.ID)
	}
	return d.tellUsage(c, q, span, periods, who.Account, d.stats.Account(who.Account), apps...)
}

// tellUsage answers with periods, and what apps use now.
func (d *door) tellUsage(c echo.Context, q url.Values, span ledger.Query, periods []ledger.Period, account protocol.AccountID, m *stats.Meter, apps ...protocol.AppID) error {
	out := usageAnswer{By: string(span.By), Periods: make([]usedPeriod, len(periods)), Connections: m.Connections.Load() + m.Elsewhere.Load(),
		Quotas: append([]stats.Use{}, d.stats.Account(account).Uses()...)}
	var rows [][]string
	for i, p := range periods {
		out.Periods[i] = usedPeriod{p.Start, usedOf(p.Count)}
		t := &out.Total
		*t = Used{t.Messages + p.Messages, t.Bytes + p.Bytes, t.Delivered + p.Delivered, t.Refused + p.Refused, max(t.Peak, p.Peak)}
		rows = append(rows, append([]string{p.Start.Format(time.RFC3339)}, out.Periods[i].cells()...))
	}
	if q.Get("format") == "csv" {
		return table(c, append([]string{"start"}, usedColumns()...), rows)
	}
	var err error
	if out.Stored, err = d.ledger.Stored(c.Request().Context(), apps...); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}

func (d *door) serverUsage(c echo.Context) error {
	_, q, span, err := d.usageCall(c, needOperator(), "top")
	if err != nil {
		return err
	}
	top := 20
	if q.Has("top") {
		if top, err = strconv.Atoi(q.Get("top")); err != nil || top < 1 || top > maxPage {
			return protocol.Errorf(protocol.CodeBadRequest, `The parameter "top" must be a whole number from 1 to %d.`, maxPage)
		}
	}
	accounts, apps, err := d.ledger.All(c.Request().Context(), span)
	if err != nil {
		return err
	}
	out := d.everybody(accounts, apps)
	out.By = string(span.By)
	out.Apps = out.Apps[:min(top, len(out.Apps))]
	if q.Get("format") != "csv" {
		return c.JSON(http.StatusOK, out)
	}
	rows := make([][]string, len(out.Accounts))
	for i, a := range out.Accounts {
		rows[i] = append([]string{string(a.Account), a.Name, a.Plan}, a.cells()...)
	}
	return table(c, append([]string{"account", "name", "plan"}, usedColumns()...), rows)
}

// everybody is all accounts and apps that there are, or that used anything,
// those with the most messages first.
func (d *door) everybody(accounts map[protocol.AccountID]ledger.Count, apps map[protocol.AppID]ledger.Count) serverUsage {
	out := serverUsage{Accounts: []usedAccount{}, Apps: []usedApp{}}
	known := map[protocol.AppID]bool{}
	for _, a := range d.operated.Accounts() {
		m := d.stats.Account(a.ID)
		out.Accounts = append(out.Accounts, usedAccount{a.ID, a.Name, a.Plan, m.Connections.Load() + m.Elsewhere.Load(), append([]stats.Use{}, m.Uses()...), usedOf(accounts[a.ID])})
		delete(accounts, a.ID)
		for _, app := range d.apps.Apps(a.ID) {
			known[app.ID] = true
			if apps[app.ID] != (ledger.Count{}) {
				out.Apps = append(out.Apps, usedApp{app.ID, app.Name, a.ID, usedOf(apps[app.ID])})
			}
		}
	}
	for id, c := range accounts {
		out.Accounts = append(out.Accounts, usedAccount{Account: id, Quotas: []stats.Use{}, Used: usedOf(c)})
	}
	for id, c := range apps {
		if !known[id] {
			out.Apps = append(out.Apps, usedApp{App: id, Used: usedOf(c)})
		}
	}
	slices.SortFunc(out.Accounts, func(a, b usedAccount) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Account, b.Account))
	})
	slices.SortFunc(out.Apps, func(a, b usedApp) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name), cmp.Compare(a.App, b.App))
	})
	return out
}

func usedColumns() []string {
	return []string{"messages", "bytes", "delivered", "refused", "peak_connections"}
}

func (u Used) cells() []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return []string{n(u.Messages), n(u.Bytes), n(u.Delivered), n(u.Refused), n(u.Peak)}
}

// table answers with comma-separated values (RFC 4180). A cell that a
// spreadsheet would take for a formula gets an apostrophe in front: names are
// what tenants choose, and the operator opens them.
func table(c echo.Context, columns []string, rows [][]string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, row := range append([][]string{columns}, rows...) {
		for i, cell := range row {
			if cell != "" && bytes.ContainsRune([]byte("=+-@\t\r"), rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return c.Blob(http.StatusOK, "text/csv", b.Bytes())
}
