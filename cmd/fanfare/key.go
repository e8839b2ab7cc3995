package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// keyCmd are the commands on an app's keys.
type keyCmd struct {
	List   keyListCmd   `cmd:"" help:"List an app's keys."`
	Create keyCreateCmd `cmd:"" help:"Make a key."`
	Show   keyShowCmd   `cmd:"" help:"Show what a key may do."`
	Rotate keyRotateCmd `cmd:"" help:"Make a key's successor; the old one lives on for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key, for good."`
}

// keyInfo is a key as the API shows it.
type keyInfo struct {
	ID      string          `json:"id"`
	App     string          `json:"app"`
	Kind    string          `json:"kind"`
	Name    string          `json:"name"`
	Created time.Time       `json:"created"`
	Expires *time.Time      `json:"expires"`
	Revoked *time.Time      `json:"revoked"`
	Origins []string        `json:"allowed_origins"`
	Grants  protocol.Grants `json:"grants"`
	Text    string          `json:"key"`
}

// inApp is embedded in each command on the things of one app.
type inApp struct {
	App string `setting:"app" placeholder:"APP" help:"The app's id or name."`
	admin
}

// open returns the client and the app's id.
func (a *inApp) open(ctx context.Context, con *console) (*rest, string, error) {
	r, err := a.client(con.Settings)
	if err != nil {
		return nil, "", err
	}
	if a.App == "" {
		return nil, "", &failure{Message: "which app?", Remedy: "Add --app with its id or name (fanfare app list), or set FANFARE_APP.", Usage: true}
	}
	id, err := appID(ctx, r, a.App)
	return r, id, err
}

