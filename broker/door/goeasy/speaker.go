package goeasy

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxWrong is how many packets that mean nothing here a client may send.
const maxWrong = 20

// speaker is one client. Its methods are called by the goroutine that reads;
// watches have locks of their own. It lives as long as its session.
type speaker struct {
	door     *Door
	sess     *session.Session
	upgrades []string // what the client may go over to
	id       string   // of engine.io

	client

	// What memory asks for from elsewhere; only the goroutine that reads changes it.
	mu      sync.Mutex
	subs    map[protocol.Channel]had
	marks   map[uint32]protocol.Channel
	watches map[protocol.Channel]*watch
	past    *record // what is known of the client's last connection; nil: nothing
	wrong   int
}

// client is who authorised.
type client struct {
	pass   *tenant.Pass
	key    string // that it showed
	user   string // "": nobody
	data   json.RawMessage
	sid    string
	otp    string
	isOld  bool // before 2.7: all subscribers with a user are present
	oldest bool // 1.x
	writes bool
}

// had is how far a client has come in a channel, as it has said.
type had struct {
	epoch string
	seq   uint64
}

func (h had) position() protocol.Position {
	if h.epoch == "" {
		return ""
	}
	return protocol.NewPosition(h.epoch, h.seq)
}

// opening is the packet that begins a connection.
type opening struct {
	ID           string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // milliseconds, as the next
	PingTimeout  int64    `json:"pingTimeout"`
}

// Begin greets the client: engine.io opens, and socket.io connects it to the
// only namespace there is.
func (s *speaker) Begin(sess *session.Session) error {
	s.sess = sess
	every := s.door.o.PingInterval.Milliseconds()
	open := opening{ID: s.id, Upgrades: s.upgrades, PingInterval: every, PingTimeout: every * 4 / 5}
	sess.Say(append([]byte{packetOpen}, encode(open)...))
	sess.Say([]byte{packetMessage, kindConnect})
	return nil
}

var errQuit = errors.New("goeasy: the client has said goodbye")

// Hear takes one packet.
func (s *speaker) Hear(frame []byte) error {
	if len(frame) == 0 {
		return protocol.NewError(protocol.CodeBadJSON)
	}
	switch frame[0] {
	case packetPing:
		if len(frame) > 16 {
			return protocol.NewError(protocol.CodeBadRequest)
		}
		s.sess.Say(append([]byte{packetPong}, frame[1:]...))
	case packetClose:
		return s.quit()
	case packetPong, packetNoop: // nothing to do
	case packetMessage:
		c, err := decodeCall(frame[1:])
		if err != nil {
			return protocol.Errorf(protocol.CodeBadJSON, "The packet is not one of socket.io 2.")
		}
		return s.do(c)
	default: // an upgrade where there is nothing to go over to
		return protocol.Errorf(protocol.CodeBadRequest, "The packet is not one of engine.io 3.")
	}
	return nil
}

// do carries out one call.
func (s *speaker) do(c call) error {
	switch {
	case c.kind == kindConnect && c.space != "":
		text := encode("Invalid namespace")
		s.sess.Say(fmt.Appendf(nil, "%c4/%s,%s", packetMessage, c.space, text))
		return nil
	case c.kind == kindDisconnect && c.space == "":
		return s.quit()
	case c.kind != kindEvent || c.space != "":
		return s.mistake()
	case c.event == "ack":
		return s.ack(c.body)
	}
	carry := s.carrier(c.event)
	if carry == nil {
		s.reply(c, refusal(badCall("There is no %q here.", c.event)))
		return s.mistake()
	}
	if s.pass == nil && c.event != "authorize" {
		s.reply(c, refusal(protocol.NewError(protocol.CodeCredentialMissing)))
		return s.mistake()
	}
	return carry(c)
}

// carrier is what carries out an event; nil: nobody knows it.
func (s *speaker) carrier(event string) func(call) error {
	switch event {
	case "authorize":
		return s.authorize
	case "subscribe":
		return s.subscribe
	case "unsubscribe":
		return s.answered(s.unsubscribe)
	case "publish":
		return s.answered(s.publish)
	case "historyMessages":
		return s.answered(s.history)
	case "PUBSUB_PRESENCE_SUBSCRIBE":
		return s.watchPresence
	case "PUBSUB_PRESENCE_UNSUBSCRIBE":
		return s.answered(s.unwatchPresence)
	case "PUBSUB_PRESENCE_HERENOW":
		return s.answered(s.hereNow)
	case "hereNow":
		return s.answered(s.oldHereNow)
	case "hereNowByUserIds":
		return s.answered(s.hereNowByUsers)
	case "manualDisconnect":
		return s.answered(func(json.RawMessage) (any, error) { return nil, nil })
	}
	return nil
}

// answered carries out a call that is answered once it is done.
func (s *speaker) answered(fn func(body json.RawMessage) (any, error)) func(call) error {
	return func(c call) error {
		content, err := fn(c.body)
		s.tell(c, content, err)
		return nil
	}
}

// tell answers a call. What failed for the moment is not answered: the client
// sends it again.
func (s *speaker) tell(c call, content any, err error) {
	switch {
	case err == nil:
		s.reply(c, okay(content))
	case !passing(err):
		s.door.refused(err)
		s.reply(c, refusal(err))
	}
}

func (s *speaker) reply(c call, a any) {
	if c.ack >= 0 {
		s.sess.Say(appendAnswer(nil, c.ack, encode(a)))
	}
}

// mistake counts what means nothing here.
func (s *speaker) mistake() error {
	if s.wrong++; s.wrong >= maxWrong {
		return protocol.NewError(protocol.CodeTooManyErrors)
	}
	return nil
}

// quit ends the connection for a client that will not come back for what it
// misses: others see that it is gone at once.
func (s *speaker) quit() error {
	for ch := range s.subs {
		s.sess.Leave(ch)
	}
	return errQuit
}

// Left ends what the session does not know of, and keeps what is good for the
// client's next connection.
func (s *speaker) Left() {
	for _, w := range s.watches {
		w.end()
	}
	s.door.memory.leave(s)
}

// record is what is good for the client's next connection.
func (s *speaker) record() *record {
	r := &record{App: s.pass.App, User: s.user, OTP: s.otp, Channels: map[protocol.Channel]protocol.Position{}, sid: s.sid, at: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch, h := range s.subs {
		r.Channels[ch] = h.position()
	}
	for ch, w := range s.watches {
		if !w.isOld { // those ask again by themselves
			r.Watches = append(r.Watches, ch)
		}
	}
	return r
}

// read reads a call's argument into v, a pointer to a struct.
func read(body json.RawMessage, v any) error {
	if len(body) == 0 || body[0] != '{' {
		return badCall("The call has no object for an argument.")
	}
	if err := json.Unmarshal(body, v); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return badCall("The member %q must not be a JSON %s.", te.Field, te.Value)
		}
		return badCall("The argument is not valid JSON.")
	}
	return nil
}

var _ session.Leaver = (*speaker)(nil)
