package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// centrifugeWire is the JSON protocol of the centrifuge library and of
// Centrifugo on its WebSocket, and an HTTP API like Centrifugo's.
type centrifugeWire struct{ *target }

func (w *centrifugeWire) request(string) []byte {
	return w.handshake("/connection/websocket", "")
}

func (*centrifugeWire) greeting(channel string) ([]byte, bool) {
	return fmt.Appendf(nil, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":%q}}`, channel), false
}

func (*centrifugeWire) answer(text []byte) (a answer) {
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 || bytes.HasPrefix(line, []byte(`{"push":{"channel"`)) {
			continue // nearly all are: it need not be decoded
		}
		var r struct {
			ID    int
			Error *struct {
				Code    int
				Message string
			}
			Push *struct {
				Disconnect *struct {
					Code   int
					Reason string
				}
			}
		}
		switch err := json.Unmarshal(line, &r); {
		case err != nil:
			a.err = errWords
		case r.Error != nil:
			a.err = fmt.Errorf("the server refuses: %d %s", r.Error.Code, r.Error.Message)
		case r.Push != nil && r.Push.Disconnect != nil:
			a.err = fmt.Errorf("%w: %d %s", errEnded, r.Push.Disconnect.Code, r.Push.Disconnect.Reason)
		case r.ID == 2:
			a.subscribed = true
		case r.ID == 0 && r.Push == nil: // {} is a ping
			a.reply = []byte("{}")
		}
	}
	return a
}

func (w *centrifugeWire) publish(messages []message) ([]byte, int) {
	path, body := "/api/publish", []byte(nil)
	one := func(m message) {
		body = append(append(append(body, `{"channel":"`...), m.channel...), `","data":`...)
		body = append(append(body, m.data...), '}')
	}
	if len(messages) == 1 {
		one(messages[0])
	} else {
		path, body = "/api/batch", append(body, `{"commands":[`...)
		for i, m := range messages {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, `{"publish":`...)
			one(m)
			body = append(body, '}')
		}
		body = append(body, `]}`...)
	}
	return w.post(path, "Content-Type: application/json\r\n", body), 1
}
