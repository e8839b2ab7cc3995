package goeasy

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxChannels = 300          // of one subscribe
	protected   = "protected-" // what names of channels begin with that need an access token

	lostFor   = 60               // seconds that are sent again to who was on another node that is gone
	comesBack = 10 * time.Second // how soon a client subscribes again to what it had
)

// wish is the argument of subscribe and unsubscribe.
type wish struct {
	Channel  string   `json:"channel"`
	Channels []string `json:"channels"`
	Access   string   `json:"accessToken"`
	Presence *struct {
		Enable bool `json:"enable"`
	} `json:"presence"`
}

// names are the channels that a call is about.
func (w *wish) names() ([]protocol.Channel, error) {
	all := w.Channels
	if w.Channel != "" {
		all = append([]string{w.Channel}, all...)
	}
	switch {
	case len(all) == 0:
		return nil, badCall("The call names no channel.")
	case len(all) > maxChannels:
		return nil, badCall("The call names %d channels; %d is the most.", len(all), maxChannels)
	}
	out := make([]protocol.Channel, len(all))
	for i, name := range all {
		ch, err := channelOf(name)
		if err != nil {
			return nil, err
		}
		out[i] = ch
	}
	return out, nil
}

// channelOf is a channel as these clients name it: as everybody does.
func channelOf(name string) (protocol.Channel, error) {
	ch, err := protocol.ParseChannel(name)
	if err != nil {
		return "", badCall("%s", protocol.AsError(err).Message)
	}
	return ch, nil
}

// presenceOf is the channel whose presence is followed by a subscription to ch, as
// clients before 2.7 do it.
func presenceOf(ch protocol.Channel) (protocol.Channel, bool) {
	name, ok := strings.CutSuffix(string(ch), oldPresence)
	return protocol.Channel(name), ok && name != ""
}

// mayUse says why the client may not read from, or write to, a channel.
func (d *Door) mayUse(c *client, ch protocol.Channel, token string, write bool) error {
	if !strings.HasPrefix(string(ch), protected) {
		return nil
	}
	if token == "" {
		e := protocol.Errorf(protocol.CodeNotGranted, "The channel %q is protected.", ch)
		e.Remedy = "Have your server make an access token for it, and pass it as accessToken."
		return e.On(ch)
	}
	a, err := d.o.Keys.ReadAccess(c.pass, token)
	switch {
	case err != nil:
		return err
	case a.Channel != ch, a.User != c.user:
		return protocol.Errorf(protocol.CodeTokenMismatch, "The access token is for another channel or user.").On(ch)
	case write && !a.Write, !write && !a.Read:
		return protocol.Errorf(protocol.CodeNotGranted, "The access token does not grant that on %q.", ch).On(ch)
	}
	return nil
}

// subscribe answers first and then sends what the client missed: what comes
// before the answer is lost to it. Who has subscribed already may do so again.
func (s *speaker) subscribe(c call) error {
	var w wish
	err := read(c.body, &w)
	if err != nil {
		s.tell(c, nil, err)
		return nil
	}
	channels, err := w.names()
	if err == nil && w.Presence != nil && w.Presence.Enable && s.user == "" {
		err = protocol.Errorf(protocol.CodeUserMissing, "Presence needs an id, given to connect.")
	}
	if err != nil {
		s.tell(c, nil, err)
		return nil
	}
	var wishes []session.Wish
	for _, ch := range channels {
		if of, ok := presenceOf(ch); ok {
			if err := s.watch(of, true, func() { s.tell(c, nil, nil) }); err != nil || len(channels) == 1 {
				if err != nil {
					s.tell(c, nil, err)
				}
				return nil
			}
			continue
		}
		if err := s.door.mayUse(&s.client, ch, w.Access, false); err != nil {
			s.tell(c, nil, err)
			return nil
		}
		if !s.sess.Subscribed(ch) && !slices.ContainsFunc(wishes, func(w session.Wish) bool { return w.Channel == ch }) {
			wishes = append(wishes, s.wishFor(ch))
		}
	}
	err = s.sess.SubscribeAll(wishes, func(at []protocol.Position) {
		for i := range wishes {
			s.began(wishes[i].Channel, at[i])
		}
		for _, ch := range channels {
			if w.Presence != nil && w.Presence.Enable || s.isOld && s.user != "" {
				s.appear(ch)
			}
		}
		s.tell(c, nil, nil)
	})
	if err != nil {
		s.tell(c, nil, err)
	}
	return nil
}

// wishFor is a subscription, with what the client missed since it was there.
func (s *speaker) wishFor(ch protocol.Channel) session.Wish {
	w := session.Wish{Command: protocol.Command{Channel: ch}}
	at, known := s.past.where(ch)
	switch {
	case known && at != "":
		epoch, seq, err := at.Parse()
		if err != nil { // it was one when it was noted
			return w
		}
		w.Since, w.Rewind = at, &protocol.Rewind{Count: 100}
		w.Mute = func(f *hub.Frame) bool { return isQuiet(f) || f.Epoch == epoch && f.Seq <= seq }
	case s.past.isLost():
		w.Rewind, w.Mute = &protocol.Rewind{Seconds: lostFor}, isQuiet
	}
	return w
}

// isQuiet reports whether a message is not sent again to who missed it.
func isQuiet(f *hub.Frame) bool {
	var m protocol.Message
	return json.Unmarshal(f.Line, &m) == nil && !resent(&m)
}

// began takes note of a subscription.
func (s *speaker) began(ch protocol.Channel, at protocol.Position) {
	h := had{}
	if old, known := s.past.where(ch); known && old != "" {
		at = old // until the client says that it has had what it missed
	}
	if at != "" {
		h.epoch, h.seq, _ = at.Parse() // ours
	}
	s.mu.Lock()
	if s.subs == nil {
		s.subs, s.marks = map[protocol.Channel]had{}, map[uint32]protocol.Channel{}
	}
	s.subs[ch] = h
	s.mu.Unlock()
	s.marks[mark(ch)] = ch
	s.past.forget(ch)
}

// ack takes note of what the client has had.
func (s *speaker) ack(body json.RawMessage) error {
	var a struct {
		ID  string `json:"i"`
		Old string `json:"publishGuid"`
	}
	if err := read(body, &a); err != nil {
		return s.mistake()
	}
	if a.ID == "" {
		a.ID = a.Old
	}
	p, of, ok := readReceipt(a.ID)
	ch := s.marks[of]
	h, subscribed := s.subs[ch]
	if !ok || !subscribed { // not ours, or of what it has left meanwhile
		return nil
	}
	epoch, seq, _ := p.Parse() // readReceipt did
	if epoch != h.epoch || seq > h.seq {
		s.mu.Lock()
		s.subs[ch] = had{epoch, seq}
		s.mu.Unlock()
	}
	return nil
}

// unsubscribe ends a subscription; where there is none that is well, too.
func (s *speaker) unsubscribe(body json.RawMessage) (any, error) {
	var w wish
	if err := read(body, &w); err != nil {
		return nil, err
	}
	channels, err := w.names()
	if err != nil {
		return nil, err
	}
	for _, ch := range channels {
		if of, ok := presenceOf(ch); ok {
			s.unwatch(of)
			continue
		}
		if !s.sess.Subscribed(ch) {
			continue
		}
		s.mu.Lock()
		delete(s.subs, ch)
		s.mu.Unlock()
		delete(s.marks, mark(ch))
		s.sess.Leave(ch)
		if err := s.sess.Unsubscribe(protocol.Command{Channel: ch}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
