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

// accountCmd are the operator's commands on accounts.
type accountCmd struct {
	List   accountListCmd   `cmd:"" help:"List all accounts and their plans."`
	Create accountCreateCmd `cmd:"" help:"Make an account, and show its token."`
	Update accountUpdateCmd `cmd:"" help:"Change an account's name or plan."`
}

// accountInfo is an account as the API shows it.
type accountInfo struct {
	ID      string           `json:"id"`
	Name    string           `json:"name"`
	Created time.Time        `json:"created"`
	Plan    string           `json:"plan"`
	Quotas  map[string]int64 `json:"quotas"`
	Token   string           `json:"token"`
}

type accountListCmd struct {
	admin
	output
}

// Help is part of kong.HelpProvider.
func (accountListCmd) Help() string { return examples("fanfare account list") }

// Run lists the accounts.
func (c *accountListCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, "/v1/accounts", nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var list struct{ Accounts []accountInfo }
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	rows := make([][]string, len(list.Accounts))
	for i, a := range list.Accounts {
		rows[i] = []string{a.ID, a.Name, date(a.Created), a.Plan}
	}
	return con.writeTable([]string{"ACCOUNT", "NAME", "CREATED", "PLAN"}, rows)
}

// planChange are the flags that say what an account may use.
type planChange struct {
	Plan        string `placeholder:"PLAN" help:"free, custom (with quotas), or none for as much as it likes."`
	Connections int64  `placeholder:"N" help:"Quota of the plan custom: connections at a time."`
	Messages    int64  `placeholder:"N" help:"Quota of the plan custom: messages in a month."`
	Bytes       int64  `placeholder:"N" help:"Quota of the plan custom: bytes of data in a month."`
	Stored      int64  `placeholder:"N" help:"Quota of the plan custom: messages kept as history."`
}

// into adds the members that the flags ask for.
func (p *planChange) into(body map[string]any) {
	quotas := map[string]int64{}
	for name, n := range map[string]int64{"connections": p.Connections, "messages": p.Messages, "bytes": p.Bytes, "stored": p.Stored} {
		if n != 0 {
			quotas[name] = n
		}
	}
	if len(quotas) > 0 {
		body["quotas"] = quotas
	}
	switch p.Plan {
	case "":
	case "none":
		body["plan"] = ""
	default:
		body["plan"] = p.Plan
	}
}

type accountCreateCmd struct {
	Name string `arg:"" help:"A name for people."`
	planChange
	admin
	output
}

// Help is part of kong.HelpProvider.
func (accountCreateCmd) Help() string {
	return examples("fanfare account create acme", "fanfare account create acme --plan free", "fanfare account create acme --plan custom --messages 5000000 --connections 1000")
}

// Run makes the account.
func (c *accountCreateCmd) Run(ctx context.Context, con *console) error {
	body := map[string]any{"name": c.Name}
	c.into(body)
	return con.changeAccount(ctx, &c.admin, http.MethodPost, "/v1/accounts", body, c.JSON)
}

type accountUpdateCmd struct {
	Account string `arg:"" help:"The account's id."`
	Name    string `placeholder:"NAME" help:"A new name."`
	planChange
	admin
	output
}

// Help is part of kong.HelpProvider.
func (accountUpdateCmd) Help() string {
	return examples("fanfare account update k3v9x2m1qa --plan free", "fanfare account update k3v9x2m1qa --plan custom --messages 5000000", "fanfare account update k3v9x2m1qa --plan none")
}

// Run changes the account.
func (c *accountUpdateCmd) Run(ctx context.Context, con *console) error {
	body := map[string]any{}
	if c.Name != "" {
		body["name"] = c.Name
	}
	c.into(body)
	if len(body) == 0 {
		return &failure{Message: "nothing to change was given", Remedy: "See fanfare account update --help.", Usage: true}
	}
	return con.changeAccount(ctx, &c.admin, http.MethodPatch, "/v1/accounts/"+url.PathEscape(c.Account), body, c.JSON)
}

// changeAccount does a request that answers with an account, and shows that.
func (c *console) changeAccount(ctx context.Context, as *admin, method, path string, body map[string]any, asJSON bool) error {
	r, err := as.client(c.Settings)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, method, path, body, &raw); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.Out, raw)
	}
	var a accountInfo
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	fields := []string{"account", a.ID, "name", a.Name, "created", date(a.Created), "plan", a.Plan}
	for _, name := range []string{"connections", "messages", "bytes", "stored"} {
		if n := a.Quotas[name]; n > 0 {
			fields = append(fields, name, strconv.FormatInt(n, 10))
		}
	}
	return c.writeFields(append(fields, "token", a.Token)...)
}
