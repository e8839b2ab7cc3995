package goeasy

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Bounds of what is remembered of connections that have ended.
const (
	memoryAge   = time.Hour
	memoryBytes = 64 << 20
)

// Peers is the way to the other nodes of a cluster. A *bus.Peers is one.
type Peers interface {
	Ask(ctx context.Context, topic string, body []byte, each func(node string, part []byte)) (missing []string, err error)
	Answer(topic string, fn func(node string, body []byte, reply func([]byte)))
}

const topicMemory = "goeasy.memory"

// record is what is known of a client's last connection. Nil is that of who
// had none. It is one goroutine's once it was taken.
type record struct {
	App      protocol.AppID                         `json:"app"`
	User     string                                 `json:"user"`
	OTP      string                                 `json:"otp"`
	Channels map[protocol.Channel]protocol.Position `json:"channels"` // up to where the client has had all
	Watches  []protocol.Channel                     `json:"watches"`  // whose presence it followed, in the new way

	lost bool // there was a connection, of which nothing is known
	at   time.Time
	sid  string
}

// where is how far the client was in ch, "" where that has no past.
func (r *record) where(ch protocol.Channel) (protocol.Position, bool) {
	if r == nil {
		return "", false
	}
	p, known := r.Channels[ch]
	return p, known
}

// isLost reports whether the client came back a moment ago, and nobody knows
// from where.
func (r *record) isLost() bool { return r != nil && r.lost && time.Since(r.at) < comesBack }

// forget is called when the client has subscribed to ch again.
func (r *record) forget(ch protocol.Channel) {
	if r != nil {
		delete(r.Channels, ch)
	}
}

func (r *record) cost() int {
	n := 256 + len(r.User) + len(r.OTP)
	for ch := range r.Channels {
		n += len(ch) + 96
	}
	for _, ch := range r.Watches {
		n += len(ch) + 16
	}
	return n
}

// owner is a user of an app.
type owner struct {
	app  protocol.AppID
	user string
}

// memory knows the clients that are connected here, and for a while those that
// were: by the session's id, with which they come back, and by the user, who
// opens the page again. It may be used concurrently.
type memory struct {
	peers Peers // nil: there is one node

	mu     sync.Mutex
	live   map[string]*speaker // by session
	gone   map[string]*record
	users  map[owner]*record
	oldest []*record // of gone, the oldest first
	bytes  int       // of oldest
}

func newMemory(p Peers) *memory {
	m := &memory{peers: p, live: map[string]*speaker{}, gone: map[string]*record{}, users: map[owner]*record{}}
	if p != nil {
		p.Answer(topicMemory, m.answer)
	}
	return m
}

// arrive notes a client that was let in.
func (m *memory) arrive(s *speaker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live[s.sid] = s
}

// leave notes that a client's connection has ended.
func (m *memory) leave(s *speaker) {
	if s.sid == "" { // it was never let in
		return
	}
	r := s.record()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live[s.sid] != s {
		return // it is back already, and has all of it
	}
	delete(m.live, s.sid)
	if len(r.Channels)+len(r.Watches) == 0 && r.OTP == "" {
		return
	}
	m.gone[r.sid] = r
	if r.User != "" {
		m.users[owner{r.App, r.User}] = r
	}
	m.oldest = append(m.oldest, r)
	m.bytes += r.cost()
	for len(m.oldest) > 0 && (m.bytes > memoryBytes || time.Since(m.oldest[0].at) > memoryAge) {
		m.bytes -= m.oldest[0].cost()
		m.strike(m.oldest[0])
		m.oldest[0] = nil
		m.oldest = m.oldest[1:]
	}
}

// strike has r found no more. The lock must be held.
func (m *memory) strike(r *record) {
	if m.gone[r.sid] == r {
		delete(m.gone, r.sid)
	}
	if who := (owner{r.App, r.User}); m.users[who] == r {
		delete(m.users, who)
	}
}

// take is what is known of the connection that a client had before, or of the
// user's last one where it had none. It is known no more then, and if it still
// stands it ends.
func (m *memory) take(ctx context.Context, app protocol.AppID, sid, user string) *record {
	if sid == "" {
		return m.takeUser(app, user)
	}
	if r := m.takeHere(app, sid); r != nil {
		return r
	}
	if r := m.ask(ctx, question{App: app, Session: sid, Take: true}); r != nil {
		return r
	}
	return &record{App: app, lost: true, at: time.Now()}
}

func (m *memory) takeUser(app protocol.AppID, user string) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.users[owner{app, user}]
	if r == nil || user == "" {
		return nil
	}
	m.strike(r)
	own := *r
	own.Channels, own.Watches = maps.Clone(r.Channels), nil // a new page follows anew
	return &own
}

func (m *memory) takeHere(app protocol.AppID, sid string) *record {
	m.mu.Lock()
	s, r := m.live[sid], m.gone[sid]
	switch {
	case s != nil && s.pass.App == app:
		delete(m.live, sid)
	case r != nil && r.App == app:
		m.strike(r)
		own := *r
		own.Channels = maps.Clone(r.Channels)
		m.mu.Unlock()
		return &own
	default:
		s = nil
	}
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	r = s.record()
	s.sess.End(protocol.NewError(protocol.CodeKicked)) // its network is gone, which nobody has told
	return r
}

// otp is the one-time password with which a connection began; "" where nothing
// is known of it.
func (m *memory) otp(ctx context.Context, app protocol.AppID, sid string) string {
	if sid == "" {
		return ""
	}
	if otp := m.otpHere(app, sid); otp != "" {
		return otp
	}
	if r := m.ask(ctx, question{App: app, Session: sid}); r != nil {
		return r.OTP
	}
	return ""
}

func (m *memory) otpHere(app protocol.AppID, sid string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.live[sid]; s != nil && s.pass.App == app {
		return s.otp
	}
	if r := m.gone[sid]; r != nil && r.App == app {
		return r.OTP
	}
	return ""
}

// question is what another node is asked.
type question struct {
	App     protocol.AppID `json:"app"`
	Session string         `json:"session"`
	Take    bool           `json:"take"`
}

func (m *memory) ask(ctx context.Context, q question) (found *record) {
	if m.peers == nil {
		return nil
	}
	body, err := json.Marshal(q)
	if err != nil { // it has nothing that fails
		return nil
	}
	// Who does not answer has nothing, as far as is known here.
	_, _ = m.peers.Ask(ctx, topicMemory, body, func(_ string, part []byte) {
		r := &record{}
		if len(part) > 0 && json.Unmarshal(part, r) == nil && r.App == q.App {
			found = r
		}
	})
	return found
}

func (m *memory) answer(_ string, body []byte, reply func([]byte)) {
	var q question
	if json.Unmarshal(body, &q) != nil {
		return
	}
	r := &record{App: q.App}
	if q.Take {
		r = m.takeHere(q.App, q.Session)
	} else if r.OTP = m.otpHere(q.App, q.Session); r.OTP == "" {
		r = nil
	}
	if r == nil {
		reply(nil)
		return
	}
	reply(encode(r))
}
