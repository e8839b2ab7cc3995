package hub

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// room is who is present in one channel, here and on the other nodes, and who
// is told of it here.
// Its shard's lock guards it; it lives while anybody is in it or watches it.
//
// Those who watch know the room as it was at the last flush, and a newcomer
// gets just that: so what the next flush tells fits all of them.
type room struct {
	members map[string]*member // by user
	present int                // of members, those with a connection
	changed []*member          // since the last flush, each once

	flushed  time.Time
	flushDue bool
	pages    []*Frame // the room as told, for newcomers; nil: to be made
	version  uint64   // of the room as told

	watchers channel // are told of members
	counters channel // are told of numbers
	countDue bool
	remote   int // subscribers on other nodes, as of the last look
}

// member is one user in a room.
type member struct {
	user        string
	data        json.RawMessage // never changed, only replaced
	at          int64           // when data was given, Unix nanoseconds
	connections int             // here, the ghosts included
	ghosts      []*ghost
	elsewhere   map[string]share // by node; nil mostly
	changed     bool             // is in the room's changed

	told            bool
	toldData        json.RawMessage
	toldConnections int

	sent            uint64 // what the other nodes know of it: the number of that telling,
	sentAt          int64  // the data's time
	sentConnections int    // and the connections
}

// share is what another node says of a user.
type share struct {
	number      uint64 // of the telling
	connections int
	data        json.RawMessage
	at          int64
	dead        bool // the node is gone, and its clients may be coming here
}

// total is the member's connections in the whole cluster. What was on a node
// that is gone counts while there is nothing else.
func (m *member) total() int {
	n, dead := m.connections, 0
	for _, s := range m.elsewhere {
		if s.dead {
			dead += s.connections
		} else {
			n += s.connections
		}
	}
	if n == 0 {
		return dead
	}
	return n
}

// newest is what the member said last, on whatever node.
func (m *member) newest() json.RawMessage {
	data, at := m.toldData, int64(-1)
	if m.connections > 0 {
		data, at = m.data, m.at
	}
	for _, s := range m.elsewhere {
		if s.at > at {
			data, at = s.data, s.at
		}
	}
	return data
}

// ghost is a connection that has ended and may come back until its grace ends.
type ghost struct {
	user string
	laid bool // it came back or left: its grace counts for nothing
}

func newRoom() *room {
	return &room{members: map[string]*member{}}
}

func (r *room) idle() bool {
	return len(r.members) == 0 && len(r.watchers.subs) == 0 && len(r.counters.subs) == 0 && !r.flushDue && !r.countDue
}

func (r *room) touch(m *member) {
	if !m.changed {
		m.changed = true
		r.changed = append(r.changed, m)
	}
}

// enter is one more connection of a user, or one that is back.
func (r *room) enter(user string, data json.RawMessage) {
	r.change(user, func(m *member) {
		m.data, m.at = data, time.Now().UnixNano()
		if n := len(m.ghosts); n > 0 {
			m.ghosts[n-1].laid = true
			m.ghosts = m.ghosts[:n-1]
		} else {
			m.connections++
		}
	})
}

// change has fn change a member, who is made for it if need be, and counts who
// is present.
func (r *room) change(user string, fn func(m *member)) {
	m := r.members[user]
	if m == nil {
		m = &member{user: user}
		r.members[user] = m
	}
	before := m.total()
	fn(m)
	switch after := m.total(); {
	case before == 0 && after > 0:
		r.present++
	case before > 0 && after == 0:
		r.present--
	}
	r.touch(m)
}

// update replaces a user's data.
func (r *room) update(user string, data json.RawMessage) {
	if m := r.members[user]; m != nil && m.connections > 0 {
		m.data, m.at = data, time.Now().UnixNano()
		r.touch(m)
	}
}

// leave is one connection less.
func (r *room) leave(user string) {
	m := r.members[user]
	if m == nil || m.connections == 0 {
		return
	}
	r.change(user, func(m *member) { m.connections-- })
}

// away makes a ghost of one connection.
func (r *room) away(user string) *ghost {
	m := r.members[user]
	if m == nil || m.connections <= len(m.ghosts) {
		return nil
	}
	g := &ghost{user: user}
	m.ghosts = append(m.ghosts, g)
	return g
}

// lay ends a ghost's grace: nobody came back.
func (r *room) lay(g *ghost) {
	m := r.members[g.user]
	if g.laid || m == nil {
		return
	}
	g.laid = true
	m.ghosts = slices.DeleteFunc(m.ghosts, func(o *ghost) bool { return o == g })
	r.leave(g.user)
}

// delta is what a flush tells.
type delta struct {
	enter, update, leave []protocol.Member
	own                  []change // what the other nodes are told: what changed here
}

// flush makes the room as it is the room as told, or as much of it as is told
// at once. number is that of the telling to the other nodes, if there are any.
func (r *room) flush(now time.Time, number func() uint64) (d delta) {
	r.flushed, r.flushDue = now, false
	size, n := 0, 0
	for ; n < min(len(r.changed), presenceFlush) && size < presenceFlushBytes; n++ {
		m := r.changed[n]
		m.changed = false
		data, total := m.newest(), m.total()
		size += weight(m.user, data)
		if number != nil && (m.connections != m.sentConnections || m.connections > 0 && m.at != m.sentAt) {
			m.sent, m.sentAt, m.sentConnections = number(), m.at, m.connections
			d.own = append(d.own, m.own())
		}
		switch {
		case total == 0:
			delete(r.members, m.user)
			if m.told {
				d.leave = append(d.leave, protocol.Member{User: m.user, Data: m.toldData})
			}
		case !m.told:
			d.enter = append(d.enter, m.now())
		case total != m.toldConnections || !bytes.Equal(data, m.toldData):
			d.update = append(d.update, m.now())
		}
		m.told, m.toldData, m.toldConnections = total > 0, data, total
	}
	if r.changed = r.changed[n:]; len(r.changed) == 0 {
		r.changed = nil
	}
	if len(d.enter)+len(d.update)+len(d.leave) > 0 {
		r.pages = nil
		r.version++
	}
	return d
}

func (m *member) now() protocol.Member {
	return protocol.Member{User: m.user, Data: m.newest(), Connections: m.total()}
}

// asTold is the room as those who watch know it, in no order.
func (r *room) asTold() []protocol.Member {
	all := make([]protocol.Member, 0, len(r.members))
	for _, m := range r.members {
		if m.told {
			all = append(all, protocol.Member{User: m.user, Data: m.toldData, Connections: m.toldConnections})
		}
	}
	return all
}

// asIs is who is in the room behind the user after, in no order.
func (r *room) asIs(after string) []protocol.Member {
	all := make([]protocol.Member, 0, len(r.members))
	for _, m := range r.members {
		if m.total() > 0 && m.user > after {
			all = append(all, m.now())
		}
	}
	return all
}

func byUser(all []protocol.Member) []protocol.Member {
	slices.SortFunc(all, func(a, b protocol.Member) int { return cmp.Compare(a.User, b.User) })
	return all
}
