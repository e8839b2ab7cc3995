package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// count is how many subscribers a channel has on one node.
type count struct {
	App         protocol.AppID   `json:"a"`
	Channel     protocol.Channel `json:"c"`
	Subscribers int              `json:"n,omitempty"`
	Told        bool             `json:"t,omitempty"` // the node told, or knows, that it is occupied
}

func (h *Hub) answerCounts(_ string, body []byte, reply func([]byte)) {
	var all []count
	if err := json.Unmarshal(body, &all); err != nil {
		return
	}
	for i, c := range all {
		k := key{c.App, c.Channel}
		all[i].Subscribers = h.subscribers(k)
		rs := h.roomsOf(k)
		rs.mu.Lock()
		all[i].Told = rs.occupied[k]&toldOccupied != 0
		rs.mu.Unlock()
	}
	if text, err := json.Marshal(all); err == nil { // it has nothing that fails
		reply(text)
	}
}

// Numbers is how many there are in a channel, on all nodes.
func (h *Hub) Numbers(ctx context.Context, app protocol.AppID, ch protocol.Channel) protocol.Occupancy {
	k := key{app, ch}
	o := protocol.Occupancy{Subscribers: h.subscribers(k)}
	rs := h.roomsOf(k)
	rs.mu.Lock()
	if r := rs.open[k]; r != nil {
		o.Members = r.present
	}
	rs.mu.Unlock()
	if h.peers != nil {
		h.askCounts(ctx, []key{k}, func(_ string, c count) { o.Subscribers += c.Subscribers })
	}
	return o
}

// askCounts asks the other nodes about channels.
func (h *Hub) askCounts(ctx context.Context, keys []key, each func(node string, c count)) {
	all := make([]count, len(keys))
	for i, k := range keys {
		all[i] = count{App: k.app, Channel: k.ch}
	}
	body, err := json.Marshal(all)
	if err != nil {
		return
	}
	// Who does not answer has nobody, as far as is known here.
	_, err = h.peers.Ask(ctx, topicCounts, body, func(node string, part []byte) {
		var said []count
		if json.Unmarshal(part, &said) == nil {
			for _, c := range said {
				each(node, c)
			}
		}
	})
	if err != nil {
		h.log.Warn("the other nodes cannot be asked how many there are", "err", err)
	}
}

// countElsewhere has the channel's subscribers on other nodes counted from now
// on, each second.
func (h *Hub) countElsewhere(k key) {
	if h.peers == nil {
		return
	}
	h.peering.mu.Lock()
	h.peering.counting[k] = struct{}{}
	h.peering.mu.Unlock()
	h.peering.later(func(ctx context.Context) { h.look(ctx, []key{k}) })
}

// countNoMore ends that, where nobody is told any more.
func (h *Hub) countNoMore(k key) {
	if h.peers == nil {
		return
	}
	rs := h.roomsOf(k)
	rs.mu.Lock()
	r := rs.open[k]
	wanted := r != nil && len(r.counters.subs) > 0
	rs.mu.Unlock()
	if wanted {
		return
	}
	h.peering.mu.Lock()
	delete(h.peering.counting, k)
	h.peering.mu.Unlock()
}

func (h *Hub) lookAtCounts(ctx context.Context) {
	h.peering.mu.Lock()
	keys := make([]key, 0, len(h.peering.counting))
	for k := range h.peering.counting {
		keys = append(keys, k)
	}
	h.peering.mu.Unlock()
	for part := range slices.Chunk(keys, maxCountsOnce) {
		h.look(ctx, part)
	}
}

// look counts the channels' subscribers on the other nodes, and tells where
// that is another number.
func (h *Hub) look(ctx context.Context, keys []key) {
	away := map[key]int{}
	h.askCounts(ctx, keys, func(_ string, c count) { away[key{c.App, c.Channel}] += c.Subscribers })
	for _, k := range keys {
		changed := false
		h.with(k, func(r *room) { changed, r.remote = r.remote != away[k], away[k] })
		if changed {
			h.tellNumbers(k)
		}
	}
}

// occupy tells webhooks that a channel has a subscriber or has none, unless
// another node has some, too. Where two begin at one moment, the one whose name
// is the first tells it.
func (h *Hub) occupy(ctx context.Context, k key) {
	listens := h.wants == nil || h.wants(k.app, protocol.WebhookChannelOccupied) || h.wants(k.app, protocol.WebhookChannelVacated)
	h.tellOccupied(k, func(is bool) bool {
		if !listens {
			return true
		}
		others := false
		h.askCounts(ctx, []key{k}, func(node string, c count) {
			others = others || c.Subscribers > 0 && (!is || c.Told || node < h.peering.node)
		})
		return others
	})
}

// channelsQuestion asks for a page of the channels in use.
type channelsQuestion struct {
	App    protocol.AppID   `json:"a"`
	Prefix string           `json:"p"`
	After  protocol.Channel `json:"b"`
	Limit  int              `json:"l"`
}

type channelsAnswer struct {
	Found []protocol.ChannelInfo `json:"f"`
	More  bool                   `json:"m"`
}

func (h *Hub) answerChannels(_ string, body []byte, reply func([]byte)) {
	var q channelsQuestion
	if json.Unmarshal(body, &q) != nil || q.Limit < 1 {
		return
	}
	found, more := h.occupiedHere(q.App, q.Prefix, q.After, q.Limit)
	if text, err := json.Marshal(channelsAnswer{found, more}); err == nil { // it has nothing that fails
		reply(text)
	}
}

// occupiedAnywhere adds the other nodes' pages to this one's. What belongs to
// the page is on the page of each node that has it; members are known here.
func (h *Hub) occupiedAnywhere(found []protocol.ChannelInfo, more bool, q channelsQuestion) ([]protocol.ChannelInfo, bool) {
	body, err := json.Marshal(q)
	if err != nil {
		return found, more
	}
	all := map[protocol.Channel]protocol.ChannelInfo{}
	for _, c := range found {
		all[c.Channel] = c
	}
	_, err = h.peers.Ask(context.Background(), topicChannels, body, func(_ string, part []byte) {
		var a channelsAnswer
		if json.Unmarshal(part, &a) != nil {
			return
		}
		more = more || a.More
		for _, c := range a.Found {
			have := all[c.Channel]
			have.Channel = c.Channel
			have.Subscribers += c.Subscribers
			have.Members = max(have.Members, c.Members)
			all[c.Channel] = have
		}
	})
	if err != nil {
		h.log.Warn("the other nodes cannot be asked for channels", "err", err)
	}
	found = make([]protocol.ChannelInfo, 0, len(all))
	for _, c := range all {
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b protocol.ChannelInfo) int { return cmp.Compare(a.Channel, b.Channel) })
	if len(found) > q.Limit {
		return found[:q.Limit], true
	}
	return found, more
}
