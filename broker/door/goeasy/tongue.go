package goeasy

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// The events that a server sends.
const (
	eventMessage  = "message"
	eventPresence = "PS_PRESENCE_EVENT"
)

// quietMark is what the ids of messages end with that are not sent again
// (qos 0 of this door's own publishers). All others are, where their channel
// keeps them.
const quietMark = ".q0"

// oldPresence is what clients before 2.7 put behind a channel's name for the
// channel of its presence.
const oldPresence = "_presence"

func tongue() session.Tongue {
	return session.Tongue{
		Traits: session.Traits{Door: "goeasy", Pongs: true},
		Say:    say,
		// No code of a WebSocket means anything to these clients: they come back
		// whenever a connection ends.
		Code: func(why *protocol.Error) (int, string) { return why.CloseCode(), string(why.Code) },
	}
}

// incoming is a message as clients get it. They take it as an object or as a
// string that holds it; those before 1.2 take only the string.
type incoming struct {
	Channel protocol.Channel `json:"n"`
	Content string           `json:"c"`
	Time    int64            `json:"t"`
	ID      string           `json:"i"`           // clients leave out what they have had
	Ack     int              `json:"a,omitempty"` // 1: they send the id back
}

// say is a frame as an engine.io packet. Of all that a session tells only
// messages concern these clients; calls are answered where they are carried
// out.
func say(f *hub.Frame, each func(text []byte)) {
	if f.Type != protocol.TypeMessage {
		return
	}
	var m protocol.Message
	if err := json.Unmarshal(f.Line, &m); err != nil { // the hub made it
		return
	}
	in := incoming{Channel: m.Channel, Content: content(m.Data), Time: m.Time, ID: receipt(&m)}
	if resent(&m) {
		in.Ack = 1
	}
	each(appendMessage(make([]byte, 0, len(f.Line)+64), in))
}

func appendMessage(b []byte, m any) []byte {
	text, err := json.Marshal(m)
	if err == nil {
		text, err = json.Marshal(string(text))
	}
	if err != nil { // strings and numbers always marshal
		return b
	}
	return appendEvent(b, eventMessage, text)
}

// content is data as this door's clients read it, who know text alone: a
// string as it is, all else as JSON.
func content(data json.RawMessage) string {
	var s string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &s) == nil {
		return s
	}
	return string(data)
}

// resent reports whether a message that a client missed is sent again.
func resent(m *protocol.Message) bool {
	return m.Position != "" && !strings.HasSuffix(m.ID, quietMark)
}

// receipt is the id under which clients know a message, and with which they
// say that they have had it. It names the place in the channel, so that
// nothing has to be remembered of what was sent.
func receipt(m *protocol.Message) string {
	if m.Position == "" {
		return m.ID
	}
	return fmt.Sprintf("%s.%08x", m.Position, mark(m.Channel))
}

// mark stands for a channel in a receipt. Two channels of one connection with
// the same mark cost, at worst, a message that is sent twice or not again.
func mark(ch protocol.Channel) uint32 { return crc32.ChecksumIEEE([]byte(ch)) }

// readReceipt is what receipt has put together.
func readReceipt(s string) (p protocol.Position, of uint32, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 || len(s)-i != 9 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 16, 32)
	if err != nil {
		return "", 0, false
	}
	p = protocol.Position(s[:i])
	if _, _, err := p.Parse(); err != nil {
		return "", 0, false
	}
	return p, uint32(n), true
}
