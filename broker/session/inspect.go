package session

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
	"unique"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// shownChannels is how many channels of a connection are told.
const shownChannels = 100

const topicConnections = "connections"

// connectionsQuestion asks for a page of an app's connections.
type connectionsQuestion struct {
	App   protocol.AppID `json:"app"`
	User  string         `json:"user,omitempty"`
	After string         `json:"after,omitempty"`
	Limit int            `json:"limit"`
}

type connectionsAnswer struct {
	Found []protocol.Connection `json:"found"`
	More  bool                  `json:"more"`
}

// Connections is at most limit of an app's connections on all nodes, in the
// order of their names, behind after, and whether there are more. With a user
// only that one's.
func (set *Set) Connections(app protocol.AppID, user, after string, limit int) (found []protocol.Connection, more bool) {
	q := connectionsQuestion{app, user, after, limit}
	found, more = set.connectionsHere(q)
	set.mu.Lock()
	peers := set.peers
	set.mu.Unlock()
	if peers == nil {
		return found, more
	}
	body, err := json.Marshal(q)
	if err != nil { // it has nothing that fails
		return found, more
	}
	missing, err := peers.Ask(context.Background(), topicConnections, body, func(_ string, part []byte) {
		var a connectionsAnswer
		if json.Unmarshal(part, &a) == nil {
			found, more = append(found, a.Found...), more || a.More
		}
	})
	if err != nil || len(missing) > 0 {
		set.o.Log.Warn("not all nodes told their connections", "app", app, "nodes", len(missing), "err", err)
	}
	slices.SortFunc(found, func(a, b protocol.Connection) int { return cmp.Compare(a.Session, b.Session) })
	if len(found) > limit {
		return found[:limit], true
	}
	return found, more
}

func (set *Set) answerConnections(_ string, body []byte, reply func([]byte)) {
	var q connectionsQuestion
	if json.Unmarshal(body, &q) != nil || q.Limit < 1 {
		return
	}
	found, more := set.connectionsHere(q)
	for part := range slices.Chunk(found, 20) { // each may have 100 channels of 200 bytes
		if text, err := json.Marshal(connectionsAnswer{part, more}); err == nil { // it has nothing that fails
			reply(text)
		}
	}
}

func (set *Set) connectionsHere(q connectionsQuestion) (found []protocol.Connection, more bool) {
	all := set.sessions(q.App, q.User, func(s *Session) bool { return s.id > q.After })
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	if len(all) > q.Limit {
		all, more = all[:q.Limit], true
	}
	found = make([]protocol.Connection, len(all))
	for i, s := range all {
		found[i] = s.inspect()
	}
	return found, more
}

// inspect is what others may know of the session. It may be called
// concurrently.
func (s *Session) inspect() protocol.Connection {
	who := s.lives.Load()
	c := protocol.Connection{
		Session: s.id, User: who.User, Door: s.traits.Door, Key: who.KeyID, Since: s.set.began.Add(s.opened).UTC().Truncate(time.Millisecond),
	}
	if s.client != (unique.Handle[string]{}) {
		c.Client = s.client.Value()
	}
	if !who.Expires.IsZero() {
		c.Expires = who.Expires.Unix()
	}
	s.listed.Lock()
	defer s.listed.Unlock()
	c.Count, c.Channels = len(s.subs), slices.Sorted(maps.Keys(s.subs))
	if c.Channels == nil {
		c.Channels = []protocol.Channel{}
	}
	c.Channels = c.Channels[:min(len(c.Channels), shownChannels)]
	return c
}

// Refused takes note that a request at a door was refused. app is whose it
// seemed to be; "" is nobody's.
func (set *Set) Refused(app protocol.AppID, err error, r protocol.Refusal) {
	if app != "" {
		set.o.Stats.App(app).Refuse(err, r)
	}
}

// refused takes note that the session was refused something.
func (s *Session) refused(what string, err error) {
	if s.who != nil {
		s.set.Refused(s.who.App, err, protocol.Refusal{Door: s.traits.Door, What: what, User: s.who.User, Session: s.id, Key: s.who.KeyID})
	}
}
