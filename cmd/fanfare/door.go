package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// doorCmd are the commands on an app's doors for clients that were made for
// other services, and on the keys that those show.
type doorCmd struct {
	List   doorListCmd   `cmd:"" help:"List the keys of an app's doors."`
	Open   doorOpenCmd   `cmd:"" help:"Let clients made for another service in."`
	Close  doorCloseCmd  `cmd:"" help:"Let them in no longer."`
	Create doorCreateCmd `cmd:"" help:"Make new keys for a door, and open it."`
	Show   doorShowCmd   `cmd:"" help:"Show the keys of a door, without the secret."`
	Rotate doorRotateCmd `cmd:"" help:"Make new keys in place of old ones, which live on for a while."`
	Revoke doorRevokeCmd `cmd:"" help:"End keys of a door, for good."`
}

// doorKeyInfo is a door key as the API shows it.
type doorKeyInfo struct {
	ID      string            `json:"id"`
	App     string            `json:"app"`
	Door    string            `json:"door"`
	Keys    map[string]string `json:"keys"`
	Created time.Time         `json:"created"`
	Expires *time.Time        `json:"expires"`
	Revoked *time.Time        `json:"revoked"`
	Secret  string            `json:"secret"`
}

func (k *doorKeyInfo) expires() string {
	return (&keyInfo{Expires: k.Expires, Revoked: k.Revoked}).expires()
}

type doorListCmd struct {
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorListCmd) Help() string { return examples("fanfare door list --app shop") }

