package session

import (
	"math"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// presence carries out a presence command.
func (s *Session) presence(c protocol.Command) error {
	data, err := presenceData(c)
	if err != nil {
		return err
	}
	if err := s.meter.AllowSubscribe(); err != nil {
		return err
	}
	if c.Action != protocol.PresenceLeave { // who has lost the grant may leave
		if err := mayPresence(s.who, c.Channel); err != nil {
			return err
		}
	}
	if c.Action == protocol.PresenceMembers {
		return s.members(c)
	}
	if s.who.User == "" {
		return protocol.NewError(protocol.CodeUserMissing)
	}
	step, err := s.step(c, s.who.User)
	if err != nil {
		return err
	}
	s.attentive()
	s.set.o.Presence.Attend(s.who.App, c.Channel, s.who.User, step, data)
	if c.Ref != 0 {
		s.reply(protocol.Reply{Type: protocol.TypePresenceOK, Ref: c.Ref, Channel: c.Channel, Action: c.Action})
	}
	return nil
}

func presenceData(c protocol.Command) ([]byte, error) {
	switch c.Action {
	case protocol.PresenceEnter, protocol.PresenceUpdate:
	case protocol.PresenceLeave, protocol.PresenceMembers:
		return nil, nil
	default:
		return nil, protocol.Errorf(protocol.CodePresenceInvalid, "The action is none of enter, update, leave, members.")
	}
	if c.Data == nil {
		return nil, nil
	}
	data, err := protocol.CheckData(c.Data, protocol.MaxPresenceData)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodePresenceInvalid, "The data has more than %d bytes.", protocol.MaxPresenceData)
	}
	return data, nil
}

// step is what a command does here, and takes note of it.
func (s *Session) step(c protocol.Command, user string) (hub.Step, error) {
	_, in := s.present[c.Channel]
	switch {
	case !in && c.Action != protocol.PresenceEnter:
		return 0, protocol.NewError(protocol.CodeNotPresent)
	case c.Action == protocol.PresenceLeave:
		delete(s.present, c.Channel)
		return hub.Leave, nil
	case in:
		return hub.Update, nil
	}
	if most := s.who.Limits().ChannelsPerConnection; len(s.present) >= most {
		return 0, protocol.Errorf(protocol.CodeChannelLimit, "The connection is a member of %d channels; this app's channels_per_connection limit is %d.", len(s.present), most)
	}
	if s.present == nil {
		s.present = map[protocol.Channel]string{}
	}
	s.present[c.Channel] = user
	return hub.Enter, nil
}

// members answers with who is present.
func (s *Session) members(c protocol.Command) error {
	if c.Ref == 0 {
		return nil
	}
	all, _ := s.set.o.Presence.Members(s.who.App, c.Channel, "", math.MaxInt)
	for first := true; first || len(all) > 0; first = false {
		n := hub.PageOf(all)
		page := append([]protocol.Member{}, all[:n]...) // never null
		all = all[n:]
		if s.out.wait() != nil {
			return nil // it is ending anyway
		}
		s.reply(protocol.Reply{Type: protocol.TypePresenceOK, Ref: c.Ref, Channel: c.Channel, Action: c.Action, Members: page, More: len(all) > 0})
	}
	return nil
}

// mayPresence says why who may not know who is in ch.
func mayPresence(who *tenant.Principal, ch protocol.Channel) error {
	if err := who.May(protocol.Presence, ch); err != nil {
		return err
	}
	if !who.Presence(ch) {
		return protocol.NewError(protocol.CodePresenceOff)
	}
	return nil
}

// mayWatch says why who may not be told what it asks for beside ch's messages.
func mayWatch(who *tenant.Principal, ch protocol.Channel, what hub.Watched) error {
	if what.Members {
		if err := mayPresence(who, ch); err != nil {
			return err
		}
	}
	if what.Numbers && !who.Occupancy(ch) {
		e := protocol.Errorf(protocol.CodePresenceOff, "The channel's namespace does not tell how many subscribers there are.")
		e.Remedy = "Switch occupancy on in the namespace's rule."
		return e
	}
	return nil
}

// watched is what a subscribe asks for beside the messages.
func watched(c protocol.Command) hub.Watched {
	return hub.Watched{Members: c.Presence, Numbers: c.Occupancy}
}

