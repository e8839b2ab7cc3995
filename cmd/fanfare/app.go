package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appCmd are the commands on apps.
type appCmd struct {
	List   appListCmd   `cmd:"" help:"List your apps."`
	Create appCreateCmd `cmd:"" help:"Make an app."`
	Show   appShowCmd   `cmd:"" help:"Show an app, its limits and rules."`
	Update appUpdateCmd `cmd:"" help:"Change an app's name, limits, rules or public keys."`
	Import appImportCmd `cmd:"" help:"Take over an app of Pusher or GoEasy with its keys, so that only the host changes."`
	Delete appDeleteCmd `cmd:"" help:"Delete an app and its keys, for good."`

	Refusals    appRefusalsCmd    `cmd:"" help:"Show why requests and commands of an app were refused."`
	Connections appConnectionsCmd `cmd:"" help:"Show who is connected to an app."`
}

// appInfo is an app as the API shows it; raw is the answer as it came.
type appInfo struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Created time.Time         `json:"created"`
	Limits  map[string]int    `json:"limits"`
	Rules   []json.RawMessage `json:"rules"`
	JWKS    json.RawMessage   `json:"jwks"`
	Doors   map[string]bool   `json:"doors"`
}

// appPath is the API's address of an app, or of something below it.
func appPath(app string, more ...string) string {
	path := "/v1/apps/" + url.PathEscape(app)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

// listApps asks for all apps of the account.
func listApps(ctx context.Context, r *rest) ([]appInfo, json.RawMessage, error) {
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, "/v1/apps", nil, &raw); err != nil {
		return nil, nil, err
	}
	var list struct {
		Apps []appInfo `json:"apps"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, nil, fmt.Errorf("apps: %w", err)
	}
	return list.Apps, raw, nil
}

// appID turns what a person calls an app, its id or its name, into its id.
func appID(ctx context.Context, r *rest, name string) (string, error) {
	apps, _, err := listApps(ctx, r)
	if err != nil {
		return "", err
	}
	var names []string
	byName := ""
	for _, a := range apps {
		if a.ID == name {
			return a.ID, nil
		}
		if a.Name == name {
			byName = a.ID
		}
		names = append(names, a.Name)
	}
	if byName != "" {
		return byName, nil
	}
	f := &failure{Message: fmt.Sprintf("there is no app %q", name), Remedy: "List your apps with fanfare app list."}
	if near := nearest(name, names); near != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", near)
	}
	return "", f
}

type appListCmd struct {
	admin
	output
}

// Help is part of kong.HelpProvider.
func (appListCmd) Help() string {
	return examples("fanfare app list", "fanfare app list --json | jq -r '.apps[].id'")
}

// Run lists the apps.
func (c *appListCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	apps, raw, err := listApps(ctx, r)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	rows := make([][]string, 0, len(apps))
	for _, a := range apps {
		rows = append(rows, []string{a.ID, a.Name, date(a.Created)})
	}
	return con.writeTable([]string{"APP", "NAME", "CREATED"}, rows)
}

// appChange are the flags that say what an app is like. What is not given
// stays as it is.
type appChange struct {
	Connections           int    `placeholder:"N" help:"Limit: connections at a time."`
	ChannelsPerConnection int    `placeholder:"N" help:"Limit: channels of one connection."`
	MessageBytes          int    `placeholder:"N" help:"Limit: bytes of a message's data."`
	PublishPerSecond      int    `placeholder:"N" help:"Limit: messages a second."`
	SubscribePerSecond    int    `placeholder:"N" help:"Limit: subscribes a second on one connection."`
	Rules                 string `placeholder:"JSON" help:"All rules of the namespaces, as a JSON list, or @FILE with one."`
	JWKS                  string `name:"jwks" placeholder:"JSON" help:"Your public keys as a JWK set, or @FILE with one."`
}

// body is the request's members that the flags ask for.
func (a *appChange) body() (map[string]any, error) {
	body := map[string]any{}
	limits := map[string]int{}
	for name, v := range map[string]int{
		"connections": a.Connections, "channels_per_connection": a.ChannelsPerConnection, "message_bytes": a.MessageBytes,
		"publish_per_second": a.PublishPerSecond, "subscribe_per_second": a.SubscribePerSecond,
	} {
		if v != 0 {
			limits[name] = v
		}
	}
	if len(limits) > 0 {
		body["limits"] = limits
	}
	for name, text := range map[string]string{"rules": a.Rules, "jwks": a.JWKS} {
		if text == "" {
			continue
		}
		raw := []byte(text)
		if path, ok := strings.CutPrefix(text, "@"); ok {
			var err error
			if raw, err = os.ReadFile(path); err != nil {
				return nil, &failure{Message: fmt.Sprintf("--%s: %v", name, err), Usage: true, Err: err}
			}
		}
		if !json.Valid(raw) {
			return nil, &failure{Message: "--" + name + " is not valid JSON", Remedy: "See fanfare app update --help for an example.", Usage: true}
		}
		body[name] = json.RawMessage(raw)
	}
	return body, nil
}

type appCreateCmd struct {
	Name string `arg:"" help:"The app's name, unique in your account."`
	appChange
	admin
	output
}

// Help is part of kong.HelpProvider.
func (appCreateCmd) Help() string {
	return examples("fanfare app create shop", "fanfare app create shop --connections 5000", `fanfare app create shop --rules '[{"namespace":"news","publish_from_clients":false}]'`)
}

// Run makes the app.
func (c *appCreateCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	body["name"] = c.Name
	return con.showApp(ctx, r, http.MethodPost, "/v1/apps", body, c.JSON)
}

type appShowCmd struct {
	App string `arg:"" help:"The app's id or name."`
	admin
	output
}

// Help is part of kong.HelpProvider.
func (appShowCmd) Help() string { return examples("fanfare app show demo") }

// Run shows the app.
func (c *appShowCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	id, err := appID(ctx, r, c.App)
	if err != nil {
		return err
	}
	return con.showApp(ctx, r, http.MethodGet, appPath(id), nil, c.JSON)
}

type appUpdateCmd struct {
	App  string `arg:"" help:"The app's id or name."`
	Name string `placeholder:"NAME" help:"A new name."`
	appChange
	admin
	output
}

// Help is part of kong.HelpProvider.
func (appUpdateCmd) Help() string {
	return examples("fanfare app update shop --name store", "fanfare app update shop --publish-per-second 20000",
		`fanfare app update shop --rules '[{"namespace":"chat","history":{"messages":1000,"age":86400}}]'`, "fanfare app update shop --jwks @jwks.json") + `

A rule is for the channels of a namespace, or without one for all; each setting is that of the longest namespace that has it:

    publish_from_clients  clients that are granted it may publish; default true
    echo                  a publisher gets its own messages too; default true
    history               what a channel keeps: {"messages":1 to 10000,"age":1 to 2592000 seconds}; default 100 and 300
    ephemeral             channels keep nothing; default false
    presence              presence, for those who are granted it; default true
    occupancy             subscribers are told how many they are; default false
    webhooks              the app's webhooks are told of messages; default false`
}

// Run changes the app.
func (c *appUpdateCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	if c.Name != "" {
		body["name"] = c.Name
	}
	if len(body) == 0 {
		return &failure{Message: "nothing to change was given", Remedy: "See fanfare app update --help.", Usage: true}
	}
	id, err := appID(ctx, r, c.App)
	if err != nil {
		return err
	}
	return con.showApp(ctx, r, http.MethodPatch, appPath(id), body, c.JSON)
}

type appDeleteCmd struct {
	App string `arg:"" help:"The app's id or name."`
	confirmation
	admin
}

// Help is part of kong.HelpProvider.
func (appDeleteCmd) Help() string {
	return examples("fanfare app delete shop", "fanfare app delete shop --yes")
}

// Run deletes the app.
func (c *appDeleteCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	id, err := appID(ctx, r, c.App)
	if err != nil {
		return err
	}
	if err := c.ask(con, fmt.Sprintf("This deletes the app %s (%s) with all its keys; its clients are cut off.", c.App, id)); err != nil {
		return err
	}
	if err := r.do(ctx, http.MethodDelete, appPath(id), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "deleted app %s\n", id)
	return err
}

// showApp does a request that answers with an app, and shows that.
func (c *console) showApp(ctx context.Context, r *rest, method, path string, body map[string]any, asJSON bool) error {
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
	var a appInfo
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	fields := []string{"app", a.ID, "name", a.Name, "created", date(a.Created)}
	for _, name := range []string{"connections", "channels_per_connection", "message_bytes", "publish_per_second", "subscribe_per_second"} {
		if v, ok := a.Limits[name]; ok {
			fields = append(fields, name, strconv.Itoa(v))
		}
	}
	for _, rule := range a.Rules {
		fields = append(fields, "rule", string(rule))
	}
	for _, door := range slices.Sorted(maps.Keys(a.Doors)) {
		if a.Doors[door] {
			fields = append(fields, "open door", door)
		}
	}
	if len(a.JWKS) > 0 && string(a.JWKS) != "null" {
		fields = append(fields, "jwks", fmt.Sprintf("%d bytes (see --json)", len(a.JWKS)))
	}
	return c.writeFields(fields...)
}
