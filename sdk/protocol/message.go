package protocol

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Message is one message as subscribers get it, the same on every door
// (PROTOCOL.md, section 4).
type Message struct {
	Type     string          `json:"type"` // TypeMessage; TypeEarly, which has no positions
	Channel  Channel         `json:"channel"`
	ID       string          `json:"id"`
	Position Position        `json:"position"`
	Previous Position        `json:"previous"` // the position before this one in the channel
	Time     int64           `json:"time"`     // Unix milliseconds, the server's clock
	Event    string          `json:"event,omitempty"`
	User     string          `json:"user,omitempty"` // who published, if a client with a token did
	Data     json.RawMessage `json:"data"`
}

// Outgoing is one message as a publisher gives it to POST /v1/messages.
type Outgoing struct {
	Channel Channel         `json:"channel"`
	Data    json.RawMessage `json:"data"`
	Event   string          `json:"event,omitempty"`
	ID      string          `json:"id,omitempty"`

	// IfPosition is where the channel must be for the message to be published;
	// "" is a channel without messages, nil any.
	IfPosition *Position `json:"if_position,omitempty"`

	// First says that nobody has sent this id before: it is no second try.
	First bool `json:"first,omitempty"`
}

// Published is the server's answer to one published message.
type Published struct {
	Channel  Channel  `json:"channel,omitempty"`
	ID       string   `json:"id"`
	Position Position `json:"position"`

	// Duplicate: the id was published before, within two minutes; nothing was
	// published now, and Position is that of the first time.
	Duplicate bool `json:"duplicate,omitempty"`
}

// CheckData returns data as it goes out: valid JSON in UTF-8, without
// insignificant white space where that has line breaks in it. Numbers and the
// order of members stay as they were written. The error is an *Error.
func CheckData(data []byte, maxBytes int) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, NewError(CodeDataMissing)
	}
	if len(data) > maxBytes {
		return nil, Errorf(CodeMessageTooLarge, "The message's data has %d bytes; this app's message_bytes limit is %d.", len(data), maxBytes)
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, NewError(CodeBadJSON)
	}
	if bytes.ContainsAny(data, "\r\n") {
		var b bytes.Buffer
		if err := json.Compact(&b, data); err != nil {
			return nil, NewError(CodeBadJSON)
		}
		return b.Bytes(), nil
	}
	return data, nil
}

// AppendBody appends m as the JSON object that travels between nodes: all of
// the message but its type and positions, which only the reader knows. Data
// must have passed CheckData.
func (m *Message) AppendBody(b []byte) []byte {
	b = append(b, `{"channel":`...)
	b = appendString(b, string(m.Channel))
	b = append(b, `,"id":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, m.Time, 10)
	if m.Event != "" {
		b = append(b, `,"event":`...)
		b = appendString(b, m.Event)
	}
	if m.User != "" {
		b = append(b, `,"user":`...)
		b = appendString(b, m.User)
	}
	b = append(b, `,"data":`...)
	b = append(b, m.Data...)
	return append(b, '}')
}

// AppendFrame appends the message frame that is made of a body (AppendBody)
// and the message's positions.
func AppendFrame(b, body []byte, position, previous Position) []byte {
	b = append(b, `{"type":"message","position":`...)
	b = appendString(b, string(position))
	b = append(b, `,"previous":`...)
	b = appendString(b, string(previous))
	b = append(b, ',')
	return append(b, body[1:]...)
}

// AppendEarly appends the early frame that is made of a body (AppendBody).
func AppendEarly(b, body []byte) []byte {
	b = append(b, `{"type":"early",`...)
	return append(b, body[1:]...)
}

// appendString appends s as a JSON string. What needs escaping is rare here,
// so the plain case is a copy.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			q, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(b, `""`...)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
