package bus

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
)

// Answer has fn called with what the others ask under topic. It calls reply
// with each part of its answer, at most MaxBody bytes. A topic has one.
func (p *Peers) Answer(topic string, fn func(node string, body []byte, reply func([]byte))) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer[topic] = fn
}

func (p *Peers) asked(m *nats.Msg) {
	from := m.Header.Get(headerNode)
	if from == "" || from == p.id || m.Reply == "" {
		return
	}
	p.mu.Lock()
	fn := p.answer[m.Subject[len(askSubject):]]
	p.mu.Unlock()
	if fn == nil {
		return // it starts or stops: the asker waits no longer than for a dead one
	}
	send := func(body []byte, h nats.Header) {
		h[headerNode] = []string{p.id}
		_ = p.nc.PublishMsg(&nats.Msg{Subject: m.Reply, Data: body, Header: h}) // no answer is what the asker counts with
	}
	fn(from, m.Data, func(body []byte) { send(body, nats.Header{}) })
	send(nil, nats.Header{headerEnd: []string{"1"}})
}

// Ask asks all other nodes and calls each with the parts of their answers, one
// after the other. It returns when all have answered, or are gone, or after two
// seconds; missing are those who did not.
func (p *Peers) Ask(ctx context.Context, topic string, body []byte, each func(node string, part []byte)) (missing []string, err error) {
	wait := p.ids()
	if len(wait) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	inbox := nats.NewInbox()
	sub, err := p.nc.SubscribeSync(inbox)
	if err != nil {
		return wait, classify("asking the other nodes", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // an error is that the connection has ended
	m := &nats.Msg{Subject: askSubject + topic, Reply: inbox, Data: body, Header: nats.Header{headerNode: []string{p.id}}}
	if err := p.nc.PublishMsg(m); err != nil {
		return wait, classify("asking the other nodes", err)
	}
	for len(wait) > 0 {
		step, end := context.WithTimeout(ctx, lookEvery)
		m, err := sub.NextMsgWithContext(step)
		end()
		if ctx.Err() != nil {
			return wait, nil
		}
		if err != nil {
			alive := p.ids()
			wait = slices.DeleteFunc(wait, func(id string) bool { return !slices.Contains(alive, id) })
			continue
		}
		from := m.Header.Get(headerNode)
		if m.Header.Get(headerEnd) != "" {
			wait = slices.DeleteFunc(wait, func(id string) bool { return id == from })
			continue
		}
		each(from, m.Data)
	}
	return nil, nil
}
