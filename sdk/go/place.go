package fanfare

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// place is where a subscription is in each of its channels. It belongs to the
// subscription's goroutine.
type place struct {
	seen   map[protocol.Channel]protocol.Position // of the last message
	base   map[protocol.Channel]protocol.Position // where nothing was seen: that of the server's answer
	at     int64                                  // when it certainly had all, Unix milliseconds; 0 = unknown
	rewind bool                                   // messages before base may come
}

func newPlace(since map[string]protocol.Position, at int64, rewind bool) (place, error) {
	p := place{seen: map[protocol.Channel]protocol.Position{}, base: map[protocol.Channel]protocol.Position{}, at: at, rewind: rewind}
	for name, position := range since {
		ch, err := protocol.ParseChannel(name)
		if err != nil {
			return p, err
		}
		if _, _, err := position.Parse(); err != nil {
			return p, protocol.AsError(err).On(ch)
		}
		p.seen[ch] = position
	}
	return p, nil
}

// welcome is the server's word that a connection begins.
func (p *place) welcome(at int64, again bool) {
	switch {
	case again:
		p.rewind = false // only the first one asks for it
	case len(p.seen) == 0:
		p.at = at // nothing before it was asked for
	}
}

// begin is the server's answer that the channel begins at a position.
func (p *place) begin(ch protocol.Channel, at *protocol.Position) {
	delete(p.seen, ch)
	delete(p.base, ch)
	if at != nil && *at != "" {
		p.base[ch] = *at
		if !p.rewind {
			p.seen[ch] = *at
		}
	}
}

// take moves on to m. It is false where m has come before.
func (p *place) take(m *protocol.Message) bool {
	epoch, seq, err := m.Position.Parse()
	if err != nil {
		return true // an ephemeral channel's
	}
	if e, s, err := p.seen[m.Channel].Parse(); err == nil && e == epoch && seq <= s {
		return false
	}
	p.seen[m.Channel] = m.Position
	return true
}

// id is an event id that resumes all channels where they are; "" where none is
// anywhere. Channels that are stored together share an epoch, and one sequence
// speaks for them: the smallest, since what comes twice is dropped.
func (p *place) id() string {
	least := map[string]uint64{}
	note := func(position protocol.Position) {
		epoch, seq, err := position.Parse()
		if have, ok := least[epoch]; err == nil && (!ok || seq < have) {
			least[epoch] = seq
		}
	}
	for _, position := range p.seen {
		note(position)
	}
	for ch, position := range p.base {
		if p.seen[ch] == "" {
			note(position)
		}
	}
	if len(least) == 0 {
		return ""
	}
	all := make([]string, 0, len(least))
	for epoch, seq := range least {
		all = append(all, string(protocol.NewPosition(epoch, seq)))
	}
	slices.Sort(all)
	id := strings.Join(all, ",")
	if p.at > 0 {
		id += "@" + strconv.FormatInt(p.at, 10)
	}
	return id
}
