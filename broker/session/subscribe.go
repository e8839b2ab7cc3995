package session

import (
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxRounds is how often a subscription reads on because more came live than
// it can hold back. A client that is still behind then is a slow one.
const maxRounds = 1000

// Wish is a subscribe command and what else is wanted of it.
type Wish struct {
	protocol.Command
	Tell   bool                                 // whether success is told
	Member *protocol.Member                     // who enters the channel and is told who is there, before all else
	Pick   func(past []*hub.Frame) []*hub.Frame // what is wanted of the past; nil: all of it
	Mute   func(f *hub.Frame) bool              // what of the past is not sent; nil: nothing
}

// Subscribe begins a subscription: its answer first, then what the client
// missed or wants to see again, then what comes.
func (s *Session) Subscribe(w Wish) error {
	b, err := s.attach(w)
	if err != nil {
		return err
	}
	s.begin(b)
	return nil
}

// SubscribeAll begins several subscriptions, or none where one of them is
// refused. Before anything of them is sent it calls then with where their
// channels were when the first thing behind that was kept for the client.
func (s *Session) SubscribeAll(ws []Wish, then func(at []protocol.Position)) error {
	all, at := make([]beginning, 0, len(ws)), make([]protocol.Position, 0, len(ws))
	for _, w := range ws {
		b, err := s.attach(w)
		if err != nil {
			for _, b := range all {
				s.undo(b)
			}
			return protocol.AsError(err).On(w.Channel)
		}
		all, at = append(all, b), append(at, b.attached)
	}
	then(at)
	for _, b := range all {
		s.begin(b)
	}
	return nil
}

// beginning is a subscription of which nothing was sent yet.
type beginning struct {
	wish     Wish
	sub      *subscription
	attached protocol.Position // the channel's when it began
	past     hub.Replay
	from     protocol.Position // the client's, before past
	answer   protocol.Reply
}

// attach subscribes to the channel and holds back what comes.
func (s *Session) attach(w Wish) (beginning, error) {
	c, ch := w.Command, w.Channel
	if err := s.maySubscribe(c); err != nil {
		return beginning{}, err
	}
	if w.Member != nil {
		if err := s.enterRoom(ch, w.Member); err != nil {
			return beginning{}, err
		}
	}
	b := beginning{wish: w, sub: &subscription{out: &s.out, session: s.id, mute: w.Mute, early: c.Early}}
	if s.subs == nil {
		s.subs = map[protocol.Channel]*subscription{}
	}
	s.listed.Lock()
	s.subs[ch] = b.sub
	s.listed.Unlock()
	b.attached = s.set.o.Hub.Subscribe(s.who, ch, b.sub)

	if s.resume != nil {
		c.Since, c.At = s.resume.since(b.attached), s.resume.At.UnixMilli()
	}
	b.answer = protocol.Reply{Type: protocol.TypeSubscribed, Ref: c.Ref, Channel: ch, Position: &b.attached}
	if c.Early {
		b.answer.Time = time.Now().UnixMilli()
	}
	var err error
	if b.past, b.from, err = s.past(c, b.attached, &b.answer); err != nil {
		s.undo(b)
		return b, err
	}
	if w.Pick != nil {
		b.past.Frames = w.Pick(b.past.Frames)
	}
	return b, nil
}

// undo ends a subscription of which nothing was sent.
func (s *Session) undo(b beginning) {
	s.drop(b.wish.Channel, b.sub, nil)
	if b.wish.Member != nil {
		s.Leave(b.wish.Channel)
	}
}

// begin sends what belongs to a subscription from its answer on.
func (s *Session) begin(b beginning) {
	ch := b.wish.Channel
	var first *hub.Frame
	if b.wish.Tell {
		first = encode(b.answer)
	}
	b.sub.begin(first, b.from)
	err := s.catchUp(ch, b.sub, b.past, b.attached)
	if err == nil {
		err = s.watch(ch, watched(b.wish.Command), nil)
	}
	if err != nil {
		s.End(protocol.AsError(err))
	}
}

func (s *Session) maySubscribe(c protocol.Command) error {
	if s.subs[c.Channel] != nil {
		return protocol.NewError(protocol.CodeAlreadySubscribed)
	}
	if err := s.who.May(protocol.Subscribe, c.Channel); err != nil {
		return err
	}
	if err := mayWatch(s.who, c.Channel, watched(c)); err != nil {
		return err
	}
	if c.Since != "" {
		if _, _, err := c.Since.Parse(); err != nil {
			return err
		}
	}
	if c.Rewind != nil {
		if err := c.Rewind.Check(); err != nil {
			return err
		}
	}
	if most := s.who.Limits().ChannelsPerConnection; len(s.subs) >= most {
		return protocol.Errorf(protocol.CodeChannelLimit, "The connection has %d channels; this app's channels_per_connection limit is %d.", len(s.subs), most)
	}
	return s.meter.AllowSubscribe()
}

// past finds the first part of what c asks for and the position that the
// client is at before it, and says in answer what came of since.
func (s *Session) past(c protocol.Command, attached protocol.Position, answer *protocol.Reply) (hub.Replay, protocol.Position, error) {
	if c.Since != "" {
		var at time.Time
		if c.At > 0 {
			at = time.UnixMilli(c.At)
		}
		r, err := s.set.o.Hub.Since(s.ctx, s.who, c.Channel, c.Since, attached, at)
		if err != nil {
			return r, "", s.unread(c.Channel, err)
		}
		recovered := r.Gap == ""
		answer.Recovered, answer.Reason = &recovered, r.Gap
		if recovered {
			return r, c.Since, nil
		}
	}
	if c.Rewind != nil && attached != "" {
		var since time.Time
		if c.Rewind.Seconds > 0 {
			since = time.Now().Add(-time.Duration(c.Rewind.Seconds) * time.Second)
		}
		r, err := s.set.o.Hub.Newest(s.ctx, s.who, c.Channel, attached, c.Rewind.Count, since)
		if err != nil {
			return r, "", s.unread(c.Channel, err)
		}
		if len(r.Frames) > 0 {
			return r, "", nil
		}
	}
	return hub.Replay{}, attached, nil
}

func (s *Session) unread(ch protocol.Channel, err error) error {
	e := protocol.AsError(err)
	if e.Code == protocol.CodeInternal {
		s.set.o.Log.Error("reading the past failed", "app", s.who.App, "channel", ch, "session", s.id, "err", err)
		e = protocol.NewError(protocol.CodeUnavailable).After(time.Second)
	}
	return e.On(ch)
}

// catchUp sends past, and what is behind it, never more than the client's
// queue takes, and goes live. An error ends the connection: the client comes
// back and goes on where it is.
func (s *Session) catchUp(ch protocol.Channel, sub *subscription, past hub.Replay, attached protocol.Position) error {
	for range maxRounds {
		for _, f := range past.Frames {
			if err := s.out.wait(); err != nil {
				return nil // it is ending anyway
			}
			sub.past(f)
		}
		if !past.More {
			until, joined := sub.join()
			if joined {
				return nil
			}
			attached = until
		}
		var err error
		if past, err = s.set.o.Hub.Since(s.ctx, s.who, ch, sub.position(), attached, time.Now()); err != nil {
			return s.unread(ch, err)
		}
		if past.Gap != "" { // it is read more slowly than the past goes away
			return protocol.NewError(protocol.CodeSlowClient)
		}
	}
	return protocol.NewError(protocol.CodeSlowClient)
}

// since is where a stream was in the channel that is now at position attached.
func (r *Resume) since(attached protocol.Position) protocol.Position {
	epoch, _, err := attached.Parse()
	if seq, ok := r.Seqs[epoch]; ok && err == nil {
		return protocol.NewPosition(epoch, seq)
	}
	return protocol.NewPosition("gone", 0) // of a life that this channel does not have
}
