package hub

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Presence keeps these times and bounds (PROTOCOL.md, section 11).
const (
	presenceGrace = 5 * time.Second        // until others see that a connection has ended
	presencePause = 200 * time.Millisecond // between two tellings of one channel
	presencePage  = 1000                   // members of one frame

	presencePageBytes = 64 << 10
	// What one telling may have: where thousands come or go at once, the rest
	// waits for the next one, so that no client's queue fills up with it.
	presenceFlush      = 2000 // members
	presenceFlushBytes = 256 << 10
)

// Step is what one connection of a user does in a channel.
type Step int

// The steps. The caller sees to it that each connection enters before all
// else, and takes one of the last two as its last.
const (
	Enter  Step = iota // one more connection, or one that is back within its grace
	Update             // new data
	Leave              // at once
	Away               // the connection has ended: Leave, unless one enters within 5 s
)

// rooms is the part of the rooms whose channels fall to one shard.
type rooms struct {
	mu       sync.Mutex
	open     map[key]*room
	occupied map[key]flags // for events of channels; none without a listener
}

func (h *Hub) roomsOf(k key) *rooms { return &h.rooms[h.slot(k)] }

// with calls fn on a channel's room, which is made for it if need be, and sees
// to it that what fn changed is told. fn must not call out.
func (h *Hub) with(k key, fn func(r *room)) {
	now := time.Now()
	rs := h.roomsOf(k)
	rs.mu.Lock()
	r := rs.open[k]
	if r == nil {
		r = newRoom()
		rs.open[k] = r
	}
	before := r.present
	fn(r)
	flush, at := len(r.changed) > 0 && !r.flushDue, now
	if flush {
		r.flushDue = true
		if soon := r.flushed.Add(presencePause); soon.After(now) {
			at = soon
		}
	}
	count := r.present != before && r.countLater()
	if r.idle() {
		delete(rs.open, k)
	}
	rs.mu.Unlock()
	if flush {
		h.agenda.add(task{at: at, k: k, do: doFlush})
	}
	if count {
		h.agenda.add(task{at: now.Add(countPause), k: k, do: doCount})
	}
}

// Attend takes a step for one connection of user in ch. Whether it may, the
// caller knows. data must be valid JSON, or nil, and stay unchanged.
func (h *Hub) Attend(app protocol.AppID, ch protocol.Channel, user string, step Step, data json.RawMessage) {
	k := key{app, ch}
	var g *ghost
	h.with(k, func(r *room) {
		switch step {
		case Enter:
			r.enter(user, data)
		case Update:
			r.update(user, data)
		case Leave:
			r.leave(user)
		case Away:
			g = r.away(user)
		}
	})
	if g != nil {
		h.agenda.add(task{at: time.Now().Add(presenceGrace), k: k, do: doLay, ghost: g})
	}
}

// Watched is what a Watch is told of.
type Watched struct {
	Members bool // who is present: frames of type presence
	Numbers bool // how many there are: frames of type occupancy
}

// Watch has w told of ch from now on. What it is told fits on to what Watch
// returns, which is the caller's to hand on first: all members, in pages, and
// the numbers. Watching again begins anew.
func (h *Hub) Watch(app protocol.AppID, ch protocol.Channel, w Subscriber, what Watched) []*Frame {
	k := key{app, ch}
	var frames []*Frame
	if what.Members {
		frames = h.sync(k, w)
	}
	if what.Numbers {
		h.with(k, func(r *room) { r.counters.add(w) })
		h.countElsewhere(k)
		frames = append(frames[:len(frames):len(frames)], occupancyFrame(ch, h.numbers(k)))
	}
	return frames
}

// sync makes w a watcher and returns the room as watchers know it. Those who
// come one after the other share the frames.
func (h *Hub) sync(k key, w Subscriber) (pages []*Frame) {
	var told []protocol.Member
	var version uint64
	h.with(k, func(r *room) {
		r.watchers.add(w)
		if pages, version = r.pages, r.version; pages == nil {
			told = r.asTold()
		}
	})
	if pages != nil {
		return pages
	}
	pages = presenceFrames(k.ch, protocol.PresenceSync, byUser(told))
	h.with(k, func(r *room) {
		if r.version == version && len(r.watchers.subs) > 0 {
			r.pages = pages
		}
	})
	return pages
}

// Unwatch tells w no more. A telling that has begun may still reach it.
func (h *Hub) Unwatch(app protocol.AppID, ch protocol.Channel, w Subscriber) {
	h.with(key{app, ch}, func(r *room) {
		r.watchers.remove(w)
		r.counters.remove(w)
		if len(r.watchers.subs) == 0 {
			r.pages = nil
		}
	})
	h.countNoMore(key{app, ch})
}

// Members is who is present in ch: at most limit of them, in the order of
// their users' bytes, behind the user after; and how many are present in all.
func (h *Hub) Members(app protocol.AppID, ch protocol.Channel, after string, limit int) ([]protocol.Member, int) {
	var all []protocol.Member
	total := 0
	h.with(key{app, ch}, func(r *room) { all, total = r.asIs(after), r.present })
	all = byUser(all)
	return all[:min(limit, len(all))], total
}

// presenceFrames is members in frames of a page each: at least one for a sync,
// of which all but the last say that there is more.
func presenceFrames(ch protocol.Channel, action string, members []protocol.Member) (frames []*Frame) {
	sync := action == protocol.PresenceSync
	for sync && frames == nil || len(members) > 0 {
		n := PageOf(members)
		page := append([]protocol.Member{}, members[:n]...)
		members = members[n:]
		f := replyFrame(protocol.Reply{
			Type: protocol.TypePresence, Channel: ch, Action: action, Members: page, More: sync && len(members) > 0,
		})
		f.Page = len(frames)
		frames = append(frames, f)
	}
	return frames
}

// PageOf is how many of members go into one frame: at most 1000, and no more
// than about 64 KiB, but at least one if there is any.
func PageOf(members []protocol.Member) int {
	size := 0
	for i, m := range members {
		if size += weight(m.User, m.Data); i > 0 && (i == presencePage || size > presencePageBytes) {
			return i
		}
	}
	return len(members)
}

// weight is about what a member takes in a frame, in bytes.
func weight(user string, data json.RawMessage) int { return len(user) + len(data) + 40 }

func replyFrame(r protocol.Reply) *Frame {
	line, err := json.Marshal(r)
	if err != nil { // members' data were checked when they came
		line = []byte(`{"type":"error","code":"internal"}`)
	}
	return &Frame{Line: line, Type: r.Type, Channel: r.Channel, Reply: &r}
}