// Run lists the door keys.
func (c *doorListCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, appPath(app, "door-keys"), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var list struct {
		Keys []doorKeyInfo `json:"door_keys"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("door keys: %w", err)
	}
	rows := make([][]string, 0, len(list.Keys))
	for _, k := range list.Keys {
		var texts []string
		for _, role := range slices.Sorted(maps.Keys(k.Keys)) {
			texts = append(texts, role+" "+k.Keys[role])
		}
		rows = append(rows, []string{k.ID, k.Door, date(k.Created), k.expires(), strings.Join(texts, ", ")})
	}
	return con.writeTable([]string{"ID", "DOOR", "CREATED", "EXPIRES", "KEYS"}, rows)
}

// whichDoor is a door's name as an argument.
type whichDoor struct {
	Door string `arg:"" enum:"pusher,goeasy" help:"pusher or goeasy."`
}

type doorOpenCmd struct {
	whichDoor
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorOpenCmd) Help() string { return examples("fanfare door open pusher --app shop") }

// Run opens the door.
func (c *doorOpenCmd) Run(ctx context.Context, con *console) error {
	return con.setDoor(ctx, &c.inApp, c.Door, true, c.JSON)
}

type doorCloseCmd struct {
	whichDoor
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorCloseCmd) Help() string { return examples("fanfare door close goeasy --app shop") }

// Run closes the door; who came in by it is cut off.
func (c *doorCloseCmd) Run(ctx context.Context, con *console) error {
	return con.setDoor(ctx, &c.inApp, c.Door, false, c.JSON)
}

func (c *console) setDoor(ctx context.Context, in *inApp, door string, open, asJSON bool) error {
	r, app, err := in.open(ctx, c)
	if err != nil {
		return err
	}
	return c.showApp(ctx, r, http.MethodPatch, appPath(app), map[string]any{"doors": map[string]bool{door: open}}, asJSON)
}

type doorCreateCmd struct {
	whichDoor
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorCreateCmd) Help() string { return examples("fanfare door create pusher --app shop") }

// Run makes the keys.
func (c *doorCreateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showDoorKey(ctx, r, http.MethodPost, appPath(app, "door-keys"), map[string]any{"door": c.Door}, c.JSON)
}

// doorKeyArg names one door key.
type doorKeyArg struct {
	Key string `arg:"" help:"The id of the door's keys, as fanfare door list shows it."`
}

type doorShowCmd struct {
	doorKeyArg
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorShowCmd) Help() string { return examples("fanfare door show k4f8t2mz0x --app shop") }

// Run shows the keys.
func (c *doorShowCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showDoorKey(ctx, r, http.MethodGet, appPath(app, "door-keys", c.Key), nil, c.JSON)
}

type doorRotateCmd struct {
	doorKeyArg
	Grace span `default:"24h" placeholder:"TIME" help:"How long the old keys still work."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (doorRotateCmd) Help() string {
	return examples("fanfare door rotate k4f8t2mz0x --app shop", "fanfare door rotate k4f8t2mz0x --app shop --grace 10m")
}

// Run rotates the keys.
func (c *doorRotateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	body := map[string]any{"grace": int64(time.Duration(c.Grace).Seconds())}
	return con.showDoorKey(ctx, r, http.MethodPost, appPath(app, "door-keys", c.Key, "rotate"), body, c.JSON)
}

type doorRevokeCmd struct {
	doorKeyArg
	confirmation
	inApp
}

// Help is part of kong.HelpProvider.
func (doorRevokeCmd) Help() string { return examples("fanfare door revoke k4f8t2mz0x --app shop") }

// Run revokes the keys.
func (c *doorRevokeCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	if err := c.ask(con, fmt.Sprintf("This ends the door's keys %s; who uses them is cut off.", c.Key)); err != nil {
		return err
	}
	if err := r.do(ctx, http.MethodDelete, appPath(app, "door-keys", c.Key), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "revoked door keys %s\n", c.Key)
	return err
}

type appImportCmd struct {
	App    string `arg:"" help:"The app's id or name; it is made if there is none."`
	Pusher string `placeholder:"APP_ID,KEY,SECRET" help:"Credentials of a Pusher app."`
	GoEasy string `name:"goeasy" placeholder:"COMMON-KEY,SUBSCRIBE-KEY,REST-KEY,SECRET-KEY" help:"Credentials of a GoEasy app; a client key may follow."`
	admin
	output
}

// Help is part of kong.HelpProvider.
func (appImportCmd) Help() string {
	return examples("fanfare app import shop --pusher 1234567,278d425bdf160c739803,7ad3773142a6692b25b8") + `

Clients and servers keep their keys; only the host that they connect to changes. The app's door opens. An app can take
several, also of both services. A key that another app of this server has is refused.`
}

// Run imports the credentials.
func (c *appImportCmd) Run(ctx context.Context, con *console) error {
	if c.Pusher == "" && c.GoEasy == "" {
		return &failure{Message: "nothing to import was given", Remedy: "Add --pusher or --goeasy; see fanfare app import --help.", Usage: true}
	}
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	apps, _, err := listApps(ctx, r)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(apps, func(a appInfo) bool { return a.ID == c.App || a.Name == c.App })
	var a appInfo
	if at >= 0 {
		a = apps[at]
	} else if err := r.do(ctx, http.MethodPost, "/v1/apps", map[string]any{"name": c.App}, &a); err != nil {
		return err
	}
	for _, in := range []struct{ door, text string }{{"pusher", c.Pusher}, {"goeasy", c.GoEasy}} {
		if in.text == "" {
			continue
		}
		body := map[string]any{"door": in.door, "parts": strings.Split(in.text, ",")}
		if err := r.do(ctx, http.MethodPost, appPath(a.ID, "door-keys"), body, nil); err != nil {
			if at < 0 { // nothing of a refused import stays
				_ = r.do(ctx, http.MethodDelete, appPath(a.ID), nil, nil)
			}
			return err
		}
	}
	return con.showApp(ctx, r, http.MethodGet, appPath(a.ID), nil, c.JSON)
}

// showDoorKey does a request that answers with a door key, and shows that.
func (c *console) showDoorKey(ctx context.Context, r *rest, method, path string, body map[string]any, asJSON bool) error {
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
	var k doorKeyInfo
	if err := json.Unmarshal(raw, &k); err != nil {
		return fmt.Errorf("door key: %w", err)
	}
	fields := []string{"id", k.ID, "door", k.Door, "app", k.App, "created", date(k.Created), "expires", k.expires()}
	for _, role := range slices.Sorted(maps.Keys(k.Keys)) {
		fields = append(fields, role, k.Keys[role])
	}
	if k.Secret != "" {
		fields = append(fields, "secret", k.Secret)
	}
	err := c.writeFields(fields...)
	if err == nil && k.Secret != "" {
		fmt.Fprintln(c.Err, c.paint(amber, "Keep the secret now: it is not shown again."))
	}
	return err
}
