package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
			ID        int64
			Subscribe *struct {
				Recovered     bool
				WasRecovering bool `json:"was_recovering"`
			}
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
		case r.Subscribe != nil && r.Subscribe.WasRecovering && !r.Subscribe.Recovered:
			a.err = errors.New("the server could not resume")
		case r.ID >= firstCommand:
			a.command = r.ID
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

func (*centrifugeWire) subscribe(channel string, command int64) []byte {
	return fmt.Appendf(nil, `{"id":%d,"subscribe":{"channel":%q}}`, command, channel)
}

func (*centrifugeWire) unsubscribe(channel string, command int64) []byte {
	return fmt.Appendf(nil, `{"id":%d,"unsubscribe":{"channel":%q}}`, command, channel)
}

// position is epoch:offset; the epoch is in the answer to the subscribe, and
// the offset in each message.
func (*centrifugeWire) position(text []byte, before string) string {
	epoch, offset, _ := strings.Cut(before, ":")
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		var r struct {
			Subscribe struct{ Epoch string }
			Push      struct{ Pub struct{ Offset json.Number } }
		}
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		if r.Subscribe.Epoch != "" {
			epoch = r.Subscribe.Epoch
		}
		if o := r.Push.Pub.Offset; o != "" {
			offset = o.String()
		}
	}
	return epoch + ":" + offset
}

func (*centrifugeWire) resume(channel, position string) []byte {
	epoch, offset, _ := strings.Cut(position, ":")
	return fmt.Appendf(nil, `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":%q,"recover":true,"epoch":%q,"offset":%s}}`, channel, epoch, offset)
}
