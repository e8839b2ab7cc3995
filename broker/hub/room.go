package hub

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// room is who is present in one channel on this node, and who is told of it.
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
}

// member is one user in a room.
type member struct {
	user        string
	data        json.RawMessage // never changed, only replaced
	connections int             // the ghosts included
	ghosts      []*ghost
	changed     bool // is in the room's changed

	told            bool
	toldData        json.RawMessage
	toldConnections int
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
	m := r.members[user]
	if m == nil {
		m = &member{user: user}
		r.members[user] = m
	}
	m.data = data
	if n := len(m.ghosts); n > 0 {
		m.ghosts[n-1].laid = true
		m.ghosts = m.ghosts[:n-1]
	} else {
		if m.connections == 0 {
			r.present++
		}
		m.connections++
	}
	r.touch(m)
}

// update replaces a user's data.
func (r *room) update(user string, data json.RawMessage) {
	if m := r.members[user]; m != nil && m.connections > 0 {
		m.data = data
		r.touch(m)
	}
}

// leave is one connection less.
func (r *room) leave(user string) {
	m := r.members[user]
	if m == nil || m.connections == 0 {
		return
	}
	if m.connections--; m.connections == 0 {
		r.present--
	}
	r.touch(m)
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
type delta struct{ enter, update, leave []protocol.Member }

// flush makes the room as it is the room as told, or as much of it as is told
// at once.
func (r *room) flush(now time.Time) (d delta) {
	r.flushed, r.flushDue = now, false
	size, n := 0, 0
	for ; n < min(len(r.changed), presenceFlush) && size < presenceFlushBytes; n++ {
		m := r.changed[n]
		m.changed = false
		size += weight(m.user, m.data)
		switch {
		case m.connections == 0:
			delete(r.members, m.user)
			if m.told {
				d.leave = append(d.leave, protocol.Member{User: m.user, Data: m.toldData})
			}
		case !m.told:
			d.enter = append(d.enter, m.now())
		case m.connections != m.toldConnections || !bytes.Equal(m.data, m.toldData):
			d.update = append(d.update, m.now())
		}
		m.told, m.toldData, m.toldConnections = m.connections > 0, m.data, m.connections
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
	return protocol.Member{User: m.user, Data: m.data, Connections: m.connections}
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
		if m.connections > 0 && m.user > after {
			all = append(all, m.now())
		}
	}
	return all
}

func byUser(all []protocol.Member) []protocol.Member {
	slices.SortFunc(all, func(a, b protocol.Member) int { return cmp.Compare(a.User, b.User) })
	return all
}
