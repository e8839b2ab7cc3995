package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/nats-io/nats.go"
)

// Packet is one message on its way between nodes. It is a value; Body may be
// shared and must not be changed.
type Packet struct {
	App     protocol.AppID
	Channel protocol.Channel

	// Body is the message's JSON (protocol.Message.AppendBody), at most
	// MaxBody bytes. It must name Channel: where the name is too long for a
	// subject, the other end reads it there.
	Body []byte

	// From names the session that published, so that it can be left out of the
	// fan-out; "" if none. Same characters as a message id.
	From string

	// Position and Previous are empty on ephemeral channels, which are all
	// there are yet.
	Position, Previous protocol.Position
}

// headerFrom carries Packet.From. A packet without it has no header at all,
// which is the fast way through the server.
const headerFrom = "Fanfare-From"

// Publish sends p to the feeds of all nodes, this one included. Packets of one
// goroutine arrive in the order in which it published them. The position is ""
// since p is kept nowhere: nil means that it was handed to the message server.
func (b *Bus) Publish(ctx context.Context, p Packet) (protocol.Position, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	subject, err := subjectOf(p.App, p.Channel)
	if err != nil {
		return "", err
	}
	if len(p.Body) > MaxBody {
		return "", fmt.Errorf("publishing: the body has %d bytes, %d is the most", len(p.Body), MaxBody)
	}
	if p.From == "" {
		return "", classify("publishing", b.pubs.Publish(subject, p.Body))
	}
	if protocol.CheckID(p.From) != nil { // it must not break out of its header line
		return "", errors.New("publishing: the session's name is not valid")
	}
	m := &nats.Msg{Subject: subject, Data: p.Body, Header: nats.Header{headerFrom: {p.From}}}
	return "", classify("publishing", b.pubs.PublishMsg(m))
}
