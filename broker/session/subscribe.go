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
}

// Subscribe begins a subscription: its answer first, then what the client
// missed or wants to see again, then what comes.
func (s *Session) Subscribe(w Wish) error {
	c, ch := w.Command, w.Channel
	if err := s.maySubscribe(c); err != nil {
		return err
	}
	if w.Member != nil {
		if err := s.enterRoom(ch, w.Member); err != nil {
			return err
		}
	}
	sub := &subscription{out: &s.out, session: s.id}
	if s.subs == nil {
		s.subs = map[protocol.Channel]*subscription{}
	}
	s.subs[ch] = sub
	attached := s.set.o.Hub.Subscribe(s.who, ch, sub)

	if s.resume != nil {
		c.Since, c.At = s.resume.since(attached), s.resume.At.UnixMilli()
	}
	answer := protocol.Reply{Type: protocol.TypeSubscribed, Ref: c.Ref, Channel: ch, Position: &attached}
	past, from, err := s.past(c, attached, &answer)
	if err != nil {
		s.drop(ch, sub, nil)
		if w.Member != nil {
			s.Leave(ch)
		}
		return err
	}
	if w.Pick != nil {
		past.Frames = w.Pick(past.Frames)
	}
	var first *hub.Frame
	if w.Tell {
		first = encode(answer)
	}
	sub.begin(first, from)
	if err = s.catchUp(ch, sub, past, attached); err == nil {
		err = s.watch(ch, watched(c), nil)
	}
	if err != nil {
		s.End(protocol.AsError(err))
	}
	return nil
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
