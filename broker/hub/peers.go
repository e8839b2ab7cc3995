package hub

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Peers is the way to the other nodes. A *bus.Peers is one.
type Peers interface {
	Tell(topic string, body []byte) error
	Hear(topic string, fn func(node string, body []byte))
	Ask(ctx context.Context, topic string, body []byte, each func(node string, part []byte)) (missing []string, err error)
	Answer(topic string, fn func(node string, body []byte, reply func([]byte)))
	OnNode(fn func(node string, e bus.NodeEvent))
}

// What nodes tell and ask each other.
const (
	topicPresence = "presence" // told: changes; asked: all that one node has told
	topicCounts   = "counts"   // asked: how many subscribers channels have
	topicChannels = "channels" // asked: the channels in use

	snapshotPart  = 1000 // changes of one part of an answer
	resyncPause   = 500 * time.Millisecond
	maxErrands    = 4096
	maxCountsOnce = 1000 // channels of one question
)

// change is what one node tells of a user in a channel.
type change struct {
	App         protocol.AppID   `json:"a,omitempty"` // in an answer about many channels
	Channel     protocol.Channel `json:"c,omitempty"` //
	User        string           `json:"u"`
	Number      uint64           `json:"n"`
	Connections int              `json:"x"`
	Data        json.RawMessage  `json:"d,omitempty"`
	At          int64            `json:"t"`
}

// changes is what is told of one channel.
type changes struct {
	App     protocol.AppID   `json:"a"`
	Channel protocol.Channel `json:"c"`
	All     []change         `json:"m"`
}

// own is the member as this node tells the others.
func (m *member) own() change {
	c := change{User: m.user, Number: m.sent, Connections: m.sentConnections, At: m.sentAt}
	if m.connections > 0 {
		c.Data = m.data
	}
	return c
}

// place is a user in a channel.
type place struct {
	k    key
	user string
}

// peering is what a hub knows of the other nodes. Each node tells the others
// who comes and goes on it, so that all know all members: who watches a channel
// is told of all of them, and a snapshot fits what comes after it. A node that
// is new, or was not heard for a while, is asked for all that it told.
//
// errands is done by one goroutine, since asking takes time. The lock is never
// held with a room's.
type peering struct {
	node    string
	number  atomic.Uint64 // of what was told last
	errands chan func(context.Context)
	done    sync.WaitGroup
	end     context.CancelFunc

	mu       sync.Mutex
	up       map[string]bool
	asking   map[string]map[place]uint64 // of a node that is being asked: what it told meanwhile
	counting map[key]struct{}            // channels whose numbers somebody here is told
}

// peer begins to speak with the other nodes.
func (h *Hub) peer(p Peers, node string) {
	ctx, end := context.WithCancel(context.Background())
	g := &peering{
		node: node, errands: make(chan func(context.Context), maxErrands), end: end,
		up: map[string]bool{}, asking: map[string]map[place]uint64{}, counting: map[key]struct{}{},
	}
	h.peers, h.peering = p, g
	p.Hear(topicPresence, h.hearPresence)
	p.Answer(topicPresence, h.answerPresence)
	p.Answer(topicCounts, h.answerCounts)
	p.Answer(topicChannels, h.answerChannels)
	p.OnNode(h.onNode)
	g.done.Go(func() { h.runErrands(ctx) })
}

func (g *peering) close() {
	g.end()
	g.done.Wait()
}

// later has fn done when its turn comes; it is left out where too much waits.
func (g *peering) later(fn func(context.Context)) {
	select {
	case g.errands <- fn:
	default:
	}
}

func (h *Hub) runErrands(ctx context.Context) {
	tick := time.NewTicker(countPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case fn := <-h.peering.errands:
			fn(ctx)
		case <-tick.C:
			h.lookAtCounts(ctx)
		}
	}
}

// numbering numbers what the other nodes are told; nil without any.
func (h *Hub) numbering() func() uint64 {
	if h.peers == nil {
		return nil
	}
	return func() uint64 { return h.peering.number.Add(1) }
}

// tellPeers tells the other nodes what changed here. Only the sweeper calls it,
// so that it is told in order.
func (h *Hub) tellPeers(k key, own []change) {
	if len(own) == 0 {
		return
	}
	body, err := json.Marshal(changes{k.app, k.ch, own})
	if err == nil {
		err = h.peers.Tell(topicPresence, body)
	}
	if err != nil { // the others notice the hole, and ask
		h.log.Warn("the other nodes cannot be told who is present", "app", k.app, "channel", k.ch, "err", err)
	}
}

func (h *Hub) hearPresence(node string, body []byte) {
	var c changes
	if err := json.Unmarshal(body, &c); err != nil {
		h.log.Error("what another node tells of presence cannot be read", "err", err)
		return
	}
	k := key{c.App, c.Channel}
	g := h.peering
	g.mu.Lock()
	if meanwhile := g.asking[node]; meanwhile != nil {
		for _, m := range c.All {
			meanwhile[place{k, m.User}] = m.Number
		}
	}
	g.mu.Unlock()
	h.with(k, func(r *room) {
		for _, m := range c.All {
			r.hear(node, m)
		}
	})
}

