package pusher

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxWrong      = 20  // wrong frames until a connection ends
	eventsASecond = 10  // client events of one connection
	maxEventName  = 200 // bytes
	cachedPast    = 100 // messages that are looked through for one that a server published
)

// client is one of Pusher's clients: a session.Speaker. All of it belongs to
// the goroutine that reads.
type client struct {
	door    *Door
	pass    *tenant.Pass
	refused error // why it is not let in; nil: it is
	session *session.Session

	user     string // who has signed in
	userData string
	wrong    int
	events   int       // client events since second
	second   time.Time // when they began to be counted
}

// Begin lets the client in.
func (c *client) Begin(s *session.Session) error {
	c.session = s
	if c.refused != nil {
		return c.refused
	}
	if err := s.Authorise(c.pass.Guest("", guestGrants())); err != nil {
		return protocol.AsError(err)
	}
	hello := `{"socket_id":"` + s.ID() + `","activity_timeout":` + strconv.Itoa(activityTimeout) + `}`
	s.Say(append(appendString([]byte(`{"event":"pusher:connection_established","data":`), hello), '}'))
	return nil
}

// guestGrants are what every client may do as far as the app's rules go. Which
// channels need a signature is the door's business.
func guestGrants() protocol.Grants {
	return protocol.Grants{Subscribe: []string{"*"}, Publish: []string{"*"}, Presence: []string{"*"}, History: []string{"*"}}
}

// userGrants are guestGrants and what a user has for itself.
func userGrants(user string) protocol.Grants {
	g := guestGrants()
	g.Subscribe = append(g.Subscribe, userPrefix+user)
	g.Presence = append(g.Presence, onlinePrefix+"*")
	return g
}

// Hear carries out what the client says.
func (c *client) Hear(frame []byte) error {
	cmd, ok := decode(frame)
	if !ok {
		return c.complain("This is not an event: a JSON object with the member event, in UTF-8.")
	}
	switch cmd.Event {
	case "pusher:ping":
		c.session.Say([]byte(`{"event":"pusher:pong","data":"{}"}`))
	case "pusher:pong": // having been heard is all it is for
	case "pusher:subscribe":
		var s subscription
		if !cmd.object(&s) {
			return c.complain("The data of pusher:subscribe must be an object with a channel.")
		}
		c.subscribe(s)
	case "pusher:unsubscribe":
		var s subscription
		if !cmd.object(&s) {
			return c.complain("The data of pusher:unsubscribe must be an object with a channel.")
		}
		c.unsubscribe(protocol.Channel(s.Channel))
	case "pusher:signin":
		return c.signIn(&cmd)
	default:
		if !clientEvent(cmd.Event) {
			return c.complain("There is no such event for a client to send; its own begin with client-.")
		}
		c.publish(&cmd)
	}
	return nil
}

// complain tells the client that it sent something wrong. Too much of that ends
// the connection.
func (c *client) complain(message string) error {
	if c.wrong++; c.wrong >= maxWrong {
		return protocol.NewError(protocol.CodeTooManyErrors)
	}
	c.session.Say(sayError(0, message))
	return nil
}

// subscribe begins a subscription, or says why not.
func (c *client) subscribe(s subscription) {
	ch := protocol.Channel(s.Channel)
	if c.user != "" && s.Channel == userPrefix+c.user { // it has it since it signed in
		c.session.Tell(protocol.Reply{Type: protocol.TypeSubscribed, Channel: ch})
		return
	}
	k, ok := kindOf(s.Channel)
	if !ok {
		c.refuse(s.Channel, "InvalidChannel", "The channel name is not valid.", 400)
		return
	}
	if c.session.Subscribed(ch) {
		c.session.Say(sayError(0, "Existing subscription to channel "+s.Channel))
		return
	}
	w := session.Wish{Command: protocol.Command{Channel: ch}, Tell: !k.presence}
	if k.private {
		text := c.session.ID() + ":" + s.Channel
		if s.ChannelData != "" {
			text += ":" + s.ChannelData
		}
		if !c.door.vouched(c.pass, s.Auth, text) {
			c.refuse(s.Channel, "AuthError", "The connection is unauthorized.", 401)
			return
		}
	}
	if k.presence {
		if w.Member = c.member(s.ChannelData); w.Member == nil {
			c.refuse(s.Channel, "AuthError", "The channel_data has no user_id that can be used, or too long a user_info.", 401)
			return
		}
	}
	if !k.presence {
		w.Occupancy = c.session.Who().Occupancy(ch)
	}
	if k.cache {
		w.Rewind, w.Pick = &protocol.Rewind{Count: cachedPast}, c.newest(ch)
	}
	if err := c.session.Subscribe(w); err != nil {
		e := c.door.failed("subscribe", c.pass.App, err)
		kind := "AuthError"
		if e.Status() == 429 {
			kind = "LimitReached"
		}
		c.refuse(s.Channel, kind, e.Message+" "+e.Remedy, e.Status())
	}
}

