package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// JournalOptions is how a journal is made or changed.
type JournalOptions struct {
	Entries  int           // kept of each key: 1 to 1000
	MaxAge   time.Duration // of any entry; 0 = for ever
	MaxBytes int64         // of all of it, where the oldest entries of all go first; 0 = no end
}

// Record is one entry of a journal.
type Record struct {
	Seq   uint64 // grows with every entry of the journal
	Time  time.Time
	Value []byte
}

// Journal keeps the last entries of each of its keys on the disk. A power cut
// may take those of the last second. All methods may be called concurrently;
// it lives as long as its Bus.
type Journal struct {
	bus     *Bus
	name    string
	entries int
	stream  jetstream.Stream
}

// Journal opens the journal of that name (A-Z a-z 0-9 _ -) and makes it where
// it is missing.
func (b *Bus) Journal(ctx context.Context, name string, o JournalOptions) (*Journal, error) {
	if !validApp(name) || o.Entries < 1 || o.Entries > 1000 {
		return nil, fmt.Errorf("journal %q of %d entries is not valid", name, o.Entries)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = -1
	}
	stream, err := b.openStream(ctx, b.js, jetstream.StreamConfig{
		Name:              "J_" + name,
		Subjects:          []string{"j." + name + ".>"},
		MaxMsgsPerSubject: int64(o.Entries),
		MaxAge:            o.MaxAge,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgs:           -1,
		MaxBytes:          o.MaxBytes,
		MaxConsumers:      -1,
		AllowDirect:       true,
	})
	if err != nil {
		return nil, classify("opening journal "+name, err)
	}
	return &Journal{bus: b, name: name, entries: o.Entries, stream: stream}, nil
}

func (j *Journal) subject(key string) (string, error) {
	if !validApp(key) {
		return "", fmt.Errorf("journal %s: key %q is not valid", j.name, key)
	}
	return "j." + j.name + "." + key, nil
}

// Append adds an entry to key and returns its Seq.
func (j *Journal) Append(ctx context.Context, key string, val []byte) (uint64, error) {
	subject, err := j.subject(key)
	if err != nil {
		return 0, err
	}
	if err := j.bus.checkSpace(len(val)); err != nil {
		return 0, classify("journal "+j.name, err)
	}
	ack, err := j.bus.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: val})
	if err != nil {
		return 0, classify("journal "+j.name, err)
	}
	return ack.Sequence, nil
}

// Last are the entries of key, the newest first.
func (j *Journal) Last(ctx context.Context, key string) ([]Record, error) {
	subject, err := j.subject(key)
	if err != nil {
		return nil, err
	}
	batch, err := jetstreamext.GetBatch(ctx, j.bus.hist, "J_"+j.name, j.entries,
		jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(1))
	if err != nil {
		return nil, classify("journal "+j.name, err)
	}
	var out []Record
	for m, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, classify("journal "+j.name, err)
		}
		out = append(out, Record{Seq: m.Sequence, Time: m.Time, Value: m.Data})
	}
	slices.Reverse(out)
	return out, nil
}

// Get is the entry of key at seq, or ErrNotFound.
func (j *Journal) Get(ctx context.Context, key string, seq uint64) (Record, error) {
	subject, err := j.subject(key)
	if err != nil {
		return Record{}, err
	}
	m, err := j.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Subject != subject {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, classify("journal "+j.name, err)
	}
	return Record{Seq: m.Sequence, Time: m.Time, Value: m.Data}, nil
}

// Drop takes away all entries of key.
func (j *Journal) Drop(ctx context.Context, key string) error {
	subject, err := j.subject(key)
	if err != nil {
		return err
	}
	return classify("journal "+j.name, j.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)))
}
