package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// webhookCmd are the commands on an app's webhooks.
type webhookCmd struct {
	List       webhookListCmd       `cmd:"" help:"List an app's webhooks."`
	Create     webhookCreateCmd     `cmd:"" help:"Make a webhook: a URL that is told of events."`
	Update     webhookUpdateCmd     `cmd:"" help:"Change a webhook's URL or events; disable or enable it."`
	Rotate     webhookRotateCmd     `cmd:"" help:"Give a webhook a new secret; the old one signs, too, for a while."`
	Delete     webhookDeleteCmd     `cmd:"" help:"Delete a webhook and what is queued for it."`
	Test       webhookTestCmd       `cmd:"" help:"Send a test event now, and show how that went."`
	Deliveries webhookDeliveriesCmd `cmd:"" help:"Show the last tries to deliver an event."`
	Resend     webhookResendCmd     `cmd:"" help:"Send the event of a try again."`
}

type webhookListCmd struct {
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookListCmd) Help() string { return examples("fanfare webhook list --app shop") }

// Run lists the webhooks.
func (c *webhookListCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, appPath(app, "webhooks"), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var list struct{ Webhooks []protocol.Webhook }
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	rows := make([][]string, 0, len(list.Webhooks))
	for _, h := range list.Webhooks {
		rows = append(rows, []string{h.ID, webhookState(h), strconv.Itoa(h.Waiting), h.URL, strings.Join(h.Events, " ")})
	}
	return con.writeTable([]string{"WEBHOOK", "STATE", "WAITING", "URL", "EVENTS"}, rows)
}

func webhookState(h protocol.Webhook) string {
	if h.Disabled {
		return "disabled"
	}
	return "on"
}

type webhookCreateCmd struct {
	URL   string   `arg:"" help:"An https address that the internet reaches."`
	Event []string `sep:"none" placeholder:"TYPE" help:"Tell it of this type of event, such as channel.occupied. Repeatable; default: all."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookCreateCmd) Help() string {
	return examples("fanfare webhook create https://shop.example.com/hooks --app shop",
		"fanfare webhook create https://shop.example.com/hooks --app shop --event member.joined --event member.left")
}

// Run makes the webhook.
func (c *webhookCreateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showWebhook(ctx, r, http.MethodPost, appPath(app, "webhooks"), protocol.WebhookInput{URL: c.URL, Events: c.Event}, c.JSON)
}

type webhookUpdateCmd struct {
	Webhook string   `arg:"" help:"The webhook's id."`
	URL     string   `name:"to" placeholder:"URL" help:"Send to this address from now on."`
	Event   []string `sep:"none" placeholder:"TYPE" help:"Tell it of this type of event, in place of the present ones. Repeatable."`
	Disable bool     `xor:"state" help:"Stop it, and throw away what is queued."`
	Enable  bool     `xor:"state" help:"Let it begin anew."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookUpdateCmd) Help() string {
	return examples("fanfare webhook update whk_4FQ8KT2MZX7RLA3B --enable", "fanfare webhook update whk_4FQ8KT2MZX7RLA3B --to https://shop.example.com/new")
}

// Run changes the webhook.
func (c *webhookUpdateCmd) Run(ctx context.Context, con *console) error {
	var p protocol.WebhookPatch
	if c.URL != "" {
		p.URL = &c.URL
	}
	if len(c.Event) > 0 {
		p.Events = &c.Event
	}
	if c.Disable || c.Enable {
		p.Disabled = &c.Disable
	}
	if p == (protocol.WebhookPatch{}) {
		return &failure{Message: "nothing to change was given", Remedy: "See fanfare webhook update --help.", Usage: true}
	}
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showWebhook(ctx, r, http.MethodPatch, appPath(app, "webhooks", c.Webhook), p, c.JSON)
}

type webhookRotateCmd struct {
	Webhook string `arg:"" help:"The webhook's id."`
	Grace   span   `default:"24h" placeholder:"TIME" help:"How long the old secret signs, too."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookRotateCmd) Help() string {
	return examples("fanfare webhook rotate whk_4FQ8KT2MZX7RLA3B --app shop", "fanfare webhook rotate whk_4FQ8KT2MZX7RLA3B --app shop --grace 1h")
}

// Run rotates the secret.
func (c *webhookRotateCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	body := map[string]any{"grace": int64(time.Duration(c.Grace).Seconds())}
	return con.showWebhook(ctx, r, http.MethodPost, appPath(app, "webhooks", c.Webhook, "rotate"), body, c.JSON)
}

type webhookDeleteCmd struct {
	Webhook string `arg:"" help:"The webhook's id."`
	confirmation
	inApp
}

// Help is part of kong.HelpProvider.
func (webhookDeleteCmd) Help() string {
	return examples("fanfare webhook delete whk_4FQ8KT2MZX7RLA3B --app shop")
}

// Run deletes the webhook.
func (c *webhookDeleteCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	if err := c.ask(con, fmt.Sprintf("This deletes the webhook %s and what is queued for it.", c.Webhook)); err != nil {
		return err
	}
	if err := r.do(ctx, http.MethodDelete, appPath(app, "webhooks", c.Webhook), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "deleted webhook %s\n", c.Webhook)
	return err
}

type webhookTestCmd struct {
	Webhook string `arg:"" help:"The webhook's id."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookTestCmd) Help() string {
	return examples("fanfare webhook test whk_4FQ8KT2MZX7RLA3B --app shop")
}

