package bench

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// fanfareWire is our own WebSocket (PROTOCOL.md, sections 2 to 6) and REST.
type fanfareWire struct{ *target }

func (w *fanfareWire) request(string) []byte {
	return w.handshake("/v1/ws", protocol.Subprotocol)
}

func (w *fanfareWire) greeting(channel string) ([]byte, bool) {
	return fmt.Appendf(nil, `{"type":"hello","key":%q,"client":"fanfare-bench"}`+"\n"+`{"type":"subscribe","ref":1,"channel":%q}`, w.key, channel), false
}

func (w *fanfareWire) answer(text []byte) (a answer) {
	for line := range protocol.Lines(text) {
		if bytes.HasPrefix(line, []byte(`{"type":"message"`)) {
			continue // nearly all are: it need not be decoded
		}
		var r protocol.Reply
		if json.Unmarshal(line, &r) != nil {
			a.err = errWords
			return a
		}
		switch r.Type {
		case protocol.TypePing:
			a.reply = []byte(`{"type":"pong"}`)
		case protocol.TypeSubscribed, protocol.TypeUnsubscribed:
			if r.Recovered != nil && !*r.Recovered {
				a.err = &Failure{
					Message: "the server could not resume: " + r.Reason,
					Remedy:  "Where the channel keeps fewer messages than were missed, lower --missed, or have a rule keep more.",
				}
			} else if r.Ref >= firstCommand {
				a.command = r.Ref
			} else {
				a.subscribed = true
			}
		case protocol.TypeError, protocol.TypeClose:
			a.err = &protocol.Error{Code: r.Code, Message: r.Message, Remedy: r.Remedy, Channel: r.Channel, Index: -1}
		}
	}
	return a
}

func (w *fanfareWire) publish(messages []message) ([]byte, int) {
	var body []byte
	if len(messages) != 1 {
		body = append(body, `{"messages":[`...)
	}
	for i, m := range messages {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"channel":"`...)
		body = append(body, m.channel...)
		body = append(body, `","data":`...)
		body = append(body, m.data...)
		body = append(body, '}')
	}
	if len(messages) != 1 {
		body = append(body, `]}`...)
	}
	return w.post("/v1/messages", "Authorization: Bearer "+w.key+"\r\nContent-Type: application/json\r\n", body), 1
}

func (*fanfareWire) subscribe(channel string, command int64) []byte {
	return fmt.Appendf(nil, `{"type":"subscribe","ref":%d,"channel":%q}`, command, channel)
}

func (*fanfareWire) unsubscribe(channel string, command int64) []byte {
	return fmt.Appendf(nil, `{"type":"unsubscribe","ref":%d,"channel":%q}`, command, channel)
}

func (*fanfareWire) position(text []byte, before string) string {
	for line := range protocol.Lines(text) {
		var m protocol.Message
		if json.Unmarshal(line, &m) == nil && m.Type == protocol.TypeMessage {
			before = string(m.Position)
		}
	}
	return before
}

func (w *fanfareWire) resume(channel, position string) []byte {
	return fmt.Appendf(nil, `{"type":"hello","key":%q,"client":"fanfare-bench"}`+"\n"+`{"type":"subscribe","ref":1,"channel":%q,"since":%q}`, w.key, channel, position)
}
