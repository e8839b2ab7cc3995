package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// inspecting is embedded in the commands that look into an app.
type inspecting struct {
	App   string `arg:"" help:"The app's id or name."`
	Limit int    `default:"100" placeholder:"N" help:"The most to show, up to 1000. Default: 100."`
	admin
	output
}

// list asks for a list of the app's, and shows it with rows.
func (c *inspecting) list(ctx context.Context, con *console, what string, q url.Values, head []string, rows func(answer []byte) ([][]string, error)) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	id, err := appID(ctx, r, c.App)
	if err != nil {
		return err
	}
	q.Set("limit", strconv.Itoa(c.Limit))
	_, answer, err := r.exchange(ctx, http.MethodGet, appPath(id, what)+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, json.RawMessage(answer))
	}
	table, err := rows(answer)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return con.writeTable(head, table)
}

type appRefusalsCmd struct{ inspecting }

// Help is part of kong.HelpProvider.
func (appRefusalsCmd) Help() string {
	return examples("fanfare app refusals demo", "fanfare app refusals demo --limit 10 --json")
}

// Run shows why requests and commands of the app were refused.
func (c *appRefusalsCmd) Run(ctx context.Context, con *console) error {
	return c.list(ctx, con, "refusals", url.Values{}, []string{"TIME", "CODE", "DOOR", "WHAT", "USER", "WHY"}, func(answer []byte) (rows [][]string, err error) {
		var list struct{ Refusals []protocol.Refusal }
		err = json.Unmarshal(answer, &list)
		for _, r := range list.Refusals {
			rows = append(rows, []string{r.Time.Local().Format(time.TimeOnly), string(r.Code), r.Door, r.What, r.User, r.Message + " " + r.Remedy})
		}
		return rows, err
	})
}

type appConnectionsCmd struct {
	User string `placeholder:"USER" help:"Only this user's connections."`
	inspecting
}

// Help is part of kong.HelpProvider.
func (appConnectionsCmd) Help() string {
	return examples("fanfare app connections demo", "fanfare app connections demo --user ann")
}

// Run shows who is connected.
func (c *appConnectionsCmd) Run(ctx context.Context, con *console) error {
	q := url.Values{}
	if c.User != "" {
		q.Set("user", c.User)
	}
	return c.list(ctx, con, "connections", q, []string{"SESSION", "USER", "DOOR", "CLIENT", "SINCE", "CHANNELS"}, func(answer []byte) (rows [][]string, err error) {
		var list struct{ Connections []protocol.Connection }
		err = json.Unmarshal(answer, &list)
		for _, one := range list.Connections {
			var names []string
			for _, ch := range one.Channels[:min(len(one.Channels), 3)] {
				names = append(names, string(ch))
			}
			if more := one.Count - len(names); more > 0 {
				names = append(names, fmt.Sprintf("and %d more", more))
			}
			rows = append(rows, []string{one.Session, one.User, one.Door, one.Client, date(one.Since), strings.Join(names, ", ")})
		}
		return rows, err
	})
}
