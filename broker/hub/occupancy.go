package hub

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// countPause is how long numbers, and whether anybody is there at all, may
// change before they are told.
const countPause = time.Second

// flags is what is known of a channel whose events are told.
type flags uint8

const (
	toldOccupied flags = 1 << iota
	checkDue
)

// countLater reports whether somebody has to be told of numbers who is not
// about to be.
func (r *room) countLater() bool {
	if r.countDue || len(r.counters.subs) == 0 {
		return false
	}
	r.countDue = true
	return true
}

// counted takes note that k has n subscribers now, or had a moment ago.
func (h *Hub) counted(k key, n int) {
	rs := h.roomsOf(k)
	rs.mu.Lock()
	r := rs.open[k]
	count := r != nil && r.countLater()
	check := false
	if f := rs.occupied[k]; h.events != nil && f&checkDue == 0 && (f&toldOccupied != 0) != (n > 0) {
		rs.occupied[k] = f | checkDue
		check = true
	}
	rs.mu.Unlock()
	at := time.Now().Add(countPause)
	if count {
		h.agenda.add(task{at: at, k: k, do: doCount})
	}
	if check {
		h.agenda.add(task{at: at, k: k, do: doOccupy})
	}
}

// subscribers is how many k has here.
func (h *Hub) subscribers(k key) int {
	sh := h.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.channels[k]; c != nil {
		return len(c.subs)
	}
	return 0
}

func (h *Hub) numbers(k key) protocol.Occupancy {
	o := protocol.Occupancy{Subscribers: h.subscribers(k)}
	rs := h.roomsOf(k)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.open[k]; r != nil {
		o.Members = r.present
		o.Subscribers += r.remote
	}
	return o
}

func occupancyFrame(ch protocol.Channel, o protocol.Occupancy) *Frame {
	return replyFrame(protocol.Reply{Type: protocol.TypeOccupancy, Channel: ch, Occupancy: &o})
}

func (h *Hub) tellNumbers(k key) {
	var counters []Subscriber
	h.with(k, func(r *room) {
		r.countDue = false // what changes from here on is told later
		counters = r.counters.snapshot()
	})
	f := occupancyFrame(k.ch, h.numbers(k))
	for _, w := range counters {
		w.Deliver(f)
	}
}

// tellOccupied tells that k has a subscriber or has none, unless that is what
// was told last. quiet, if any, says whether another node tells it, or has.
func (h *Hub) tellOccupied(k key, quiet func(is bool) bool) {
	rs := h.roomsOf(k)
	is := h.subscribers(k) > 0
	rs.mu.Lock()
	was := rs.occupied[k]&toldOccupied != 0
	if is {
		rs.occupied[k] = toldOccupied
	} else {
		delete(rs.occupied, k)
	}
	rs.mu.Unlock()
	if is != was && (quiet == nil || !quiet(is)) {
		typ := protocol.WebhookChannelVacated
		if is {
			typ = protocol.WebhookChannelOccupied
		}
		h.events(k.app, protocol.WebhookEvent{Type: typ, Channel: k.ch})
	}
	h.counted(k, h.subscribers(k)) // it may have changed between the look and the note
}

// Occupied is the channels of app whose names begin with prefix and that have
// a subscriber or a member: at most limit of them, in the order of their
// names' bytes, behind after. more says that there are others behind them.
func (h *Hub) Occupied(app protocol.AppID, prefix string, after protocol.Channel, limit int) (found []protocol.ChannelInfo, more bool) {
	found, more = h.occupiedHere(app, prefix, after, limit)
	if h.peers == nil {
		return found, more
	}
	return h.occupiedAnywhere(found, more, channelsQuestion{app, prefix, after, limit})
}

func (h *Hub) occupiedHere(app protocol.AppID, prefix string, after protocol.Channel, limit int) (found []protocol.ChannelInfo, more bool) {
	wanted := func(k key) bool {
		return k.app == app && k.ch > after && strings.HasPrefix(string(k.ch), prefix)
	}
	all := map[protocol.Channel]protocol.Occupancy{}
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		for k, c := range sh.channels {
			if wanted(k) {
				all[k.ch] = protocol.Occupancy{Subscribers: len(c.subs)}
			}
		}
		sh.mu.Unlock()
	}
	for i := range h.rooms {
		rs := &h.rooms[i]
		rs.mu.Lock()
		for k, r := range rs.open {
			if r.present > 0 && wanted(k) {
				all[k.ch] = protocol.Occupancy{Subscribers: all[k.ch].Subscribers, Members: r.present}
			}
		}
		rs.mu.Unlock()
	}
	found = make([]protocol.ChannelInfo, 0, len(all))
	for ch, o := range all {
		found = append(found, protocol.ChannelInfo{Channel: ch, Occupancy: o})
	}
	slices.SortFunc(found, func(a, b protocol.ChannelInfo) int { return cmp.Compare(a.Channel, b.Channel) })
	if len(found) > limit {
		return found[:limit], true
	}
	return found, false
}
