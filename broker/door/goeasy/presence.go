package goeasy

import (
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	actionJoin  = "join"
	actionLeave = "leave"
)

// person is a member as clients get it: those from 2.7 on look for id and an
// object, 2.x before that for userId and the object in a string, 1.x for id.
type person struct {
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

func personOf(m protocol.Member) person {
	if m.Data == nil {
		return person{m.User, json.RawMessage("{}")}
	}
	return person{m.User, m.Data}
}

// change is one member's coming or going, for clients from 2.7 on.
type change struct {
	Channel protocol.Channel `json:"channel"`
	Action  string           `json:"action"`
	Member  person           `json:"member"`
	Time    int64            `json:"time"`
	Amount  int              `json:"amount"` // members, after it
}

// oldChanges are those of a moment, for the others. They come as a message's
// content.
type oldChanges struct {
	Channel protocol.Channel `json:"channel"`
	Clients int              `json:"clientAmount"`
	Users   int              `json:"userAmount"`
	Events  []oldChange      `json:"events"`
}

type oldChange struct {
	Action   string          `json:"action"`
	Time     int64           `json:"time"`
	UserID   string          `json:"userId"`
	UserData string          `json:"userData"`
	ID       string          `json:"id"`
	Data     json.RawMessage `json:"data"`
}

// appear makes the client a member of a channel, where there is presence.
func (s *speaker) appear(ch protocol.Channel) {
	if _, isPresence := presenceOf(ch); isPresence || !s.sess.Subscribed(ch) || s.sess.Present(ch) != "" {
		return
	}
	if err := s.sess.Enter(ch, protocol.Member{User: s.user, Data: s.data}); err != nil {
		s.door.o.Log.Debug("a goeasy client is not present", "app", s.pass.App, "channel", ch, "session", s.sess.ID(), "code", protocol.AsError(err).Code)
	}
}

// watchPresence is what clients from 2.7 on follow presence with.
func (s *speaker) watchPresence(c call) error {
	var w wish
	err := read(c.body, &w)
	var ch protocol.Channel
	if err == nil {
		ch, err = channelOf(w.Channel)
	}
	if err == nil {
		err = s.door.mayUse(&s.client, ch, w.Access, false)
	}
	if err == nil {
		err = s.watch(ch, false, func() { s.tell(c, nil, nil) })
	}
	if err != nil {
		s.tell(c, nil, err)
	}
	return nil
}

func (s *speaker) unwatchPresence(body json.RawMessage) (any, error) {
	var w wish
	if err := read(body, &w); err != nil {
		return nil, err
	}
	s.unwatch(protocol.Channel(w.Channel))
	return nil, nil
}

// watch tells the client who comes and goes from now on, and calls answer
// before anything else.
func (s *speaker) watch(ch protocol.Channel, isOld bool, answer func()) error {
	who := s.sess.Who()
	if err := mayWatch(who, ch); err != nil {
		return err
	}
	if s.watches[ch] == nil && len(s.watches) >= maxChannels {
		return protocol.Errorf(protocol.CodeChannelLimit, "The connection follows the presence of %d channels, which is the most.", len(s.watches))
	}
	answer()
	if s.watches[ch] == nil {
		w := &watch{door: s.door, sess: s.sess, who: who, ch: ch, isOld: isOld}
		s.mu.Lock()
		if s.watches == nil {
			s.watches = map[protocol.Channel]*watch{}
		}
		s.watches[ch] = w
		s.mu.Unlock()
		w.begin()
	}
	return nil
}

func mayWatch(who *tenant.Principal, ch protocol.Channel) error {
	if err := who.May(protocol.Presence, ch); err != nil {
		return err
	}
	if !who.Presence(ch) {
		return protocol.NewError(protocol.CodePresenceOff)
	}
	return nil
}

func (s *speaker) unwatch(ch protocol.Channel) {
	if w := s.watches[ch]; w != nil {
		s.mu.Lock()
		delete(s.watches, ch)
		s.mu.Unlock()
		w.end()
	}
}

// watchAgain follows what the client followed before its connection broke:
// from 2.7 on it does not ask for that again.
func (s *speaker) watchAgain() {
	if s.past == nil {
		return
	}
	for _, ch := range s.past.Watches {
		if err := s.watch(ch, false, func() {}); err != nil {
			s.door.o.Log.Debug("a goeasy client's presence ends", "app", s.pass.App, "channel", ch, "code", protocol.AsError(err).Code)
		}
	}
	s.past.Watches = nil
}

// watch tells one client who comes to, and goes from, one channel. Deliver is
// called by one goroutine at a time.
type watch struct {
	door  *Door
	sess  *session.Session
	who   *tenant.Principal
	ch    protocol.Channel
	isOld bool

	mu     sync.Mutex
	begun  bool
	early  []*hub.Frame // what came while the room was counted
	amount int
}

// begin counts who is there, and goes on from that.
func (w *watch) begin() {
	pages := w.door.o.Crowd.Watch(w.who.App, w.ch, w, hub.Watched{Members: true})
	w.mu.Lock()
	for _, f := range pages {
		if f.Reply != nil {
			w.amount += len(f.Reply.Members)
		}
	}
	var said [][]byte
	for _, f := range w.early {
		said = append(said, w.hear(f)...)
	}
	w.begun, w.early = true, nil
	w.mu.Unlock()
	for _, text := range said {
		w.sess.Say(text)
	}
}

func (w *watch) end() { w.door.o.Crowd.Unwatch(w.who.App, w.ch, w) }

// Deliver tells the client, unless the app has no presence there any more.
func (w *watch) Deliver(f *hub.Frame) {
	w.mu.Lock()
	if !w.begun {
		w.early = append(w.early, f)
		w.mu.Unlock()
		return
	}
	said := w.hear(f)
	w.mu.Unlock()
	if mayWatch(w.who, w.ch) != nil {
		return
	}
	for _, text := range said {
		w.sess.Say(text)
	}
}

// hear is f in the client's language. The lock must be held.
func (w *watch) hear(f *hub.Frame) (said [][]byte) {
	r := f.Reply
	if r == nil || r.Type != protocol.TypePresence || r.Action != protocol.PresenceEnter && r.Action != protocol.PresenceLeave {
		return nil
	}
	action, step := actionJoin, 1
	if r.Action == protocol.PresenceLeave {
		action, step = actionLeave, -1
	}
	now := time.Now().UnixMilli()
	old := oldChanges{Channel: w.ch}
	for _, m := range r.Members {
		w.amount = max(0, w.amount+step)
		p := personOf(m)
		if !w.isOld {
			said = append(said, appendEvent(nil, eventPresence, encode(change{w.ch, action, p, now, w.amount})))
			continue
		}
		old.Events = append(old.Events, oldChange{Action: action, Time: now, UserID: p.ID, UserData: string(p.Data), ID: p.ID, Data: p.Data})
	}
	if w.isOld {
		old.Users, old.Clients = w.amount, w.amount
		said = append(said, appendMessage(nil, incoming{
			Channel: w.ch + oldPresence, Content: string(encode(old)), Time: now, ID: rand.Text(),
		}))
	}
	return said
}
