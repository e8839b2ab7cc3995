package session

import (
	"context"
	"net/http"
	"slices"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Tongue is the language of clients that do not speak Fanfare's own protocol:
// how what a session and its channels say is said to them. It is immutable and
// there is one for each door, so that a frame is encoded once for all of them.
type Tongue struct {
	Traits

	// Say calls each for all that f, a single frame, is to the clients: a text
	// frame each time, which is valid until each returns; not at all where it
	// does not concern them. It is asked once for a frame, so it must depend on
	// nothing else. Frames of TypeSpoken it never sees.
	Say func(f *hub.Frame, each func(text []byte))

	// Code is the close code and reason of a connection that ends for why.
	Code func(why *protocol.Error) (code int, reason string)

	Subprotocols []string // of the WebSocket, that are taken
}

// TypeSpoken is the type of a frame whose Line is in the client's own language
// already. It is made for that client alone.
const TypeSpoken = "spoken"

// Opener accepts WebSockets of one Tongue. What is wrong with the handshake has
// been answered where it returns an error.
type Opener func(w http.ResponseWriter, r *http.Request) (Socket, error)

// Speaker is one client of another protocol. It turns what the client sends
// into calls on the session. Both methods are called by the goroutine that
// reads; an error ends the connection, a *protocol.Error is told first.
type Speaker interface {
	// Begin is called once, before anything was read. Who does not Authorise
	// then has as long for it as others have for hello.
	Begin(s *Session) error
	// Hear takes one text frame, which is valid until it returns.
	Hear(frame []byte) error
}

// Leaver is a Speaker that is told when its session has ended: once, when
// nothing more is read.
type Leaver interface {
	Left()
}

// Speak begins a session whose client speaks another protocol; it is Accept
// otherwise. id is the session's, unique on all nodes; "" has one made.
func (set *Set) Speak(sock Socket, id string, sp Speaker) {
	s := set.session(set.ctx, sock, "")
	if id != "" {
		s.id = id
	}
	s.park, _ = sock.(Parker)
	s.spoken = sp
	if !s.enter() {
		return
	}
	if err := sp.Begin(s); err != nil {
		s.finish(err)
		return
	}
	if !(s.park != nil && s.park.Park(s.turned)) {
		go s.turn()
	}
}

// The rest is for a Speaker, on the goroutine that reads.

// ID is the session's.
func (s *Session) ID() string { return s.id }

// Context ends with the node; what is done for the client is done with it.
func (s *Session) Context() context.Context { return s.ctx }

// Who is the client; nil until it was authorised.
func (s *Session) Who() *tenant.Principal { return s.who }

// Authorise makes the session who's: the first time it counts as a connection
// of the app, later only the user and what is granted change.
func (s *Session) Authorise(who *tenant.Principal) error {
	if s.who == nil {
		return s.authorise(who)
	}
	if who.App != s.who.App {
		return protocol.NewError(protocol.CodeTokenMismatch)
	}
	s.who = who
	s.watchExpiry()
	s.set.rename(s, who)
	return who.Check() // it may have ended before the set could tell
}

// Subscribed reports whether the session is subscribed to ch.
func (s *Session) Subscribed(ch protocol.Channel) bool { return s.subs[ch] != nil }

// Present is as whom the session is in ch; "" where it is not.
func (s *Session) Present(ch protocol.Channel) string { return s.present[ch] }

// Say sends text, which is in the client's language.
func (s *Session) Say(text []byte) { s.out.push(&hub.Frame{Type: TypeSpoken, Line: text}) }

// Tell sends r, as the client's Tongue says it.
func (s *Session) Tell(r protocol.Reply) { s.reply(r) }

// Enter makes the session a member of ch, or changes its data there. data must be valid JSON, or nil.
func (s *Session) Enter(ch protocol.Channel, m protocol.Member) error {
	if err := mayPresence(s.who, ch); err != nil {
		return err
	}
	data, err := presenceData(protocol.Command{Action: protocol.PresenceEnter, Data: m.Data})
	if err != nil {
		return err
	}
	step, err := s.step(protocol.Command{Action: protocol.PresenceEnter, Channel: ch}, m.User)
	if err != nil {
		return err
	}
	s.attentive()
	s.set.o.Presence.Attend(s.who.App, ch, m.User, step, data)
	return nil
}

// Leave undoes Enter.
func (s *Session) Leave(ch protocol.Channel) {
	if user, in := s.present[ch]; in {
		delete(s.present, ch)
		s.set.o.Presence.Attend(s.who.App, ch, user, hub.Leave, nil)
	}
}

// Watch has the client told of ch from now on, whether it is subscribed or
// not: first how it is, then what changes. what must not be empty.
func (s *Session) Watch(ch protocol.Channel, what hub.Watched) error {
	if err := mayWatch(s.who, ch, what); err != nil {
		return err
	}
	s.unwatch(ch)
	return s.watch(ch, what, nil)
}

// Unwatch undoes Watch.
func (s *Session) Unwatch(ch protocol.Channel) { s.unwatch(ch) }

// Members is who is present in ch.
func (s *Session) Members(ch protocol.Channel, limit int) (members []protocol.Member, total int, err error) {
	if err := mayPresence(s.who, ch); err != nil {
		return nil, 0, err
	}
	members, total = s.set.o.Presence.Members(s.who.App, ch, "", limit)
	return members, total, nil
}

// enterRoom makes m a member of ch, who is told at once who is there.
func (s *Session) enterRoom(ch protocol.Channel, m *protocol.Member) error {
	if err := s.Enter(ch, *m); err != nil {
		return err
	}
	if err := s.watch(ch, hub.Watched{Members: true}, m); err != nil {
		s.End(protocol.AsError(err))
	}
	return nil
}

// withSelf is the pages of a room with self in it, who may not have been told
// to the others yet.
func withSelf(pages []*hub.Frame, self *protocol.Member) []*hub.Frame {
	if self == nil {
		return pages
	}
	for _, f := range pages {
		if f.Reply != nil && slices.ContainsFunc(f.Reply.Members, func(m protocol.Member) bool { return m.User == self.User }) {
			return pages
		}
	}
	out := slices.Clone(pages)
	first := *pages[0].Reply
	first.Members = append(slices.Clone(first.Members), *self)
	out[0] = encode(first)
	return out
}

// without is f unless it tells of self's coming: then what else it tells, nil
// where that is nothing.
func without(f *hub.Frame, self string) *hub.Frame {
	r := f.Reply
	if self == "" || r == nil || r.Action != protocol.PresenceEnter {
		return f
	}
	at := slices.IndexFunc(r.Members, func(m protocol.Member) bool { return m.User == self })
	if at < 0 {
		return f
	}
	if len(r.Members) == 1 {
		return nil
	}
	rest := *r
	rest.Members = slices.Delete(slices.Clone(r.Members), at, at+1)
	return encode(rest)
}
