package stats

import (
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxRefusals is how many an app's last refusals are.
const maxRefusals = 100

// refusals are the last of one app. They are safe for concurrent use; an app
// that is refused nothing has none.
type refusals struct {
	mu   sync.Mutex
	ring []protocol.Refusal
	next int // where the oldest is, once the ring is full
}

func (r *refusals) add(one protocol.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < maxRefusals {
		r.ring = append(r.ring, one)
		return
	}
	r.ring[r.next] = one
	r.next = (r.next + 1) % maxRefusals
}

// Refuse counts a request or command of the app that was answered with err, and
// keeps why. Of codes whose messages may repeat a part of what was sent, only
// the table's own is kept.
func (m *Meter) Refuse(err error, r protocol.Refusal) {
	for up := m; up != nil; up = up.up.Load() {
		up.Refused.Add(1)
	}
	e := protocol.AsError(err)
	r.Time, r.Code, r.Message, r.Remedy = time.Now().UTC(), e.Code, e.Message, e.Remedy
	if r.Channel == "" {
		r.Channel = e.Channel
	}
	switch e.Code {
	case protocol.CodeBadJSON, protocol.CodeBadRequest, protocol.CodeInternal:
		info, _ := e.Code.Info()
		r.Message, r.Remedy = info.Message, info.Remedy
	}
	m.refusals.add(r)
}

// Refusals are the app's last ones on this node, the newest first.
func (m *Meter) Refusals() []protocol.Refusal {
	r := &m.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]protocol.Refusal, 0, len(r.ring))
	for i := range r.ring {
		out = append(out, r.ring[(r.next+len(r.ring)-1-i)%len(r.ring)])
	}
	return out
}
