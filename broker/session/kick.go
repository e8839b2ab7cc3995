package session

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// know notes whose session s is, so that it can be found by that.
func (set *Set) know(s *Session, who *tenant.Principal) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.knowLocked(s, who)
}

func (set *Set) knowLocked(s *Session, who *tenant.Principal) {
	users := set.known[who.App]
	if users == nil {
		users = map[string]map[*Session]struct{}{}
		set.known[who.App] = users
	}
	if users[who.User] == nil {
		users[who.User] = map[*Session]struct{}{}
	}
	users[who.User][s] = struct{}{}
}

// forget undoes know. The set's lock must be held.
func (set *Set) forget(s *Session) {
	who := s.lives.Load()
	if who == nil {
		return
	}
	users := set.known[who.App]
	delete(users[who.User], s)
	if len(users[who.User]) == 0 {
		delete(users, who.User)
	}
	if len(users) == 0 {
		delete(set.known, who.App)
	}
}

// sessions is the app's sessions that want says yes to: all users', or with a
// user only that one's.
func (set *Set) sessions(app protocol.AppID, user string, want func(*Session) bool) (found []*Session) {
	set.mu.Lock()
	defer set.mu.Unlock()
	users := set.known[app]
	if user != "" {
		users = map[string]map[*Session]struct{}{user: users[user]}
	}
	for _, all := range users {
		for s := range all {
			if want(s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// Peers is the way to the other nodes of a cluster. A *bus.Peers is one.
type Peers interface {
	Ask(ctx context.Context, topic string, body []byte, each func(node string, part []byte)) (missing []string, err error)
	Answer(topic string, fn func(node string, body []byte, reply func([]byte)))
}

const topicKick = "kick"

// kick is what another node is asked to end.
type kick struct {
	App     protocol.AppID `json:"app"`
	User    string         `json:"user,omitempty"`
	Session string         `json:"session,omitempty"`
}

// Join has kicks reach the other nodes, and theirs this one. It is called once,
// at the start.
func (set *Set) Join(p Peers) {
	set.mu.Lock()
	set.peers = p
	set.mu.Unlock()
	p.Answer(topicConnections, set.answerConnections)
	p.Answer(topicKick, func(_ string, body []byte, reply func([]byte)) {
		var k kick
		if json.Unmarshal(body, &k) == nil && (k.User == "") != (k.Session == "") {
			reply(strconv.AppendInt(nil, int64(set.kickHere(k)), 10))
		}
	})
}

// Kick ends all of a user's sessions, or the one session, in an app. One of
// both must not be "". It returns how many were told to end, on all nodes.
func (set *Set) Kick(app protocol.AppID, user, id string) int {
	k := kick{app, user, id}
	n := set.kickHere(k)
	set.mu.Lock()
	peers := set.peers
	set.mu.Unlock()
	if peers == nil {
		return n
	}
	body, err := json.Marshal(k)
	if err != nil { // it has nothing that fails
		return n
	}
	missing, err := peers.Ask(context.Background(), topicKick, body, func(_ string, part []byte) {
		if more, err := strconv.Atoi(string(part)); err == nil {
			n += more
		}
	})
	if err != nil || len(missing) > 0 {
		set.o.Log.Warn("a kick did not reach all nodes", "app", app, "nodes", len(missing), "err", err)
	}
	return n
}

// Renew asks all clients to come back, since positions have new epochs.
func (set *Set) Renew() {
	set.mu.Lock()
	live := make([]*Session, 0, len(set.live))
	for s := range set.live {
		live = append(live, s)
	}
	set.mu.Unlock()
	for _, s := range live {
		s.End(protocol.NewError(protocol.CodeRestarting))
	}
}

func (set *Set) kickHere(k kick) int {
	app, user, id := k.App, k.User, k.Session
	found := set.sessions(app, user, func(s *Session) bool { return id == "" || s.id == id })
	for _, s := range found {
		s.End(protocol.NewError(protocol.CodeKicked))
	}
	return len(found)
}

// Recheck ends the sessions of an app whose credential is good no longer. With
// a keyID only those that live by that key are looked at; without, the app has
// changed, and the others leave where its rules have no presence now. It waits
// for nobody.
func (set *Set) Recheck(app protocol.AppID, keyID string) {
	for _, s := range set.sessions(app, "", func(s *Session) bool { return keyID == "" || s.lives.Load().KeyID == keyID }) {
		if err := s.lives.Load().Check(); err != nil {
			s.End(protocol.AsError(err))
		} else if keyID == "" {
			s.recheck()
		}
	}
}

// rename has s be found as who's instead.
func (set *Set) rename(s *Session, who *tenant.Principal) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.forget(s)
	s.lives.Store(who)
	set.knowLocked(s, who)
}
