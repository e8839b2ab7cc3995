package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type pubCmd struct {
	Channel string `arg:"" help:"The channel."`
	Message string `arg:"" name:"data" help:"The data: JSON, or else a plain string. - reads standard input, each line a message."`
	Event   string `placeholder:"NAME" help:"The event's name."`
	ID      string `name:"id" placeholder:"ID" help:"The message's id; one is made if you give none."`
	keyed
	output
}

// Help is part of kong.HelpProvider.
func (pubCmd) Help() string {
	return examples(`fanfare pub hello '{"n":1}'`, "fanfare pub hello 'good morning'",
		"fanfare pub chat:1 --event typing null", "tail -f app.log | fanfare pub logs -")
}

// The bounds of reading messages from standard input: how long a line may be,
// and how many lines go in one request when they come faster than requests.
const (
	maxLine  = 16 << 20
	maxBatch = 200
)

// Run publishes one message, or each line of standard input.
func (c *pubCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	channel, err := protocol.ParseChannel(c.Channel)
	if err != nil {
		return err
	}
	if c.Message != "-" {
		return c.one(ctx, con, r, channel)
	}
	if c.ID != "" {
		return &failure{Message: "--id is for one message, and - is for many", Remedy: "Leave --id out.", Usage: true}
	}
	return c.lines(ctx, con, r, channel)
}

func (c *pubCmd) outgoing(channel protocol.Channel, text string) protocol.Outgoing {
	return protocol.Outgoing{Channel: channel, Data: dataOf(text), Event: c.Event, ID: c.ID}
}

func (c *pubCmd) one(ctx context.Context, con *console, r *rest, channel protocol.Channel) error {
	var p protocol.Published
	if err := r.do(ctx, http.MethodPost, "/v1/messages", c.outgoing(channel, c.Message), &p); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, p)
	}
	position := ""
	if p.Position != "" {
		position = " at " + string(p.Position)
	}
	did := "published"
	if p.Duplicate {
		did = "published before, and not again,"
	}
	_, err := fmt.Fprintf(con.Out, "%s %s to %s%s\n", did, p.ID, escapeControl(string(channel)), position)
	return err
}

// lines publishes standard input. Each line goes out as soon as it is there;
// lines that come while a request is on its way share the next one.
func (c *pubCmd) lines(ctx context.Context, con *console, r *rest, channel protocol.Channel) error {
	in, failed := readLines(ctx, con.In)
	count := 0
	for {
		batch, open := nextBatch(ctx, in)
		if len(batch) > 0 {
			body := struct {
				Messages []protocol.Outgoing `json:"messages"`
			}{}
			for _, text := range batch {
				body.Messages = append(body.Messages, c.outgoing(channel, text))
			}
			n, err := c.send(ctx, con, r, body)
			count += n
			if err != nil {
				return fmt.Errorf("after %d messages: %w", count, err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !open {
			break
		}
	}
	if err := <-failed; err != nil {
		return fmt.Errorf("after %d messages: %w", count, err)
	}
	if c.JSON {
		return nil
	}
	_, err := fmt.Fprintf(con.Out, "published %d messages to %s\n", count, escapeControl(string(channel)))
	return err
}

// send publishes a batch, and waits where the app's rate asks for it: a batch
// that was refused has published nothing.
func (c *pubCmd) send(ctx context.Context, con *console, r *rest, body any) (int, error) {
	for {
		var answer struct {
			Messages []protocol.Published `json:"messages"`
		}
		err := r.do(ctx, http.MethodPost, "/v1/messages", body, &answer)
		if e, ok := errors.AsType[*protocol.Error](err); ok && e.Code == protocol.CodePublishRate {
			select {
			case <-time.After(max(e.RetryAfter, 100*time.Millisecond)):
				continue
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		if err != nil {
			return 0, err
		}
		for _, p := range answer.Messages {
			if c.JSON {
				text, err := json.Marshal(p)
				if err != nil {
					return 0, fmt.Errorf("answer: %w", err)
				}
				fmt.Fprintf(con.Out, "%s\n", text)
			}
		}
		return len(answer.Messages), nil
	}
}

// readLines reads in by a goroutine of its own, which ends with the input or
// with ctx. A read of a terminal cannot be called off: then it is left to the
// end of the process, which is near.
func readLines(ctx context.Context, in io.Reader) (<-chan string, <-chan error) {
	lines, failed := make(chan string, maxBatch), make(chan error, 1)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			if s.Text() == "" {
				continue
			}
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
		err := s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = &failure{Message: "a line is longer than 16 MiB", Remedy: "A message has a line of its own; send a reference to large data."}
		}
		failed <- err
	}()
	return lines, failed
}

// nextBatch waits for a line and takes those that are there already. It
// reports false when no more will come.
func nextBatch(ctx context.Context, in <-chan string) (batch []string, open bool) {
	select {
	case first, ok := <-in:
		if !ok {
			return nil, false
		}
		batch = append(batch, first)
	case <-ctx.Done():
		return nil, false
	}
	for len(batch) < maxBatch {
		select {
		case text, ok := <-in:
			if !ok {
				return batch, false
			}
			batch = append(batch, text)
		default:
			return batch, true
		}
	}
	return batch, true
}

// dataOf is text as JSON: itself where it is valid JSON, else a string.
func dataOf(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string always marshals
		return json.RawMessage("null")
	}
	return quoted
}
