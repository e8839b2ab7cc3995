package bench

import (
	"errors"
	"fmt"
)

// wire is how one kind of server is spoken to. Each has a file of its name.
// It keeps no state: all connections share one.
type wire interface {
	// request is the HTTP request that opens a connection for a channel: a
	// WebSocket handshake, or that of a stream of server-sent events.
	request(channel string) []byte

	// greeting is the text that a client sends first; nil for none. live says
	// that the request alone subscribes, so that no answer is waited for.
	greeting(channel string) (text []byte, live bool)

	// answer looks at a text from the server for what is no message.
	answer(text []byte) answer

	// publish is the HTTP request that publishes messages at once; where the
	// wire needs several, it says how many answers they will have.
	publish(messages []message) (requests []byte, answers int)
}

// firstCommand is the least number of a command behind the greeting.
const firstCommand = 10

// churner is a wire on which a connection can change its channels.
type churner interface {
	subscribe(channel string, command int64) []byte
	unsubscribe(channel string, command int64) []byte
}

// resumer is a wire on which a subscriber can go on where it was.
type resumer interface {
	// position is where a subscriber is that has got text, a message or the
	// answer to its subscribe, or before; "" where text does not say.
	position(text []byte, before string) string

	// resume is the greeting of a subscriber that was at a position.
	resume(channel, position string) []byte
}

var errWords = errors.New("the server speaks another protocol than --wire says")

// message is one to publish.
type message struct {
	channel string
	data    []byte // a JSON string
}

// answer is what a text from a server means besides its messages.
type answer struct {
	subscribed bool   // the greeting's subscribe is answered
	command    int64  // the number of a later command that is answered
	reply      []byte // to be sent, as for a ping
	err        error  // the server refuses or says goodbye
}

func newWire(t *target) (wire, error) {
	switch t.Wire {
	case "fanfare":
		return &fanfareWire{t}, nil
	case "sse":
		return &sseWire{&fanfareWire{t}}, nil
	case "plain", "nchan":
		return &plainWire{t}, nil
	case "nchan-sse":
		return &nchanSSEWire{plainWire{t}}, nil
	case "centrifuge":
		return &centrifugeWire{t}, nil
	case "pusher":
		return newPusherWire(t)
	}
	return nil, fmt.Errorf("wire %q: %w", t.Wire, errWords)
}

// handshake is the request of a WebSocket; subprotocol may be "".
func (t *target) handshake(path, subprotocol string) []byte {
	if subprotocol != "" {
		subprotocol = "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", t.path+path, t.host, subprotocol)
}

// acceptKey answers the key above (it is the example of RFC 6455).
const acceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// stream is the request of a stream of server-sent events.
func (t *target) stream(path, header string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s\r\n", t.path+path, t.host, header)
}

// post is a request with a body.
func (t *target) post(path, header string, body []byte) []byte {
	b := make([]byte, 0, len(body)+256)
	b = fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", t.path+path, t.host, header, len(body))
	return append(b, body...)
}
