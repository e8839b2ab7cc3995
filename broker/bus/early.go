package bus

import (
	"time"

	"github.com/nats-io/nats.go"
)

// earlyAfter is how long a message waits for its stream before its copy goes
// out. A leader that is there answers in a few milliseconds; one that died is
// replaced after 4 to 9 s.
const earlyAfter = 300 * time.Millisecond

// headerEarly marks a copy.
const headerEarly = "Fanfare-Early"

// mayCopy reports whether a copy of p may go out before it is stored. Who gets
// one must never get the message a second time as another one, nor one whose
// condition did not hold.
func (b *Bus) mayCopy(p *Packet, s *shard) bool {
	return b.cluster != nil && s != nil && p.First && p.After == nil
}

// sendEarly sends copies of those of left that nobody has answered, in their
// order and once, unless their stream answers others: then it is only busy. A
// copy that is lost is no loss.
func sendEarly(left []sending) {
	for i := range left {
		s := &left[i]
		if !s.early {
			continue
		}
		s.early = false
		if len(s.waiter.answer) > 0 || s.shard.answered.Load() > s.began.UnixNano() {
			continue
		}
		subject, err := subjectOf(ephemeralPrefix, s.packet.App, s.packet.Channel)
		if err != nil {
			continue // it could not have been sent either
		}
		m := &nats.Msg{Subject: subject, Data: s.packet.Body, Header: nats.Header{headerEarly: []string{"1"}}}
		if s.packet.From != "" {
			m.Header[headerFrom] = []string{s.packet.From}
		}
		_ = s.bus.pubs.PublishMsg(m)
	}
}
