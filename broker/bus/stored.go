package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Stored is how many messages the streams keep of an app, in all its channels:
// those that a rule hides because it keeps fewer than the stream are counted
// too. It costs a look into each stream, and depends on none of their sizes.
func (b *Bus) Stored(ctx context.Context, app protocol.AppID) (messages int64, err error) {
	if !validApp(string(app)) {
		return 0, fmt.Errorf("app id %q cannot be part of a subject", string(app))
	}
	for s := range b.eachShard() {
		n, err := b.matching(ctx, s.stream, s.ingest()+"*."+string(app)+".>")
		if err != nil {
			return 0, classify("counting what is kept", err)
		}
		messages += n
	}
	return messages, nil
}

// matching is how many messages of a stream this node's copy has under a
// subject.
func (b *Bus) matching(ctx context.Context, stream, subject string) (int64, error) {
	body, err := json.Marshal(server.JSApiMsgGetRequest{Seq: 1, NextFor: subject, Batch: 1})
	if err != nil {
		return 0, err
	}
	m, err := b.reads.RequestWithContext(ctx, fmt.Sprintf(server.JSDirectMsgGetT, stream), body)
	if err != nil {
		return 0, err
	}
	if m.Header.Get("Status") == "404" {
		return 0, nil
	}
	more, err := strconv.ParseInt(m.Header.Get(server.JSNumPending), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the message server does not say how many there are: %w", err)
	}
	return more + 1, nil
}
