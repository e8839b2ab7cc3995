package fanfare

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const maxPage = 1000 // messages of a page (PROTOCOL.md, clause 9.12)

// HistoryOptions say which part of a channel's past to read. The zero value is
// all that is kept.
type HistoryOptions struct {
	After  protocol.Position // from behind this one on
	Before protocol.Position // up to before this one
	Until  protocol.Position // up to and with this one
	Since  time.Time         // published then or later

	Limit  int  // at most so many messages; 0 is all
	Newest bool // the last Limit ones instead of the first; needs a Limit of 1 to 1000

	// OnGap, if any, is called before the first message where messages between
	// After and that one are gone, or may be: reason is expired, evicted, epoch
	// or ephemeral.
	OnGap func(reason string)
}

// History yields the messages that a channel keeps, the oldest first, and asks
// the server for page after page as they are read. An error is the last thing
// it yields: a *protocol.Error where the server refuses, such as not_granted.
// Ranging again begins anew.
func (c *Client) History(ctx context.Context, channel string, o HistoryOptions) iter.Seq2[protocol.Message, error] {
	return func(yield func(protocol.Message, error) bool) {
		for left := o.Limit; ; {
			page, err := c.page(ctx, channel, o, left)
			if err != nil {
				yield(protocol.Message{}, err)
				return
			}
			if page.Whole != nil && !*page.Whole && o.OnGap != nil {
				o.OnGap(page.Reason)
			}
			for _, m := range page.Messages {
				if !yield(m, nil) {
					return
				}
			}
			left -= len(page.Messages)
			if page.Next == "" || o.Newest || o.Limit > 0 && left <= 0 {
				return
			}
			o.After, o.OnGap = page.Next, nil
		}
	}
}

type historyPage struct {
	Messages []protocol.Message `json:"messages"`
	Next     protocol.Position  `json:"next"`
	Whole    *bool              `json:"whole"`
	Reason   string             `json:"reason"`
}

func (c *Client) page(ctx context.Context, channel string, o HistoryOptions, left int) (page historyPage, err error) {
	if _, err := protocol.ParseChannel(channel); err != nil {
		return page, err
	}
	if o.Limit < 0 || o.Newest && (o.Limit < 1 || o.Limit > maxPage) {
		return page, protocol.Errorf(protocol.CodeBadRequest, "The limit is %d; the newest messages take one of 1 to %d.", o.Limit, maxPage)
	}
	limit := maxPage
	if o.Limit > 0 {
		limit = min(limit, left)
	}
	q := url.Values{"channel": {channel}, "limit": {strconv.Itoa(limit)}}
	for name, p := range map[string]protocol.Position{"after": o.After, "before": o.Before, "until": o.Until} {
		if p != "" {
			q.Set(name, string(p))
		}
	}
	if !o.Since.IsZero() {
		q.Set("since", o.Since.UTC().Format(time.RFC3339Nano))
	}
	if o.Newest {
		q.Set("newest", "true")
	}
	err = c.repeat(ctx, func() error {
		page = historyPage{}
		return c.ask(ctx, http.MethodGet, "/v1/messages?"+q.Encode(), nil, &page)
	})
	if err != nil {
		return page, err
	}
	if page.Next != "" && len(page.Messages) == 0 {
		return page, fmt.Errorf("fanfare: %s answered with an empty page that is not the last", c.servers.now())
	}
	return page, nil
}
