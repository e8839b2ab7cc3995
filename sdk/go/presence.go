package fanfare

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Member is a user who is present in a channel, with what it said about itself
// last and the number of its connections.
type Member = protocol.Member

// ChannelInfo is a channel that is in use, with how many subscribers and
// members it has.
type ChannelInfo = protocol.ChannelInfo

// Presence is who is present in channel, in the order of the users' bytes. It
// needs the grant presence. Large channels take several requests: somebody who
// comes or goes meanwhile may or may not be in it.
func (c *Client) Presence(ctx context.Context, channel string) ([]Member, error) {
	if _, err := protocol.ParseChannel(channel); err != nil {
		return nil, err
	}
	q := url.Values{"channel": {channel}, "limit": {strconv.Itoa(maxPage)}}
	var all []Member
	for {
		var page struct {
			Members []Member `json:"members"`
			Next    string   `json:"next"`
		}
		if err := c.list(ctx, "/v1/presence?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Members...)
		if page.Next == "" || len(page.Members) == 0 {
			return all, nil
		}
		q.Set("after", page.Next)
	}
}

// Channels is the channels in use whose names begin with prefix, "" for all,
// in the order of the names' bytes. It needs a secret key.
func (c *Client) Channels(ctx context.Context, prefix string) ([]ChannelInfo, error) {
	q := url.Values{"limit": {strconv.Itoa(maxPage)}}
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	var all []ChannelInfo
	for {
		var page struct {
			Channels []ChannelInfo    `json:"channels"`
			Next     protocol.Channel `json:"next"`
		}
		if err := c.list(ctx, "/v1/channels?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Channels...)
		if page.Next == "" || len(page.Channels) == 0 {
			return all, nil
		}
		q.Set("after", string(page.Next))
	}
}

// Kick ends all connections of user and says how many there were. It needs a
// secret key. SDKs do not come back after it by themselves; a token that is
// still good would let a user come back all the same, so give out no new one.
func (c *Client) Kick(ctx context.Context, user string) (int, error) {
	var answer struct {
		Ended int `json:"ended"`
	}
	err := c.repeat(ctx, func() error {
		return c.ask(ctx, http.MethodDelete, "/v1/connections?"+url.Values{"user": {user}}.Encode(), nil, &answer)
	})
	return answer.Ended, err
}

func (c *Client) list(ctx context.Context, path string, page any) error {
	return c.repeat(ctx, func() error { return c.ask(ctx, http.MethodGet, path, nil, page) })
}
