package session

import (
	"strings"
	"time"
	"unicode"
	"unique"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// greet takes the client's hello.
func (s *Session) greet(c protocol.Command) error {
	credential := c.Token
	if credential == "" {
		credential = c.Key
	}
	if credential == "" {
		return protocol.NewError(protocol.CodeCredentialMissing)
	}
	who, err := s.set.o.Auth.Authenticate(s.ctx, credential, s.origin)
	if err != nil {
		app, key := s.set.o.Auth.AppOf(credential)
		s.set.Refused(app, err, protocol.Refusal{Door: s.traits.Door, What: protocol.TypeHello, Session: s.id, Key: key})
		return protocol.AsError(err)
	}
	s.says(c.Client)
	if err := s.authorise(who); err != nil {
		if s.who == nil {
			s.set.Refused(who.App, err, protocol.Refusal{Door: s.traits.Door, What: protocol.TypeHello, User: who.User, Session: s.id, Key: who.KeyID})
		}
		return protocol.AsError(err)
	}
	s.reply(s.welcome(c.Ref))
	s.set.o.Log.Debug("session began", "session", s.id, "app", who.App, "client", clip(c.Client, 64))
	return nil
}

// authorise makes the session who's.
func (s *Session) authorise(who *tenant.Principal) error {
	if who.App == "" {
		return protocol.Errorf(protocol.CodeKeyKind, "An account token opens no channels: a publishable key (ffp_), a secret key (ffs_) or a token is needed.")
	}
	release, err := who.Connect()
	if err != nil {
		return err
	}
	s.who, s.release, s.meter = who, release, tenant.NewMeter(who.Limits())
	s.watchExpiry()
	s.lives.Store(who)
	s.set.know(s, who)
	return who.Check() // it may have ended before the set could tell
}

// watchExpiry ends the session when its credential does.
func (s *Session) watchExpiry() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if !s.who.Expires.IsZero() {
		code, end := protocol.CodeTokenExpired, s.who.Expires.Add(tenant.Leeway)
		if s.who.Kind != tenant.KindToken {
			code, end = protocol.CodeKeyExpired, s.who.Expires
		}
		s.expiry = time.AfterFunc(time.Until(end), func() { s.End(protocol.NewError(code)) })
	}
}

func (s *Session) welcome(ref int64) protocol.Reply {
	limits := s.who.Limits()
	return protocol.Reply{
		Type:         protocol.TypeWelcome,
		Ref:          ref,
		Session:      s.id,
		User:         s.who.User,
		Time:         time.Now().UnixMilli(),
		PingInterval: int(s.pingInterval() / time.Second),
		Expires:      s.expires(),
		MaxData:      limits.MessageBytes,
		MaxChannels:  limits.ChannelsPerConnection,
	}
}

func (s *Session) expires() int64 {
	if s.who.Expires.IsZero() {
		return 0
	}
	return s.who.Expires.Unix()
}

// do carries out one command of an authorised client.
func (s *Session) do(c protocol.Command) {
	var err error
	switch c.Type {
	case protocol.TypeHello:
		err = protocol.NewError(protocol.CodeHelloRepeated)
	case protocol.TypeSubscribe:
		err = s.Subscribe(Wish{Command: c, Tell: c.Ref != 0})
	case protocol.TypeUnsubscribe:
		err = s.Unsubscribe(c)
	case protocol.TypePublish:
		err = s.Publish(c, s.from(c.Channel))
	case protocol.TypePresence:
		err = s.presence(c)
	case protocol.TypeAuth:
		err = s.auth(c)
	case protocol.TypePing:
		s.reply(protocol.Reply{Type: protocol.TypePong, Ref: c.Ref})
	case protocol.TypePong: // having been heard is all it is for
	}
	if err != nil {
		s.refuse(c, err)
	}
}

// Unsubscribe carries out an unsubscribe command.
func (s *Session) Unsubscribe(c protocol.Command) error {
	sub := s.subs[c.Channel]
	if sub == nil {
		return protocol.NewError(protocol.CodeNotSubscribed)
	}
	var answer *hub.Frame
	if c.Ref != 0 {
		answer = encode(protocol.Reply{Type: protocol.TypeUnsubscribed, Ref: c.Ref, Channel: c.Channel})
	}
	s.drop(c.Channel, sub, answer)
	return nil
}

func (s *Session) drop(ch protocol.Channel, sub *subscription, answer *hub.Frame) {
	s.listed.Lock()
	delete(s.subs, ch)
	s.listed.Unlock()
	s.unwatch(ch)
	s.set.o.Hub.Unsubscribe(s.who.App, ch, sub)
	sub.stop(answer)
}

// from is where a message that the client publishes to ch comes from.
func (s *Session) from(ch protocol.Channel) hub.Origin {
	from := hub.Origin{User: s.who.UserID()}
	if !s.who.Echo(ch) {
		from.Session = s.id
	}
	return from
}

// Publish carries out a publish command.
func (s *Session) Publish(c protocol.Command, from hub.Origin) error {
	done, err := s.set.o.Hub.Publish(s.ctx, s.who, from, []protocol.Outgoing{{Channel: c.Channel, Data: c.Data, Event: c.Event, ID: c.ID, IfPosition: c.IfPosition, First: c.First}})
	if err != nil {
		return err
	}
	if c.Ref != 0 {
		s.reply(protocol.Reply{Type: protocol.TypePublished, Ref: c.Ref, Channel: c.Channel, ID: done[0].ID, Position: &done[0].Position, Duplicate: done[0].Duplicate})
	}
	return nil
}

// auth puts a new token in place of the old one.
func (s *Session) auth(c protocol.Command) error {
	if c.Token == "" {
		return protocol.NewError(protocol.CodeCredentialMissing)
	}
	who, err := s.set.o.Auth.Authenticate(s.ctx, c.Token, s.origin)
	if err != nil {
		return err
	}
	if who.App != s.who.App || who.User != s.who.User {
		return protocol.NewError(protocol.CodeTokenMismatch)
	}
	s.who = who
	s.watchExpiry()
	s.lives.Store(who)
	if err := who.Check(); err != nil { // it may have ended before the set could tell
		s.End(protocol.AsError(err))
	}
	if c.Ref != 0 {
		s.reply(protocol.Reply{Type: protocol.TypeAuthorized, Ref: c.Ref, Expires: s.expires()})
	}
	for ch, sub := range s.subs {
		if err := who.May(protocol.Subscribe, ch); err != nil {
			answer := protocol.ErrorReply(protocol.AsError(err).On(ch), 0, false)
			answer.Type = protocol.TypeUnsubscribed
			s.drop(ch, sub, encode(answer))
		}
	}
	s.presenceAgain()
	return nil
}

// says keeps what the client says that it is. Few different ones come, so that
// they are shared.
func (s *Session) says(client string) {
	client = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, clip(strings.ToValidUTF8(client, ""), 64))
	if client != "" {
		s.client = unique.Make(client)
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

var _ hub.Publisher = (*tenant.Principal)(nil)