// watcher is a session's interest in who is in a channel, and how many. While
// the room is being sent it holds back what changes, a bounded number of bytes
// of it. The outbox's lock guards its state.
type watcher struct {
	out  *outbox
	what hub.Watched
	self string // whose coming is not told; "": everybody's is

	state   int // as a subscription's
	waiting []*hub.Frame
	held    int  // bytes of waiting
	missed  bool // not all was held
}

// Deliver queues f for the client.
func (w *watcher) Deliver(f *hub.Frame) {
	if f = without(f, w.self); f == nil {
		return
	}
	w.with(func() {
		switch w.state {
		case catching:
			if w.held += len(f.Line); w.held > maxHeld {
				w.missed, w.waiting = true, nil
				return
			}
			w.waiting = append(w.waiting, f)
		case live:
			w.out.enqueue(f)
		}
	})
}

// with calls fn with the lock held, and sends what it has queued.
func (w *watcher) with(fn func()) {
	w.out.mu.Lock()
	fn()
	now := w.out.claim()
	w.out.mu.Unlock()
	w.out.write(now, false)
}

// join sends what was held back, unless not all of it was held.
func (w *watcher) join() (joined bool) {
	w.with(func() {
		if w.missed {
			return
		}
		for _, f := range w.waiting {
			w.out.enqueue(f)
		}
		w.waiting, w.state, joined = nil, live, true
	})
	return joined
}

func (w *watcher) stop() {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	w.state, w.waiting = gone, nil
}

// watch begins to tell of ch: how it is first, then what changes. A client
// that is too slow for what changes meanwhile gets all of it again. self, if
// any, is the client itself: it sees itself at once, and does not hear that it
// has come.
func (s *Session) watch(ch protocol.Channel, what hub.Watched, self *protocol.Member) error {
	if what == (hub.Watched{}) {
		return nil
	}
	s.attentive()
	if s.watches == nil {
		s.watches = map[protocol.Channel]*watcher{}
	}
	for range maxRounds {
		w := &watcher{out: &s.out, what: what}
		if self != nil {
			w.self = self.User
		}
		s.watches[ch] = w
		for _, f := range withSelf(s.set.o.Presence.Watch(s.who.App, ch, w, what), self) {
			if s.out.wait() != nil {
				return nil // it is ending anyway
			}
			s.out.push(f)
		}
		if w.join() {
			return nil
		}
		s.unwatch(ch)
	}
	return protocol.NewError(protocol.CodeSlowClient)
}

// unwatch tells no more of ch.
func (s *Session) unwatch(ch protocol.Channel) {
	if w := s.watches[ch]; w != nil {
		delete(s.watches, ch)
		s.set.o.Presence.Unwatch(s.who.App, ch, w)
		w.stop()
	}
}

// attentive is called before the session enters or watches a channel. Who
// changes the rules looks for such sessions afterwards.
func (s *Session) attentive() {
	if !s.crowd.Swap(true) {
		s.again.Store(true) // the rules may have changed before that could be seen
	}
}

// recheck has the session look again at where it is present, and what it
// watches. That is for the goroutine that reads: a ping brings it about, and a
// client that does not answer is gone before long anyway. Where no client can
// answer, the socket is woken.
func (s *Session) recheck() {
	if !s.crowd.Load() {
		return
	}
	s.again.Store(true)
	if w, ok := s.sock.(Waker); ok {
		w.Wake()
	} else {
		s.reply(protocol.Reply{Type: protocol.TypePing, Time: time.Now().UnixMilli()})
	}
}

// presenceAgain ends what the session's new token does not grant, or its app's
// new rules.
func (s *Session) presenceAgain() {
	for ch, user := range s.present {
		if mayPresence(s.who, ch) != nil {
			delete(s.present, ch)
			s.set.o.Presence.Attend(s.who.App, ch, user, hub.Leave, nil)
		}
	}
	for ch, w := range s.watches {
		if err := mayWatch(s.who, ch, w.what); err != nil {
			s.unwatch(ch)
			s.reply(protocol.ErrorReply(protocol.AsError(err).On(ch), 0, false))
		}
	}
}

// absent takes the session out of wherever it is present.
func (s *Session) absent() {
	step := hub.Away
	if s.traits.Quits {
		step = hub.Leave
	}
	for ch, user := range s.present {
		s.set.o.Presence.Attend(s.who.App, ch, user, step, nil)
	}
	for ch := range s.watches {
		s.unwatch(ch)
	}
}