type keyListCmd struct {
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (keyListCmd) Help() string { return examples("fanfare key list", "fanfare key list --app shop") }

// Run lists the keys.
func (c *keyListCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, appPath(app, "keys"), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var list struct {
		Keys []keyInfo `json:"keys"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	rows := make([][]string, 0, len(list.Keys))
	for _, k := range list.Keys {
		rows = append(rows, []string{k.ID, k.Kind, k.Name, date(k.Created), k.expires(), k.grants(), k.Text})
	}
	return con.writeTable([]string{"KEY", "KIND", "NAME", "CREATED", "EXPIRES", "MAY", "TEXT"}, rows)
}

func (k *keyInfo) expires() string {
	switch {
	case k.Revoked != nil:
		return "revoked " + date(*k.Revoked)
	case k.Expires == nil:
		return ""
	}
	return expiry(*k.Expires, time.Now())
}

// grants is what the key may do, in one line.
func (k *keyInfo) grants() string {
	if k.Kind == "secret" {
		return "everything"
	}
	var parts []string
	for _, g := range []struct {
		name string
		list []string
	}{{"subscribe", k.Grants.Subscribe}, {"publish", k.Grants.Publish}, {"presence", k.Grants.Presence}, {"history", k.Grants.History}} {
		if len(g.list) > 0 {
			parts = append(parts, g.name+" "+strings.Join(g.list, ","))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// granting are the flags that list channels.
type granting struct {
	Subscribe []string `sep:"none" placeholder:"CHANNEL" help:"May subscribe to this channel or prefix*. Repeatable."`
	Publish   []string `sep:"none" placeholder:"CHANNEL" help:"May publish to this channel or prefix*. Repeatable."`
	Presence  []string `sep:"none" placeholder:"CHANNEL" help:"May see and join the members of this channel or prefix*. Repeatable."`
	History   []string `sep:"none" placeholder:"CHANNEL" help:"May read the past of this channel or prefix*. Repeatable."`
}

func (g *granting) grants() protocol.Grants {
	return protocol.Grants{Subscribe: g.Subscribe, Publish: g.Publish, Presence: g.Presence, History: g.History}
}

func (g *granting) empty() bool {
	return len(g.Subscribe)+len(g.Publish)+len(g.Presence)+len(g.History) == 0
}

type keyCreateCmd struct {
	Kind    string   `enum:"publishable,secret" default:"publishable" help:"publishable (may stand in a web page) or secret (stays on your servers)."`
	Name    string   `default:"unnamed" placeholder:"NAME" help:"What it is for."`
	Origin  []string `sep:"none" placeholder:"ORIGIN" help:"Pages of this origin only, like https://app.example.com. Repeatable."`
	Expires span     `placeholder:"TIME" help:"Ends after this time: 24h, 90d."`
	granting
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (keyCreateCmd) Help() string {
	return examples("fanfare key create --app shop --kind secret --name backend",
		"fanfare key create --app shop --subscribe 'orders:*' --origin https://shop.example.com")
}

// Run makes the key.
func (c *keyCreateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	body := map[string]any{"kind": c.Kind, "name": c.Name}
	if len(c.Origin) > 0 {
		body["allowed_origins"] = c.Origin
	}
	if c.Expires > 0 {
		body["expires"] = time.Now().Add(time.Duration(c.Expires)).UTC().Format(time.RFC3339)
	}
	if !c.empty() {
		body["grants"] = c.grants()
	}
	return con.showKey(ctx, r, http.MethodPost, appPath(app, "keys"), body, c.JSON)
}

type keyShowCmd struct {
	Key string `arg:"" help:"The key's id: its first 14 characters."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (keyShowCmd) Help() string { return examples("fanfare key show ffp_4fQ8kT2mZx") }

// Run shows the key.
func (c *keyShowCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showKey(ctx, r, http.MethodGet, appPath(app, "keys", keyID(c.Key)), nil, c.JSON)
}

type keyRotateCmd struct {
	Key   string `arg:"" help:"The key's id: its first 14 characters."`
	Grace span   `default:"24h" placeholder:"TIME" help:"How long the old key still works."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (keyRotateCmd) Help() string {
	return examples("fanfare key rotate ffs_4fQ8kT2mZx --app shop", "fanfare key rotate ffs_4fQ8kT2mZx --app shop --grace 10m")
}

// Run rotates the key.
func (c *keyRotateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	body := map[string]any{"grace": int64(time.Duration(c.Grace).Seconds())}
	return con.showKey(ctx, r, http.MethodPost, appPath(app, "keys", keyID(c.Key), "rotate"), body, c.JSON)
}

type keyRevokeCmd struct {
	Key string `arg:"" help:"The key's id: its first 14 characters."`
	confirmation
	inApp
}

// Help is part of kong.HelpProvider.
func (keyRevokeCmd) Help() string { return examples("fanfare key revoke ffp_4fQ8kT2mZx --app shop") }

// Run revokes the key.
func (c *keyRevokeCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	id := keyID(c.Key)
	if err := c.ask(con, fmt.Sprintf("This ends the key %s; who uses it is cut off.", id)); err != nil {
		return err
	}
	if err := r.do(ctx, http.MethodDelete, appPath(app, "keys", id), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "revoked key %s\n", id)
	return err
}

// keyID is the id of a key, which people may also give as the whole key. Only
// the id goes into an address.
func keyID(key string) string {
	if len(key) > 14 {
		return key[:14]
	}
	return key
}

// showKey does a request that answers with a key, and shows that. A secret
// key's text is there once, so it comes with a word of warning.
func (c *console) showKey(ctx context.Context, r *rest, method, path string, body map[string]any, asJSON bool) error {
	var in any
	if body != nil {
		in = body
	}
	var raw json.RawMessage
	if err := r.do(ctx, method, path, in, &raw); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.Out, raw)
	}
	var k keyInfo
	if err := json.Unmarshal(raw, &k); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	err := c.writeFields("key", k.ID, "kind", k.Kind, "name", k.Name, "app", k.App, "created", date(k.Created),
		"expires", k.expires(), "origins", strings.Join(k.Origins, ", "), "may", k.grants(), "text", k.Text)
	if err == nil && k.Kind == "secret" && k.Text != "" {
		fmt.Fprintln(c.Err, c.paint(amber, "Keep this text now: it is a secret, and it is not shown again."))
	}
	return err
}
