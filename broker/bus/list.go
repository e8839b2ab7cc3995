package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// List is the entries whose keys begin with prefix and a dot, those that were
// written longest ago first. The bucket must be made with Listed. In a cluster
// it reads this node's copy, which may be behind.
func (k *Bucket) List(ctx context.Context, prefix string) ([]Entry, error) {
	if !validKey(prefix) {
		return nil, k.badKey(prefix)
	}
	var all []Entry
	err := k.bus.patient(ctx, func() (err error) {
		all, err = k.list(ctx, prefix)
		return err
	})
	return all, k.wrap(prefix, err)
}

func (k *Bucket) list(ctx context.Context, prefix string) (out []Entry, err error) {
	for from := uint64(1); ; {
		batch, err := jetstreamext.GetBatch(ctx, k.bus.hist, bucketStream+k.name, healChunk,
			jetstreamext.GetBatchSubject(k.subject(prefix)+".>"), jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchMaxBytes(healBytes))
		if err != nil {
			return nil, err
		}
		got := false
		for m, err := range batch {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return out, nil
			}
			if err != nil {
				return nil, err
			}
			got, from = true, m.Sequence+1
			if m.Header.Get(headerOperation) == "" && m.Header.Get(jetstream.MarkerReasonHeader) == "" {
				out = append(out, Entry{Key: m.Subject[len(k.subject("")):], Value: m.Data, Revision: m.Sequence})
			}
		}
		if !got {
			return out, nil
		}
	}
}

// Put sets all the keys, or none, whatever there is: for keys that have one
// writer. Revision and Delete of the changes must not be set.
func (k *Bucket) Put(ctx context.Context, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	if len(changes) > maxChanges {
		return fmt.Errorf("bucket %s: %d keys at once, %d is the most", k.name, len(changes), maxChanges)
	}
	select {
	case k.bus.applies <- struct{}{}:
		defer func() { <-k.bus.applies }()
	case <-ctx.Done():
		return fmt.Errorf("bucket %s: %w", k.name, ctx.Err())
	}
	batch := make([]*nats.Msg, len(changes))
	for i, c := range changes {
		if c.Revision != 0 || c.Delete {
			return fmt.Errorf("bucket %s, key %s: Put asks for no revision and deletes nothing", k.name, c.Key)
		}
		m, err := k.message(c.Key, c.Value)
		if err != nil {
			return err
		}
		setTTL(m, c.TTL)
		batch[i] = m
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, k.bus.js, batch)
	if err == nil {
		err = k.settle()
	}
	return classify("bucket "+k.name, err)
}
