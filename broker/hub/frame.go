package hub

import (
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Frame is one line for a client, built once and shared by all who get it. It
// is immutable.
type Frame struct {
	Line     []byte            // one JSON object, no line break
	Type     string            // its type member: protocol.TypeMessage for a message
	Channel  protocol.Channel  // of a message or an answer about one
	Position protocol.Position // of a message; "" on ephemeral channels
	Epoch    string            // of Position
	Seq      uint64            // of Position
	From     string            // the session that published and wants no echo; else ""
}

func newFrame(p *bus.Packet) *Frame {
	f := &Frame{
		Line:     protocol.AppendFrame(make([]byte, 0, len(p.Body)+96), p.Body, p.Position, p.Previous),
		Type:     protocol.TypeMessage,
		Channel:  p.Channel,
		Position: p.Position,
		From:     p.From,
	}
	if p.Position != "" {
		f.Epoch, f.Seq, _ = p.Position.Parse() // the bus made it
	}
	return f
}

// recent is a channel's newest messages, while it has subscribers here: enough
// for those who were away for a moment. Its channel's lock guards it.
type recent struct {
	epoch  string
	from   uint64 // all messages behind this sequence are in frames
	frames []*Frame
	size   int
}

// Bounds of recent, of each channel.
const (
	recentFrames = 32
	recentBytes  = 16 << 10
)

// begin forgets all: what comes from now on comes behind last.
func (r *recent) begin(last protocol.Position) {
	*r = recent{}
	if last != "" {
		r.epoch, r.from, _ = last.Parse()
	}
}

func (r *recent) add(f *Frame) {
	if f.Epoch != r.epoch || f.Seq <= r.from {
		if f.Epoch != "" && f.Epoch != r.epoch { // the channel moved to another stream
			*r = recent{epoch: f.Epoch, from: f.Seq}
		}
		return
	}
	r.frames = append(r.frames, f)
	r.size += len(f.Line)
	for len(r.frames) > recentFrames || r.size > recentBytes && len(r.frames) > 0 {
		r.from = r.frames[0].Seq
		r.size -= len(r.frames[0].Line)
		r.frames[0] = nil
		r.frames = r.frames[1:]
	}
}

// since is all behind seq; false where some of it is no longer here.
func (r *recent) since(epoch string, seq uint64) ([]*Frame, bool) {
	if epoch != r.epoch || seq < r.from {
		return nil, false
	}
	for i, f := range r.frames {
		if f.Seq > seq {
			return append([]*Frame(nil), r.frames[i:]...), true
		}
	}
	return nil, true
}
