package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const (
	maxChanges = 1000 // of one Apply; the server's limit
	maxApplies = 16   // under way at once; the server takes 50 per bucket
)

// Change is one part of an Apply: Key gets Value, or goes away with Delete.
type Change struct {
	Key   string
	Value []byte

	// Revision is what the key must be at. 0 = it must not exist; with Delete,
	// 0 = whatever there is.
	Revision uint64

	Delete bool
	TTL    time.Duration // of Value; see Bucket
}

// Apply makes all the changes or none: ErrConflict where one of the keys is
// not at its expected revision. At most 1000 changes, each of another key. A
// watch sees them one after the other.
func (k *Bucket) Apply(ctx context.Context, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	if len(changes) > maxChanges {
		return fmt.Errorf("bucket %s: %d changes at once, %d is the most", k.name, len(changes), maxChanges)
	}
	seen := make(map[string]struct{}, len(changes))
	for _, c := range changes {
		if _, twice := seen[c.Key]; twice {
			return fmt.Errorf("bucket %s: key %q is changed twice at once", k.name, c.Key)
		}
		seen[c.Key] = struct{}{}
	}
	select {
	case k.bus.applies <- struct{}{}:
		defer func() { <-k.bus.applies }()
	case <-ctx.Done():
		return fmt.Errorf("bucket %s: %w", k.name, ctx.Err())
	}

	vacant := map[string]uint64{} // free keys that hold the note of a deletion
	var err error
	for range 4 {
		if err = k.applyOnce(ctx, changes, vacant); !errors.Is(err, ErrConflict) {
			return err
		}
		again, look := k.revise(ctx, changes, vacant)
		if look != nil {
			return look
		}
		if !again {
			return err
		}
	}
	return err
}

// applyOnce sends the changes as one atomic batch.
func (k *Bucket) applyOnce(ctx context.Context, changes []Change, vacant map[string]uint64) error {
	batch := make([]*nats.Msg, len(changes))
	for i, c := range changes {
		m, err := k.message(c.Key, c.Value)
		if err != nil {
			return err
		}
		expected := c.Revision
		if c.Delete {
			m.Data = nil
			k.markDeleted(m)
		} else {
			setTTL(m, c.TTL)
			if expected == 0 {
				expected = vacant[c.Key]
			}
		}
		if !c.Delete || expected != 0 {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
		}
		batch[i] = m
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, k.bus.js, batch)
	if err == nil {
		err = k.settle()
	}
	return classify("bucket "+k.name, err)
}

// revise looks up the keys that must not exist, after a conflict. again is set
// where one of them is free at another revision than was tried, which a note
// of a deletion causes that has come or gone.
func (k *Bucket) revise(ctx context.Context, changes []Change, vacant map[string]uint64) (again bool, err error) {
	for _, c := range changes {
		if c.Delete || c.Revision != 0 {
			continue
		}
		rev, free, err := k.vacancy(ctx, c.Key)
		if err != nil {
			return false, err
		}
		if !free {
			return false, nil
		}
		if rev != vacant[c.Key] {
			vacant[c.Key], again = rev, true
		}
	}
	return again, nil
}