// hear takes over what a node tells of a user.
func (r *room) hear(node string, c change) {
	if m := r.members[c.User]; c.Connections == 0 && (m == nil || m.elsewhere == nil) || m != nil && m.elsewhere[node].number > c.Number {
		return
	}
	r.change(c.User, func(m *member) {
		if c.Connections == 0 {
			delete(m.elsewhere, node)
			return
		}
		if m.elsewhere == nil {
			m.elsewhere = map[string]share{}
		}
		m.elsewhere[node] = share{number: c.Number, connections: c.Connections, data: c.Data, at: c.At}
	})
}

// onNode sees to a node that came, went, or was not heard completely.
func (h *Hub) onNode(node string, e bus.NodeEvent) {
	g := h.peering
	g.mu.Lock()
	if e == bus.NodeDown {
		delete(g.up, node)
	} else {
		g.up[node] = true
	}
	g.mu.Unlock()
	if e != bus.NodeDown {
		g.later(func(ctx context.Context) { h.resync(ctx, node) })
		return
	}
	h.everyMember(func(k key, m *member) bool { return m.elsewhere[node].connections > 0 }, func(m *member) {
		s := m.elsewhere[node]
		s.dead = true
		m.elsewhere[node] = s
	})
	h.agenda.add(task{at: time.Now().Add(presenceGrace), do: doBury, node: node})
}

// bury ends the grace of the members of a node that is gone, unless it is back.
func (h *Hub) bury(node string) {
	h.everyMember(func(_ key, m *member) bool { return m.elsewhere[node].dead }, func(m *member) {
		delete(m.elsewhere, node)
	})
}

// everyMember has fn change all members that which is true of.
func (h *Hub) everyMember(which func(key, *member) bool, fn func(*member)) {
	for i := range h.rooms {
		var found []place
		rs := &h.rooms[i]
		rs.mu.Lock()
		for k, r := range rs.open {
			for _, m := range r.members {
				if which(k, m) {
					found = append(found, place{k, m.user})
				}
			}
		}
		rs.mu.Unlock()
		for _, p := range found {
			h.with(p.k, func(r *room) {
				if m := r.members[p.user]; m != nil && which(p.k, m) {
					r.change(p.user, fn)
				}
			})
		}
	}
}

// resync asks a node for all that it told, and forgets what it does not tell
// any more. What it tells meanwhile counts more.
func (h *Hub) resync(ctx context.Context, node string) {
	g := h.peering
	g.mu.Lock()
	up := g.up[node]
	if up {
		g.asking[node] = map[place]uint64{}
	}
	g.mu.Unlock()
	if !up {
		return
	}
	told := map[place]bool{}
	missing, err := h.peers.Ask(ctx, topicPresence, []byte(node), func(from string, part []byte) {
		var all []change
		if from != node || json.Unmarshal(part, &all) != nil {
			return
		}
		for _, c := range all {
			p := place{key{c.App, c.Channel}, c.User}
			told[p] = true
			if !g.toldSince(node, p, c.Number) {
				h.with(p.k, func(r *room) { r.hear(node, c) })
			}
		}
	})
	whole := err == nil
	for _, id := range missing {
		whole = whole && id != node
	}
	if whole {
		h.everyMember(func(k key, m *member) bool {
			_, has := m.elsewhere[node]
			p := place{k, m.user}
			return has && !told[p] && !g.toldSince(node, p, 0)
		}, func(m *member) { delete(m.elsewhere, node) })
	}
	g.mu.Lock()
	delete(g.asking, node)
	g.mu.Unlock()
	if !whole && ctx.Err() == nil {
		select {
		case <-time.After(resyncPause):
		case <-ctx.Done():
		}
		g.later(func(ctx context.Context) { h.resync(ctx, node) })
	}
}

// toldSince reports whether the node told of p after that number, while it is
// being asked.
func (g *peering) toldSince(node string, p place, number uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok := g.asking[node][p]
	return ok && n > number
}

// answerPresence tells all that this node has told, if it is the one asked.
func (h *Hub) answerPresence(_ string, body []byte, reply func([]byte)) {
	if string(body) != h.peering.node {
		return
	}
	var all []change
	send := func() {
		if text, err := json.Marshal(all); err == nil && len(all) > 0 { // members' data were checked when they came
			reply(text)
		}
		all = nil
	}
	for i := range h.rooms {
		rs := &h.rooms[i]
		rs.mu.Lock()
		for k, r := range rs.open {
			for _, m := range r.members {
				if m.sentConnections > 0 {
					c := m.own()
					c.App, c.Channel = k.app, k.ch
					all = append(all, c)
				}
			}
		}
		rs.mu.Unlock()
		for len(all) > snapshotPart {
			rest := all[snapshotPart:]
			all = all[:snapshotPart]
			send()
			all = rest
		}
	}
	send()
}

// speaks reports whether this node tells webhooks who came and went: of all
// that are there, the one whose name is the first.
func (h *Hub) speaks() bool {
	if h.peers == nil {
		return true
	}
	h.peering.mu.Lock()
	defer h.peering.mu.Unlock()
	for id := range h.peering.up {
		if id < h.peering.node {
			return false
		}
	}
	return true
}
