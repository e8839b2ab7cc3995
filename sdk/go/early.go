package fanfare

import (
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// early is what a subscription must remember of a channel to hand on each
// message once, stored or before that (PROTOCOL.md, clause 4.8). It belongs to
// the subscription's goroutine.
type early struct {
	since  int64            // all that are newer, if they came at all, are in stored
	stored map[string]int64 // id → time: the newest
	order  []string         // of stored
	ahead  map[string]int64 // those that came early and are not stored yet
}

const (
	earlyMost   = 1000              // ids of each kind
	earlyWindow = 150 * time.Second // in which a message that came early is stored, if at all
)

// answered is the server's answer to a subscribe, and its time.
func (s *Subscription) answered(ch protocol.Channel, at int64) {
	if s.early != nil && at > 0 && s.early[ch] == nil {
		s.early[ch] = &early{since: at, stored: map[string]int64{}, ahead: map[string]int64{}}
	}
}

// fresh moves on to m, and reports whether it is to be handed on.
func (s *Subscription) fresh(m *protocol.Message) bool {
	e := s.early[m.Channel]
	if m.Type == protocol.TypeEarly {
		return e != nil && e.new(m)
	}
	return s.place.take(m) && (e == nil || e.take(m))
}

// new reports whether m, which came early, surely has not come before. Where
// that is not sure, the stored one is enough.
func (e *early) new(m *protocol.Message) bool {
	_, known := e.stored[m.ID]
	_, came := e.ahead[m.ID]
	if known || came || m.Time <= e.since {
		return false
	}
	for id, at := range e.ahead {
		if at < m.Time-earlyWindow.Milliseconds() {
			delete(e.ahead, id)
		}
	}
	if len(e.ahead) >= earlyMost {
		return false
	}
	e.ahead[m.ID] = m.Time
	return true
}

// take reports whether m, which is stored, did not come early.
func (e *early) take(m *protocol.Message) bool {
	if _, twice := e.stored[m.ID]; !twice {
		e.order = append(e.order, m.ID)
	}
	e.stored[m.ID] = m.Time
	if len(e.order) > earlyMost {
		oldest := e.order[0]
		e.order = e.order[1:]
		e.since = max(e.since, e.stored[oldest])
		delete(e.stored, oldest)
	}
	_, came := e.ahead[m.ID]
	delete(e.ahead, m.ID)
	return !came
}
