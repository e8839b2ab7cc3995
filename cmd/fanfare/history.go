package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type historyCmd struct {
	Channel string            `arg:"" help:"The channel."`
	Limit   int               `short:"n" default:"100" placeholder:"N" help:"The most messages to show. Default: 100."`
	After   protocol.Position `placeholder:"POSITION" help:"Show what came after this position. Default: show the newest messages."`
	keyed
	output
}

// Help is part of kong.HelpProvider.
func (historyCmd) Help() string {
	return examples("fanfare history orders:42", "fanfare history chat:1 --limit 10", "fanfare history chat:1 --after q3Zk8dLm:17",
		"fanfare history logs --json | jq .data") + `

The oldest message comes first. What a channel keeps is a rule of its app (fanfare app update --rules); without one, 100 messages for 5 minutes.`
}

// historyStep is the most messages of one request, so that answers stay small
// where messages are large.
const historyStep = 100

// historyInfo is a page as the API shows it.
type historyInfo struct {
	Messages []json.RawMessage `json:"messages"`
	Next     protocol.Position `json:"next"`
	Whole    *bool             `json:"whole"`
	Reason   string            `json:"reason"`
}

// Run shows the channel's past.
func (c *historyCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	channel, err := protocol.ParseChannel(c.Channel)
	if err != nil {
		return err
	}
	if c.Limit < 1 {
		return &failure{Message: "--limit is less than 1", Remedy: "Say how many messages to show.", Usage: true}
	}
	if c.After != "" {
		return c.forward(ctx, con, r, channel)
	}
	return c.newest(ctx, con, r, channel)
}

// forward shows what came after a position, page by page.
func (c *historyCmd) forward(ctx context.Context, con *console, r *rest, channel protocol.Channel) error {
	at := c.After
	for left := c.Limit; left > 0; {
		page, err := readHistory(ctx, r, channel, url.Values{"after": {string(at)}}, left)
		if err != nil {
			return err
		}
		if page.Whole != nil && !*page.Whole && at == c.After {
			fmt.Fprintln(con.Err, con.paint(amber, fmt.Sprintf("messages after %s are missing: %s", escapeControl(string(at)), missing(page.Reason))))
		}
		if err := c.show(con, page.Messages); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		left -= len(page.Messages)
		at = page.Next
	}
	fmt.Fprintln(con.Err, con.paint(dim, "there is more: --after "+escapeControl(string(at))))
	return nil
}

// newest shows the last messages. They come in pages from the newest to the
// oldest, so all are read before the first is shown.
func (c *historyCmd) newest(ctx context.Context, con *console, r *rest, channel protocol.Channel) error {
	var pages [][]json.RawMessage
	v := url.Values{"newest": {"true"}}
	for left := c.Limit; left > 0; {
		page, err := readHistory(ctx, r, channel, v, left)
		if err != nil {
			return err
		}
		if page.Reason == "ephemeral" {
			fmt.Fprintln(con.Err, con.paint(amber, missing(page.Reason)))
		}
		pages = append(pages, page.Messages)
		left -= len(page.Messages)
		if page.Next == "" {
			break
		}
		v.Set("before", string(page.Next))
	}
	for _, page := range slices.Backward(pages) {
		if err := c.show(con, page); err != nil {
			return err
		}
	}
	return nil
}

// readHistory asks for a page of at most n messages.
func readHistory(ctx context.Context, r *rest, channel protocol.Channel, v url.Values, n int) (historyInfo, error) {
	v.Set("channel", string(channel))
	v.Set("limit", strconv.Itoa(min(n, historyStep)))
	var page historyInfo
	err := r.do(ctx, http.MethodGet, "/v1/messages?"+v.Encode(), nil, &page)
	if err == nil && page.Next != "" && len(page.Messages) == 0 { // it would be asked for ever
		err = &failure{Message: r.base + " answered a page without messages that is not the last", Remedy: "Check that this is a Fanfare server of the same version (fanfare doctor)."}
	}
	return page, err
}

// missing is a reason of the API for people.
func missing(reason string) string {
	switch reason {
	case "expired":
		return "they are older than the channel keeps"
	case "evicted":
		return "there are more than the channel keeps"
	case "epoch":
		return "the position is of another life of the channel (its rule changed, or the server's data)"
	case "ephemeral":
		return "the channel is ephemeral and keeps nothing"
	}
	return reason
}

// show writes messages, each on one line.
func (c *historyCmd) show(con *console, list []json.RawMessage) error {
	for _, raw := range list {
		line := escapeControl(string(raw)) // the same JSON in other letters
		if !c.JSON {
			var m protocol.Message
			if err := json.Unmarshal(raw, &m); err != nil {
				return fmt.Errorf("message: %w", err)
			}
			line = con.messageLine(time.UnixMilli(m.Time).Local().Format("2006-01-02 15:04:05.000"), string(m.Position), m)
		}
		if _, err := fmt.Fprintln(con.Out, line); err != nil {
			return err
		}
	}
	return nil
}
