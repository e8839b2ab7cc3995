package ledger

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Peers is the way to the other nodes of a cluster. A *bus.Peers is one.
type Peers interface {
	Ask(ctx context.Context, topic string, body []byte, each func(node string, part []byte)) (missing []string, err error)
	Answer(topic string, fn func(node string, body []byte, reply func([]byte)))
}

const topicRefusals = "refusals"

// join lets the other nodes ask for refusals.
func (l *Ledger) join(p Peers) {
	p.Answer(topicRefusals, func(_ string, body []byte, reply func([]byte)) {
		var app protocol.AppID
		if json.Unmarshal(body, &app) != nil {
			return
		}
		if text, err := json.Marshal(l.o.Stats.App(app).Refusals()); err == nil { // it has nothing that fails
			reply(text)
		}
	})
}

// Refusals are the last requests and commands of an app that were refused, on
// all nodes: at most limit, the newest first. They are in memory: a node that
// is restarted forgets its own.
func (l *Ledger) Refusals(ctx context.Context, app protocol.AppID, limit int) []protocol.Refusal {
	all := l.o.Stats.App(app).Refusals()
	if l.o.Peers != nil {
		body, err := json.Marshal(app)
		if err == nil {
			_, err = l.o.Peers.Ask(ctx, topicRefusals, body, func(_ string, part []byte) {
				var more []protocol.Refusal
				if json.Unmarshal(part, &more) == nil {
					all = append(all, more...)
				}
			})
		}
		l.trouble(ctx, "the other nodes cannot be asked for refusals", err)
		slices.SortStableFunc(all, func(a, b protocol.Refusal) int { return b.Time.Compare(a.Time) })
	}
	return all[:min(len(all), limit)]
}
