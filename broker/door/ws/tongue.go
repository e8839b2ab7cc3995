package ws

import (
	"encoding/binary"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// tongue is a language as WebSockets carry it. It is immutable; there is one
// for each.
type tongue struct {
	session.Tongue
	wire *hub.Wire

	// gather appends as many of frames as make one batch to out.
	gather func(out []byte, frames []*hub.Frame) ([]byte, []*hub.Frame)
}

// ownTongue is Fanfare's own language: a text frame may have several lines
// (PROTOCOL.md, clause 2.4).
func ownTongue() *tongue {
	return &tongue{
		Tongue: session.Tongue{
			Traits:       session.Traits{Door: "ws", Pongs: true},
			Code:         func(why *protocol.Error) (int, string) { return why.CloseCode(), string(why.Code) },
			Subprotocols: []string{protocol.Subprotocol},
		},
		wire:   &hub.Wire{Encode: text},
		gather: gatherLines,
	}
}

// foreignTongue is another language: a text frame for each frame.
func foreignTongue(t session.Tongue) *tongue {
	f := &tongue{Tongue: t}
	f.wire = &hub.Wire{Encode: func(one *hub.Frame) []byte {
		if one.Parts == nil {
			return f.sentences(one)
		}
		var b []byte
		for _, part := range one.Parts {
			b = append(b, part.On(f.wire)...)
		}
		return b
	}}
	f.gather = func(out []byte, frames []*hub.Frame) ([]byte, []*hub.Frame) {
		return append(out, frames[0].On(f.wire)...), frames[1:]
	}
	return f
}

// sentences is a single frame as text frames; nil where there is nothing to say.
func (t *tongue) sentences(f *hub.Frame) (b []byte) {
	if f.Type == session.TypeSpoken {
		return text(f)
	}
	t.Say(f, func(said []byte) { b = append(appendHead(b, len(said)), said...) })
	return b
}

// text is a frame as this wire writes it: an unmasked text frame, final and
// uncompressed (RFC 6455, section 5.2).
func text(f *hub.Frame) []byte { return appendText(nil, len(f.Line), f) }

// appendText appends one text frame that holds frames, of size bytes in all.
func appendText(b []byte, size int, frames ...*hub.Frame) []byte {
	if b == nil {
		b = make([]byte, 0, size+10)
	}
	b = appendHead(b, size)
	for i, f := range frames {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, f.Line...)
	}
	return b
}

// appendHead appends the header of a text frame of size bytes.
func appendHead(b []byte, size int) []byte {
	const final, opText = 0x80, 0x1
	switch {
	case size < 126:
		return append(b, final|opText, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, final|opText, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, final|opText, 127), uint64(size))
}

// gatherLines makes one text frame of as many frames as maxBatch allows.
func gatherLines(out []byte, frames []*hub.Frame) ([]byte, []*hub.Frame) {
	n, size := 1, len(frames[0].Line)
	for n < len(frames) && size+1+len(frames[n].Line) <= maxBatch {
		size += 1 + len(frames[n].Line)
		n++
	}
	return appendText(out, size, frames[:n]...), frames[n:]
}
