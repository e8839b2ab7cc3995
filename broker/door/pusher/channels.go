package pusher

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// What can be asked of a channel.
const (
	infoUsers         = "user_count"
	infoSubscriptions = "subscription_count"
	infoCache         = "cache"
)

const onePage = 1000 // channels that are asked for at once

// asked is the list in an info parameter.
func asked(info string) []string {
	var all []string
	for name := range strings.SplitSeq(info, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// count is how many there are in a channel now, on all nodes.
func (d *Door) count(c *call, name string) (o protocol.Occupancy) {
	found, _ := d.o.Hub.Occupied(c.pass.App, name, "", 1) // the name itself comes before all that it begins
	if len(found) == 1 && string(found[0].Channel) == name {
		o = found[0].Occupancy
	}
	return o
}

// attributes are what info asks for of a channel that was published to, as far
// as it has that.
func (d *Door) attributes(c *call, name, info string) map[string]int {
	out := map[string]int{}
	k, ok := kindOf(name)
	if !ok || info == "" {
		return out
	}
	o := d.count(c, name)
	for _, what := range asked(info) {
		switch {
		case what == infoUsers && k.presence:
			out[what] = o.Members
		case what == infoSubscriptions:
			out[what] = o.Subscribers
		}
	}
	return out
}

// channels lists those that are occupied.
func (d *Door) channels(c *call) (any, error) {
	q := c.URL.Query()
	prefix, info := q.Get("filter_by_prefix"), asked(q.Get("info"))
	for _, what := range info {
		switch {
		case what == infoUsers && !strings.HasPrefix(prefix, "presence-"):
			return nil, faultf(http.StatusBadRequest, "The user_count can be asked for presence channels only: add filter_by_prefix=presence-.")
		case what != infoUsers && what != infoSubscriptions:
			return nil, faultf(http.StatusBadRequest, "The attribute "+clip(what)+" cannot be asked for here.")
		}
	}
	all := map[string]map[string]int{}
	var after protocol.Channel
	for more := true; more; {
		var found []protocol.ChannelInfo
		found, more = d.o.Hub.Occupied(c.pass.App, prefix, after, onePage)
		for _, one := range found {
			after = one.Channel
			if _, ok := kindOf(string(one.Channel)); !ok {
				continue // of other doors, or this one's own
			}
			out := map[string]int{}
			if slices.Contains(info, infoUsers) {
				out[infoUsers] = one.Members
			}
			if slices.Contains(info, infoSubscriptions) {
				out[infoSubscriptions] = one.Subscribers
			}
			all[string(one.Channel)] = out
		}
		more = more && len(found) > 0
	}
	return map[string]any{"channels": all}, nil
}

// channel tells of one.
func (d *Door) channel(c *call) (any, error) {
	name := c.PathValue("channel")
	k, ok := kindOf(name)
	if !ok {
		return nil, faultf(http.StatusBadRequest, "The channel name is not valid.")
	}
	o := d.count(c, name)
	out := map[string]any{"occupied": o.Subscribers > 0 || o.Members > 0}
	for _, what := range asked(c.URL.Query().Get("info")) {
		switch {
		case what == infoUsers && k.presence:
			out[what] = o.Members
		case what == infoSubscriptions:
			out[what] = o.Subscribers
		case what == infoCache && k.cache:
			cached, err := d.cached(c.Context(), c, protocol.Channel(name))
			if err != nil {
				return nil, err
			}
			out[what] = cached
		default:
			return nil, faultf(http.StatusBadRequest, "The attribute "+clip(what)+" cannot be asked for of this channel.")
		}
	}
	return out, nil
}

// cached is what a cache channel shows to who comes; nil: nothing.
func (d *Door) cached(ctx context.Context, c *call, ch protocol.Channel) (any, error) {
	agent := c.pass.Agent()
	messages, age := agent.Keep(ch)
	if messages == 0 {
		return nil, nil // the app's rules keep nothing
	}
	page, err := d.o.Hub.History(ctx, agent, hub.HistoryQuery{Channel: ch, Limit: cachedPast, Newest: true})
	if err != nil {
		return nil, err
	}
	f, m := lastOfServer(page.Frames)
	if f == nil {
		return nil, nil
	}
	left := age - time.Since(time.UnixMilli(m.Time))
	return map[string]any{"data": textOf(m.Data), "ttl": max(0, int(left.Seconds()))}, nil
}

// textOf undoes dataOf.
func textOf(data json.RawMessage) string {
	var text string
	if data[0] == '"' && json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}

// users lists who is in a presence channel.
func (d *Door) users(c *call) (any, error) {
	name := c.PathValue("channel")
	if k, ok := kindOf(name); !ok || !k.presence {
		return nil, faultf(http.StatusBadRequest, "Users can be asked for of presence channels only.")
	}
	members, _ := d.o.Hub.Members(c.pass.App, protocol.Channel(name), "", math.MaxInt)
	type user struct {
		ID json.RawMessage `json:"id"`
	}
	out := make([]user, len(members))
	for i, m := range members {
		out[i] = user{memberOf(m).ID}
	}
	return map[string]any{"users": out}, nil
}

// terminate ends all connections of a user.
func (d *Door) terminate(c *call) (any, error) {
	d.o.Sessions.Kick(c.pass.App, c.PathValue("user"), "")
	return struct{}{}, nil
}