func (c *client) refuse(channel, kind, message string, status int) {
	b := append([]byte(`{"event":"pusher:subscription_error","channel":`), appendString(nil, channel)...)
	b = append(b, `,"data":{"type":"`+kind+`","error":`...)
	b = append(appendString(b, message), `,"status":`+strconv.Itoa(status)+`}}`...)
	c.session.Say(b)
}

// member is who the client is in a presence channel: as its channel_data says,
// or else as it has signed in.
func (c *client) member(channelData string) *protocol.Member {
	if channelData == "" && c.user != "" {
		var u struct {
			Info json.RawMessage `json:"user_info"`
		}
		_ = json.Unmarshal([]byte(c.userData), &u) // it was checked when the user signed in
		if len(u.Info) > maxUserInfo {
			return nil
		}
		return &protocol.Member{User: c.user, Data: u.Info}
	}
	user, data, ok := presenceData(channelData)
	if !ok {
		return nil
	}
	return &protocol.Member{User: user, Data: data}
}

// newest picks the newest event that a server published, or else says that
// there is none.
func (c *client) newest(ch protocol.Channel) func([]*hub.Frame) []*hub.Frame {
	return func(past []*hub.Frame) []*hub.Frame {
		if f, _ := lastOfServer(past); f != nil {
			return []*hub.Frame{f}
		}
		if c.door.o.Missed != nil {
			c.door.o.Missed(c.pass.App, ch)
		}
		miss := append([]byte(`{"event":"pusher:cache_miss","channel":`), appendString(nil, string(ch))...)
		return []*hub.Frame{{Type: session.TypeSpoken, Line: append(miss, '}')}}
	}
}

// lastOfServer is the last frame that is no client event, and its message.
func lastOfServer(past []*hub.Frame) (*hub.Frame, protocol.Message) {
	for i := len(past) - 1; i >= 0; i-- {
		var m protocol.Message
		if json.Unmarshal(past[i].Line, &m) == nil && !clientEvent(m.Event) {
			return past[i], m
		}
	}
	return nil, protocol.Message{}
}

// unsubscribe ends a subscription; one that is not there is as good as ended.
func (c *client) unsubscribe(ch protocol.Channel) {
	if !c.session.Subscribed(ch) || userOf(ch) != "" {
		return
	}
	c.session.Leave(ch)
	_ = c.session.Unsubscribe(protocol.Command{Channel: ch}) // it is there
}

// publish sends a client event to the others in its channel.
func (c *client) publish(cmd *command) {
	k, _ := kindOf(cmd.Channel)
	ch := protocol.Channel(cmd.Channel)
	reject := func(message string) { c.session.Say(sayError(codeClientEvent, message)) }
	switch {
	case !k.private:
		reject("Client event rejected - only supported on private and presence channels")
		return
	case k.encrypted:
		reject("Client event rejected - not supported on encrypted channels")
		return
	case !c.session.Subscribed(ch):
		reject("Client event rejected - the connection is not subscribed to the channel")
		return
	case len(cmd.Event) > maxEventName:
		reject("Client event rejected - the event's name is longer than 200 bytes")
		return
	case !c.allowEvent():
		reject("Client event rejected - over the limit of 10 a second")
		return
	}
	data := cmd.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	from := hub.Origin{User: c.user, Session: c.session.ID()}
	if k.presence {
		from.User = c.session.Present(ch)
	}
	if err := c.session.Publish(protocol.Command{Channel: ch, Event: cmd.Event, Data: data}, from); err != nil {
		e := c.door.failed("client event", c.pass.App, err)
		reject("Client event rejected - " + e.Message)
	}
}

// allowEvent counts a client event: of each second the first ten go.
func (c *client) allowEvent() bool {
	now := time.Now()
	if now.Sub(c.second) >= time.Second {
		c.second, c.events = now, 0
	}
	c.events++
	return c.events <= eventsASecond
}