// Run sends a test event.
func (c *webhookTestCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showDelivery(ctx, r, appPath(app, "webhooks", c.Webhook, "test"), c.JSON)
}

type webhookDeliveriesCmd struct {
	Webhook string `arg:"" help:"The webhook's id."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookDeliveriesCmd) Help() string {
	return examples("fanfare webhook deliveries whk_4FQ8KT2MZX7RLA3B --app shop")
}

// Run shows the tries.
func (c *webhookDeliveriesCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodGet, appPath(app, "webhooks", c.Webhook, "deliveries"), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var list struct{ Deliveries []protocol.WebhookDelivery }
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	rows := make([][]string, 0, len(list.Deliveries))
	for _, d := range list.Deliveries {
		row := []string{d.ID, d.Time.Local().Format("2006-01-02 15:04:05"), d.Type, "by hand", outcome(d), fmt.Sprint(d.Latency, " ms"), ""}
		if d.Attempt > 0 {
			row[3] = strconv.Itoa(d.Attempt)
		}
		if d.Next != nil {
			row[6] = d.Next.Local().Format("2006-01-02 15:04:05")
		}
		rows = append(rows, row)
	}
	return con.writeTable([]string{"DELIVERY", "TIME", "TYPE", "TRY", "OUTCOME", "TOOK", "NEXT"}, rows)
}

type webhookResendCmd struct {
	Webhook  string `arg:"" help:"The webhook's id."`
	Delivery string `arg:"" help:"The try's id, from fanfare webhook deliveries."`
	inApp
	output
}

// Help is part of kong.HelpProvider.
func (webhookResendCmd) Help() string {
	return examples("fanfare webhook resend whk_4FQ8KT2MZX7RLA3B dlv_2s --app shop")
}

// Run sends an event again.
func (c *webhookResendCmd) Run(ctx context.Context, con *console) error {
	r, app, err := c.open(ctx, con)
	if err != nil {
		return err
	}
	return con.showDelivery(ctx, r, appPath(app, "webhooks", c.Webhook, "deliveries", c.Delivery, "resend"), c.JSON)
}

// outcome is how a try went, in one line.
func outcome(d protocol.WebhookDelivery) string {
	if d.OK {
		return "ok " + strconv.Itoa(d.Status)
	}
	return d.Error
}

// showWebhook does a request that answers with a webhook, and shows that. Its
// secret is there once, so it comes with a word of warning.
func (c *console) showWebhook(ctx context.Context, r *rest, method, path string, in any, asJSON bool) error {
	var raw json.RawMessage
	if err := r.do(ctx, method, path, in, &raw); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.Out, raw)
	}
	var h protocol.Webhook
	if err := json.Unmarshal(raw, &h); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	old := ""
	if h.OldSecretUntil != nil {
		old = expiry(*h.OldSecretUntil, time.Now())
	}
	err := c.writeFields("webhook", h.ID, "app", string(h.App), "url", h.URL, "events", strings.Join(h.Events, " "), "state", webhookState(h),
		"reason", h.DisabledReason, "created", date(h.Created), "old secret", old, "secret", h.Secret)
	if err == nil && h.Secret != "" {
		fmt.Fprintln(c.Err, c.paint(amber, "Keep this secret now: your receiver checks signatures with it, and it is not shown again."))
	}
	return err
}

// showDelivery makes a try by hand and shows it. One that was not taken ends
// the command with status 1.
func (c *console) showDelivery(ctx context.Context, r *rest, path string, asJSON bool) error {
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodPost, path, nil, &raw); err != nil {
		return err
	}
	var d protocol.WebhookDelivery
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	var err error
	if asJSON {
		err = writeJSON(c.Out, raw)
	} else {
		err = c.writeFields("delivery", d.ID, "event", d.Event, "type", d.Type, "outcome", outcome(d), "took", fmt.Sprint(d.Latency, " ms"), "answer", d.Answer)
	}
	if err == nil && !d.OK {
		err = errQuiet
	}
	return err
}
