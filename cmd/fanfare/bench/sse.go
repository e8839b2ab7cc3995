package bench

import (
	"bytes"
	"encoding/json"
	"net/url"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// sseWire is our own server-sent events (PROTOCOL.md, section 7) and REST.
type sseWire struct{ rest *fanfareWire }

func (w *sseWire) request(channel string) []byte {
	return w.rest.stream("/v1/sse?channel="+url.QueryEscape(channel), "Authorization: Bearer "+w.rest.key+"\r\n")
}

func (*sseWire) greeting(string) ([]byte, bool) { return nil, false }

func (w *sseWire) publish(messages []message) ([]byte, int) { return w.rest.publish(messages) }

func (*sseWire) answer(text []byte) (a answer) {
	if !bytes.Contains(text, []byte("event:")) {
		return answer{} // messages have no event line
	}
	for event := range bytes.SplitSeq(text, []byte("\n\n")) {
		switch {
		case bytes.Contains(event, []byte("event: subscribed\n")):
			a.subscribed = true
		case bytes.Contains(event, []byte("event: close\n")):
			var r protocol.Reply
			_, data, _ := bytes.Cut(event, []byte("data: "))
			if json.Unmarshal(data, &r) != nil {
				a.err = errWords
				return a
			}
			a.err = &protocol.Error{Code: r.Code, Message: r.Message, Remedy: r.Remedy, Index: -1}
		}
	}
	return a
}
