package bench

import "net/url"

// plainWire is the least that a server can speak: GET /sub?id=… is a WebSocket
// of text frames, one a message and no more, and POST /pub?id=… publishes its
// body. nginx with nchan speaks it, and the floor among our peers does.
type plainWire struct{ *target }

func (w *plainWire) request(channel string) []byte {
	return w.handshake("/sub?id="+url.QueryEscape(channel), "")
}

func (*plainWire) greeting(string) ([]byte, bool) { return nil, true }

func (*plainWire) answer([]byte) answer { return answer{} }

// publish sends several messages as pipelined requests, since one takes one.
func (w *plainWire) publish(messages []message) (b []byte, answers int) {
	for _, m := range messages {
		b = append(b, w.post("/pub?id="+url.QueryEscape(m.channel), "Content-Type: text/plain\r\n", m.data)...)
	}
	return b, len(messages)
}
