package sse

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// eventID is the position of all of a stream's channels, as event ids tell it:
// epoch:seq for each place where channels are stored, comma between them, and
// @ the time in Unix milliseconds. It belongs to the stream's writer.
//
// While the past is being sent the channels are not at one place yet; until
// the session says that all are live, the id stays that of the request.
type eventID struct {
	hold  string // the id until then
	marks map[protocol.Channel]mark
	seqs  map[string]uint64 // by epoch; nil until then
}

type mark struct {
	epoch string
	seq   uint64
}

// see takes note of a frame that goes out.
func (id *eventID) see(f *hub.Frame) {
	switch {
	case f.Type == session.TypeLive:
		id.seqs = map[string]uint64{}
		for _, m := range id.marks {
			if seq, ok := id.seqs[m.epoch]; !ok || m.seq < seq {
				id.seqs[m.epoch] = m.seq
			}
		}
		id.marks, id.hold = nil, ""
	case f.Epoch == "":
	case id.seqs != nil:
		// What is stored together comes in its order: all before it is out.
		if f.Seq > id.seqs[f.Epoch] {
			id.seqs[f.Epoch] = f.Seq
		}
	default:
		if id.marks == nil {
			id.marks = map[protocol.Channel]mark{}
		}
		if m := id.marks[f.Channel]; m.epoch != f.Epoch || m.seq < f.Seq {
			id.marks[f.Channel] = mark{f.Epoch, f.Seq}
		}
	}
}

// String is the id now, "" where all channels are ephemeral.
func (id *eventID) String() string {
	if len(id.seqs) == 0 {
		return id.hold
	}
	all := make([]string, 0, len(id.seqs))
	for epoch, seq := range id.seqs {
		all = append(all, string(protocol.NewPosition(epoch, seq)))
	}
	slices.Sort(all)
	return strings.Join(all, ",") + "@" + strconv.FormatInt(time.Now().UnixMilli(), 10)
}

// parseID reads what String wrote. A plain position, as of a message, is an
// id too.
func parseID(s string) (*session.Resume, error) {
	r := &session.Resume{Seqs: map[string]uint64{}}
	positions, at, timed := strings.Cut(s, "@")
	if timed {
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || ms < 0 {
			return nil, protocol.NewError(protocol.CodePositionInvalid)
		}
		r.At = time.UnixMilli(ms)
	}
	for p := range strings.SplitSeq(positions, ",") {
		epoch, seq, err := protocol.Position(p).Parse()
		if err != nil || len(r.Seqs) > 64 {
			return nil, protocol.NewError(protocol.CodePositionInvalid)
		}
		r.Seqs[epoch] = seq
	}
	return r, nil
}
