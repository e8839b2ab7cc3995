package bench

import "net/url"

// nchanSSEWire is nchan's stream of server-sent events, beside its WebSocket,
// which is a plainWire.
type nchanSSEWire struct{ plainWire }

func (w *nchanSSEWire) request(channel string) []byte {
	return w.stream("/sub?id="+url.QueryEscape(channel), "")
}
