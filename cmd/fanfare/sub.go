package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type subCmd struct {
	Channels []string `arg:"" name:"channel" help:"The channels."`
	Count    int      `short:"n" placeholder:"N" help:"End after this many messages."`
	keyed
	output
}

// Help is part of kong.HelpProvider.
func (subCmd) Help() string {
	return examples("fanfare sub hello", "fanfare sub orders:42 chat:1", "fanfare sub logs --json | jq .data",
		`fanfare sub news --key "$FANFARE_PUBLISHABLE_KEY"`)
}

// Run shows messages until it is interrupted, which is no error here.
func (c *subCmd) Run(ctx context.Context, con *console) error {
	if c.Key == "" { // a publishable key may subscribe, too
		c.Key = con.Settings.env["FANFARE_PUBLISHABLE_KEY"]
	}
	if err := c.need(con.Settings); err != nil {
		return err
	}
	client, err := fanfare.New(c.URL, c.Key)
	if err != nil {
		return err
	}
	sub, err := client.Subscribe(ctx, c.Channels...)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return subscribeFailure(ctx, c.URL, err)
	}
	defer sub.Close()
	fmt.Fprintln(con.Err, con.paint(dim, fmt.Sprintf("listening to %s on %s; Ctrl-C ends it", escapeControl(strings.Join(c.Channels, ", ")), c.URL)))
	seen := 0
	for m, err := range sub.All() {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return subscribeFailure(ctx, c.URL, err)
		}
		if err := c.show(con, m); err != nil {
			return err
		}
		if seen++; c.Count > 0 && seen >= c.Count {
			return nil
		}
	}
	return nil
}

// show writes one message on one line.
func (c *subCmd) show(con *console, m protocol.Message) error {
	if c.JSON {
		frame := protocol.AppendFrame(nil, m.AppendBody(nil), m.Position, m.Previous)
		_, err := fmt.Fprintln(con.Out, escapeControl(string(frame))) // the same JSON in other letters
		return err
	}
	at := time.UnixMilli(m.Time).Local().Format("15:04:05.000")
	_, err := fmt.Fprintln(con.Out, con.messageLine(at, string(m.Channel), m))
	return err
}

// messageLine is a message in one line for people: when, where, what.
func (c *console) messageLine(at, where string, m protocol.Message) string {
	parts := []string{c.paint(dim, at), c.paint(cyan, escapeControl(where))}
	if m.Event != "" {
		parts = append(parts, c.paint(amber, escapeControl(m.Event)))
	}
	if m.User != "" {
		parts = append(parts, c.paint(green, "@"+escapeControl(m.User)))
	}
	return strings.Join(append(parts, escapeControl(string(m.Data))), "  ")
}

// subscribeFailure keeps what the server said, and puts the rest into words.
func subscribeFailure(ctx context.Context, url string, err error) error {
	if e := protocol.AsError(err); e.Code != protocol.CodeInternal {
		return e
	}
	return unreachable(ctx, url, err)
}
