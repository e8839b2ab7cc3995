package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"unicode/utf8"
)

// Subprotocol is the WebSocket subprotocol of this contract.
const Subprotocol = "fanfare.v1.json"

// MaxRef is the largest ref: the largest whole number that JavaScript holds.
const MaxRef = 1<<53 - 1

// The types of frames that clients send.
const (
	TypeHello       = "hello"
	TypeSubscribe   = "subscribe"
	TypeUnsubscribe = "unsubscribe"
	TypePublish     = "publish"
	TypeAuth        = "auth"
	TypePresence    = "presence" // both ways
	TypePing        = "ping"     // both ways
	TypePong        = "pong"     // both ways
)

// The types of frames that servers send, besides ping and pong.
const (
	TypeWelcome      = "welcome"
	TypeAuthorized   = "authorized"
	TypeSubscribed   = "subscribed"
	TypeUnsubscribed = "unsubscribed"
	TypePublished    = "published"
	TypeMessage      = "message"
	TypeEarly        = "early"
	TypePresenceOK   = "presence_ok"
	TypeOccupancy    = "occupancy"
	TypeError        = "error"
	TypeClose        = "close"
)

// Command is a frame from a client to a server (PROTOCOL.md, section 3). Which
// members count depends on Type.
type Command struct {
	Type    string          `json:"type"`
	Ref     int64           `json:"ref,omitempty"`     // the answer carries it
	Key     string          `json:"key,omitempty"`     // hello
	Token   string          `json:"token,omitempty"`   // hello, auth
	Client  string          `json:"client,omitempty"`  // hello: name/version of the SDK
	Channel Channel         `json:"channel,omitempty"` // subscribe, unsubscribe, publish, presence
	Since   Position        `json:"since,omitempty"`   // subscribe
	At      int64           `json:"at,omitempty"`      // subscribe: the server's time when the client was last sure to have all, Unix milliseconds
	Rewind  *Rewind         `json:"rewind,omitempty"`  // subscribe
	ID      string          `json:"id,omitempty"`      // publish
	Event   string          `json:"event,omitempty"`   // publish
	Data    json.RawMessage `json:"data,omitempty"`    // publish, presence
	First   bool            `json:"first,omitempty"`   // publish: the id was never sent before

	IfPosition *Position `json:"if_position,omitempty"` // publish

	Early     bool   `json:"early,omitempty"`     // subscribe: bring messages that cannot be stored yet, too
	Presence  bool   `json:"presence,omitempty"`  // subscribe: tell who is present, too
	Occupancy bool   `json:"occupancy,omitempty"` // subscribe: tell how many there are, too
	Action    string `json:"action,omitempty"`    // presence: enter, update, leave or members
}

// Rewind asks for the newest part of a channel's past at the first subscribe:
// the last Count messages, or those of the last Seconds.
type Rewind struct {
	Count   int `json:"count,omitempty"`   // 1 to 100
	Seconds int `json:"seconds,omitempty"` // 1 to 2,592,000
}

// Check returns an *Error unless exactly one member is set, and in range.
func (r *Rewind) Check() error {
	if (r.Count == 0) == (r.Seconds == 0) || r.Count < 0 || r.Count > 100 || r.Seconds < 0 || r.Seconds > 2_592_000 {
		return NewError(CodeRewindInvalid)
	}
	return nil
}

// DecodeCommand reads one line of a client's text frame. It checks what does
// not depend on the connection's state: JSON, type, ref, names. The error is
// always an *Error; the Command still carries the ref where it could be read,
// so that the answer can name it.
func DecodeCommand(line []byte) (Command, error) {
	var c Command
	if !utf8.Valid(line) || !isObject(line) {
		return c, NewError(CodeBadJSON)
	}
	if err := json.Unmarshal(line, &c); err != nil {
		te, ok := errors.AsType[*json.UnmarshalTypeError](err)
		if !ok {
			return Command{}, NewError(CodeBadJSON)
		}
		if te.Field == "ref" {
			return Command{}, NewError(CodeRefInvalid)
		}
		if c.Ref < 0 || c.Ref > MaxRef { // decoding goes on behind a wrong member, so the ref is read
			c.Ref = 0
		}
		return Command{Ref: c.Ref}, Errorf(CodeBadRequest, "The member %q must not be a JSON %s.", te.Field, te.Value)
	}
	if c.Ref < 0 || c.Ref > MaxRef {
		c.Ref = 0
		return c, NewError(CodeRefInvalid)
	}
	switch c.Type {
	case TypeHello, TypeAuth, TypePing, TypePong:
		return c, nil
	case TypeSubscribe, TypeUnsubscribe, TypePublish, TypePresence:
		if _, err := ParseChannel(string(c.Channel)); err != nil {
			return c, err
		}
		return c, nil
	}
	return c, NewError(CodeUnknownCommand)
}

// isObject reports whether line begins as a JSON object does; null would
// otherwise decode into an empty Command.
func isObject(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\r\n")
	return len(line) > 0 && line[0] == '{'
}

// Lines yields the non-empty lines of a text frame: each is one JSON object.
func Lines(frame []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.SplitSeq(frame, []byte{'\n'}) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}

// Reply is any frame from a server to a client but a message (PROTOCOL.md,
// sections 2, 3, 5, 6 and 11). Which members are set depends on Type.
type Reply struct {
	Type string `json:"type"`
	Ref  int64  `json:"ref,omitempty"`

	// welcome
	Session      string `json:"session,omitempty"`
	User         string `json:"user,omitempty"`
	Time         int64  `json:"time,omitempty"`          // the server's clock, Unix milliseconds; also of subscribed, where early was sent
	PingInterval int    `json:"ping_interval,omitempty"` // seconds between the server's pings
	Expires      int64  `json:"expires,omitempty"`       // welcome, authorized: when the token ends, Unix seconds
	MaxData      int    `json:"max_data,omitempty"`      // largest data of a message, bytes
	MaxChannels  int    `json:"max_channels,omitempty"`  // most channels of a connection

	// subscribed, unsubscribed, published, presence, presence_ok, occupancy, error
	Channel   Channel   `json:"channel,omitempty"`
	Position  *Position `json:"position,omitempty"`  // subscribed, published
	Recovered *bool     `json:"recovered,omitempty"` // subscribed, when since was sent
	Reason    string    `json:"reason,omitempty"`    // subscribed, when not recovered
	Duplicate bool      `json:"duplicate,omitempty"` // published
	ID        string    `json:"id,omitempty"`        // published

	// presence, presence_ok
	Action  string   `json:"action,omitempty"`
	Members []Member `json:"members,omitzero"`
	More    bool     `json:"more,omitempty"` // sync and members: the next frame goes on with it

	Occupancy *Occupancy `json:"occupancy,omitempty"` // occupancy

	// error, close, unsubscribed by the server
	Code       Code   `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	Remedy     string `json:"remedy,omitempty"`
	Close      int    `json:"close,omitempty"`       // close: the WebSocket close code
	RetryAfter int64  `json:"retry_after,omitempty"` // milliseconds
}

// ErrorReply is e as a frame of type error, or of type close where closing.
func ErrorReply(e *Error, ref int64, closing bool) Reply {
	r := Reply{Position: e.Position, Type: TypeError, Ref: ref, Channel: e.Channel, Code: e.Code, Message: e.Message, Remedy: e.Remedy, RetryAfter: e.RetryAfter.Milliseconds()}
	if closing {
		r.Type, r.Close = TypeClose, e.CloseCode()
	}
	return r
}
