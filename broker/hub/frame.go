package hub

import (
	"sync/atomic"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Frame is one line for a client, or several, built once and shared by all who
// get it. It is immutable.
type Frame struct {
	Line     []byte            // one JSON object without a line break, or of each of Parts one
	Type     string            // its type member: protocol.TypeMessage for a message, TypeEarly for a copy
	Channel  protocol.Channel  // of a message or an answer about one
	Position protocol.Position // of a message; "" on ephemeral channels
	Epoch    string            // of Position
	Seq      uint64            // of Position
	From     string            // the session that published and wants no echo; else ""
	Reply    *protocol.Reply   // what Line says, or a little more, of all but messages; nil of those
	Page     int               // which page of its sync it is, from 0

	// Parts are the frames that this one joins, two or more: all that it says
	// of a message is said of the last. nil: it is a single one.
	Parts []*Frame

	coded atomic.Pointer[coded]
}

// Wire is how a door writes a frame. Its address is its identity.
type Wire struct {
	Encode func(f *Frame) []byte // must be the same for the same frame
}

// coded is a frame as one wire writes it.
type coded struct {
	wire  *Wire
	bytes []byte
	next  *coded // other wires'
}

// On is the frame as w writes it: made for the first who asks, and shared. The
// bytes must not be changed.
func (f *Frame) On(w *Wire) []byte {
	first := f.coded.Load()
	for c := first; c != nil; c = c.next {
		if c.wire == w {
			return c.bytes
		}
	}
	c := &coded{wire: w, bytes: w.Encode(f), next: first}
	f.coded.CompareAndSwap(first, c) // who comes second has made the same
	return c.bytes
}

// joinedBytes is how large a joined frame may grow.
const joinedBytes = 64 << 10

// Join makes as few frames of fs as it can, in the same order, for a wire that
// takes several lines at once. It keeps the frames, not fs.
func Join(fs []*Frame) []*Frame {
	var out []*Frame
	for len(fs) > 0 {
		n, size := 1, len(fs[0].Line)
		for n < len(fs) && fs[0].Line != nil && fs[n].Line != nil && size+1+len(fs[n].Line) <= joinedBytes {
			size += 1 + len(fs[n].Line)
			n++
		}
		out = append(out, join(fs[:n], size))
		fs = fs[n:]
	}
	return out
}

// joinRuns joins what a subscriber takes or leaves as one: messages of one
// epoch, of which it has had those up to a sequence. Who published and wants
// no echo must be able to leave out just its own.
func joinRuns(fs []*Frame) []*Frame {
	var out []*Frame
	for len(fs) > 0 {
		n := 1
		for n < len(fs) && fs[0].From == "" && fs[n].From == "" && fs[0].Epoch == fs[n].Epoch && fs[0].Type == fs[n].Type {
			n++
		}
		out = append(out, Join(fs[:n])...)
		fs = fs[n:]
	}
	return out
}

func join(fs []*Frame, size int) *Frame {
	if len(fs) == 1 {
		return fs[0]
	}
	last := fs[len(fs)-1]
	joined := &Frame{
		Line: make([]byte, 0, size), Type: last.Type, Channel: last.Channel, Position: last.Position, Epoch: last.Epoch, Seq: last.Seq,
		Parts: make([]*Frame, 0, len(fs)),
	}
	for i, f := range fs {
		if i > 0 {
			joined.Line = append(joined.Line, '\n')
		}
		joined.Line = append(joined.Line, f.Line...)
		if f.Parts != nil {
			joined.Parts = append(joined.Parts, f.Parts...)
		} else {
			joined.Parts = append(joined.Parts, f)
		}
	}
	return joined
}

func newFrame(p *bus.Packet) *Frame {
	if p.Early {
		return &Frame{Line: protocol.AppendEarly(make([]byte, 0, len(p.Body)+16), p.Body), Type: protocol.TypeEarly, Channel: p.Channel, From: p.From}
	}
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
