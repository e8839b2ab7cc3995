package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// usageCmd shows what was used.
type usageCmd struct {
	App       string `arg:"" optional:"" help:"The app's id or name. Without one: the whole account."`
	Everybody bool   `help:"All accounts, and the apps with the most messages; for the operator."`
	By        string `enum:"minute,hour,day,month" default:"day" placeholder:"PERIOD" help:"How long the periods are, in UTC: minute, hour, day or month. Default: day."`
	From      string `placeholder:"TIME" help:"The first period, as 2026-11-28 or 2026-11-28T08:00:00Z. Default: the last 60 minutes, 24 hours, 30 days or 12 months."`
	To        string `placeholder:"TIME" help:"The end of the last period. Default: now."`
	CSV       bool   `name:"csv" help:"Write comma-separated values, for a spreadsheet."`
	admin
	output
}

// Help is part of kong.HelpProvider.
func (usageCmd) Help() string {
	return examples("fanfare usage", "fanfare usage demo --by minute", "fanfare usage --by month --csv > usage.csv", "fanfare usage --everybody --from 2026-11-01") + `

Messages are counted once each, whatever their subscribers. Delivered ones are shown for information.`
}

// used is a row of usage.
type used struct {
	Messages  int64 `json:"messages"`
	Bytes     int64 `json:"bytes"`
	Delivered int64 `json:"delivered"`
	Refused   int64 `json:"refused"`
	Peak      int64 `json:"peak_connections"`
}

func (u used) cells() []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return []string{n(u.Messages), size(u.Bytes), n(u.Delivered), n(u.Refused), n(u.Peak)}
}

// size is a number of bytes for people.
func size(n int64) string {
	v, units := float64(n), []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	unit := ""
	for _, unit = range units {
		if v /= 1024; v < 1024 {
			break
		}
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}

func usedHead() []string {
	return []string{"MESSAGES", "DATA", "DELIVERED", "REFUSED", "PEAK CONNECTIONS"}
}

// path is the API's address of what is asked for.
func (c *usageCmd) path(ctx context.Context, r *rest) (string, error) {
	path := "/v1/account/usage"
	switch {
	case c.Everybody && c.App != "":
		return "", &failure{Message: "an app and --everybody do not go together", Remedy: "Leave one of them out.", Usage: true}
	case c.Everybody:
		path = "/v1/usage"
	case c.App != "":
		id, err := appID(ctx, r, c.App)
		if err != nil {
			return "", err
		}
		path = appPath(id, "usage")
	}
	q := url.Values{"by": {c.By}}
	for name, text := range map[string]string{"from": c.From, "to": c.To} {
		if text == "" {
			continue
		}
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			text = day.Format(time.RFC3339)
		}
		q.Set(name, text)
	}
	if c.CSV {
		q.Set("format", "csv")
	}
	return path + "?" + q.Encode(), nil
}

// Run shows what was used.
func (c *usageCmd) Run(ctx context.Context, con *console) error {
	if c.CSV && c.JSON {
		return &failure{Message: "--csv and --json do not go together", Remedy: "Leave one of them out.", Usage: true}
	}
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	path, err := c.path(ctx, r)
	if err != nil {
		return err
	}
	_, answer, err := r.exchange(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	switch {
	case c.CSV:
		_, err = con.Out.Write(answer)
		return err
	case c.JSON:
		return writeJSON(con.Out, json.RawMessage(answer))
	case c.Everybody:
		return con.showEverybody(answer)
	}
	return con.showUsage(answer, c.By)
}

// quota is how much of one is used.
type quota struct {
	Quota      string
	Used, Most int64
}

// showUsage shows the periods in which anything was used.
func (c *console) showUsage(answer []byte, by string) error {
	var u struct {
		Periods []struct {
			Start time.Time
			used
		}
		Total               used
		Connections, Stored int64
		Quotas              []quota
	}
	if err := json.Unmarshal(answer, &u); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	layout := map[string]string{"minute": "2006-01-02 15:04", "hour": "2006-01-02 15:00", "day": time.DateOnly, "month": "2006-01"}[by]
	var rows [][]string
	for _, p := range u.Periods {
		if p.used != (used{}) {
			rows = append(rows, append([]string{p.Start.UTC().Format(layout)}, p.cells()...))
		}
	}
	rows = append(rows, append([]string{"total"}, u.Total.cells()...))
	if err := c.writeTable(append([]string{"UTC"}, usedHead()...), rows); err != nil {
		return err
	}
	fields := []string{"connections now", strconv.FormatInt(u.Connections, 10), "messages stored", strconv.FormatInt(u.Stored, 10)}
	for _, q := range u.Quotas {
		fields = append(fields, "quota of "+q.Quota, fmt.Sprintf("%d of %d, %d %%", q.Used, q.Most, q.Used*100/max(q.Most, 1)))
	}
	if _, err := fmt.Fprintln(c.Out); err != nil {
		return err
	}
	return c.writeFields(fields...)
}

// showEverybody shows all accounts and the largest apps.
func (c *console) showEverybody(answer []byte) error {
	var u struct {
		Accounts []struct {
			Account, Name, Plan string
			used
		}
		Apps []struct {
			App, Name, Account string
			used
		}
	}
	if err := json.Unmarshal(answer, &u); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	rows := make([][]string, len(u.Accounts))
	for i, a := range u.Accounts {
		rows[i] = append([]string{a.Account, a.Name, a.Plan}, a.cells()...)
	}
	if err := c.writeTable(append([]string{"ACCOUNT", "NAME", "PLAN"}, usedHead()...), rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.Out); err != nil {
		return err
	}
	rows = make([][]string, len(u.Apps))
	for i, a := range u.Apps {
		rows[i] = append([]string{a.App, a.Name, a.Account}, a.cells()...)
	}
	return c.writeTable(append([]string{"APP", "NAME", "ACCOUNT"}, usedHead()...), rows)
}
