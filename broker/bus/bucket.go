package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucketStream  = "KV_"  // prefixes that every NATS tool knows buckets by
	bucketSubject = "$KV." //
	maxKey        = 256    // bytes

	// expiryMarker is how long the server keeps the note that a key expired.
	// Its least; longer notes cost memory for every ticket ever made.
	expiryMarker = time.Second

	// deleteMarker is how long the note stays that a key was deleted. A watch
	// that was cut off for longer than that would miss the deletion.
	deleteMarker = 5 * time.Minute

	headerOperation = "KV-Operation"
	operationPurge  = "PURGE" // the one of the two kinds that leaves no note of its own expiry
)

// BucketOptions is how a bucket is made or changed.
type BucketOptions struct {
	// MaxAge is how long any entry lives at most; 0 = for ever. An entry's own
	// time to live can only be shorter.
	MaxAge time.Duration
	// Relaxed lets a power cut take the changes of the last second. Without it
	// a change is on the disk before the call returns.
	Relaxed bool
	// Listed lets List read the bucket. In a cluster its reads come from any
	// copy then, which may be behind.
	Listed bool
}

// Entry is one key of a bucket. Revision grows with every change in the
// bucket. Where Deleted is set the key was deleted or has expired, and Value
// is empty.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Deleted  bool
}

// Bucket is a set of keys with values, kept on the disk: a change that was
// acknowledged outlives the process, and a power cut unless it is relaxed. All methods may be called concurrently;
// it lives as long as its Bus.
//
// Keys are 1 to 256 characters of A-Z a-z 0-9 . _ = - where dots neither
// stand at an end nor next to each other. Values have at most MaxBody bytes.
// A time to live is rounded up to whole seconds; 0 = for ever. It belongs to
// the value: an Update starts it anew, and without one ends it. Expired keys
// vanish within about a second, so whoever needs it exact keeps the time in
// the value as well.
type Bucket struct {
	bus    *Bus
	name   string
	maxAge time.Duration
	disk   *syncer // nil: relaxed
	stream jetstream.Stream
	kv     jetstream.KeyValue // for watching only: its Put and Update lose the time to live
}

// Bucket opens the bucket of that name (A-Z a-z 0-9 _ -) and makes it where
// it is missing. Opening it with another MaxAge changes it.
func (b *Bus) Bucket(ctx context.Context, name string, o BucketOptions) (*Bucket, error) {
	if !validApp(name) {
		return nil, fmt.Errorf("bucket name %q is not valid", name)
	}
	window := 2 * time.Minute // of message ids, which we do not use; the server wants one within MaxAge
	if o.MaxAge > 0 {
		window = min(window, o.MaxAge)
	}
	// The client library's own KV configuration cannot switch atomic batches
	// on, and switches them off where it finds them.
	stream, err := b.openStream(ctx, b.js, jetstream.StreamConfig{
		Name:                   bucketStream + name,
		Subjects:               []string{bucketSubject + name + ".>"},
		MaxMsgsPerSubject:      1, // with more, the server lengthens times to live
		MaxAge:                 o.MaxAge,
		Duplicates:             window,
		Storage:                jetstream.FileStorage,
		Discard:                jetstream.DiscardNew,
		MaxMsgs:                -1,
		MaxBytes:               -1,
		MaxConsumers:           -1,
		AllowRollup:            true,
		AllowDirect:            o.Listed || b.replicas == 1, // a replica may be behind: a ticket that was just made, and is not there, would be refused
		DenyDelete:             true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: expiryMarker,
		AllowAtomicPublish:     true,
	})
	if err != nil {
		return nil, classify("opening bucket "+name, err)
	}
	var kv jetstream.KeyValue
	err = b.patiently(ctx, func(ctx context.Context) (err error) {
		kv, err = b.js.KeyValue(ctx, name)
		return err
	})
	if err != nil {
		return nil, classify("opening bucket "+name, err)
	}
	k := &Bucket{bus: b, name: name, maxAge: o.MaxAge, stream: stream, kv: kv}
	if !o.Relaxed && b.cluster == nil {
		dir := b.folder.streamDir(bucketStream + name)
		if err := syncTree(dir); err != nil { // it may be new
			return nil, classify("opening bucket "+name, err)
		}
		k.disk = newSyncer(dir)
	}
	return k, nil
}

// settle waits for the disk, unless the bucket is relaxed.
func (k *Bucket) settle() error {
	if k.disk == nil {
		return nil
	}
	return k.disk.sync()
}

// Get is the entry of key, or ErrNotFound.
func (k *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	e, err := k.last(ctx, key)
	if err == nil && e.Deleted {
		err = k.wrap(key, ErrNotFound)
	}
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// Create adds key, which must not exist: else ErrConflict. One of several
// concurrent calls wins.
func (k *Bucket) Create(ctx context.Context, key string, val []byte, ttl time.Duration) (rev uint64, err error) {
	var expected uint64
	for range 4 {
		rev, err = k.put(ctx, key, val, expected, ttl)
		if !errors.Is(err, ErrConflict) {
			return rev, err
		}
		// The note of a deletion counts as a value to the server.
		var free bool
		var look error
		if expected, free, look = k.vacancy(ctx, key); look != nil {
			return 0, look
		}
		if !free {
			return 0, err
		}
	}
	return 0, err
}

// Update changes key from revision rev, else ErrConflict. The new value lives
// for ttl from now on.
func (k *Bucket) Update(ctx context.Context, key string, val []byte, rev uint64, ttl time.Duration) (uint64, error) {
	if rev == 0 { // the server would take it for "must not exist"
		return 0, k.wrap(key, ErrConflict)
	}
	return k.put(ctx, key, val, rev, ttl)
}

// Delete removes key at revision rev, else ErrConflict. With rev 0 it removes
// whatever there is, and is nil where there is nothing.
func (k *Bucket) Delete(ctx context.Context, key string, rev uint64) error {
	m, err := k.message(key, nil)
	if err != nil {
		return err
	}
	k.markDeleted(m)
	if rev != 0 {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(rev, 10))
	}
	if _, err = k.publish(ctx, m); err == nil {
		err = k.settle()
	}
	return k.wrap(key, err)
}

// publish writes m. In a cluster it tries again while there is no leader; an
// id tells whether an earlier try, whose answer was lost, was the one that made
// the condition fail.
func (k *Bucket) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	if k.bus.cluster == nil {
		return k.bus.js.PublishMsg(ctx, m)
	}
	id := rand.Text()
	m.Header.Set(jetstream.MsgIDHeader, id)
	for began, again := time.Now(), false; ; again = true {
		try, cancel := context.WithTimeout(ctx, tryTime)
		ack, err := k.bus.js.PublishMsg(try, m, jetstream.WithRetryAttempts(0))
		cancel()
		if again && isConflict(err) {
			if last, err := k.stream.GetLastMsgForSubject(ctx, m.Subject); err == nil && last.Header.Get(jetstream.MsgIDHeader) == id {
				return &jetstream.PubAck{Stream: bucketStream + k.name, Sequence: last.Sequence, Duplicate: true}, nil
			}
		}
		if !passing(err) && !isInProcess(err) || time.Since(began) > publishTime {
			return ack, err
		}
		select {
		case <-time.After(tryPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// put writes key if its last revision is expected (0: there is none).
func (k *Bucket) put(ctx context.Context, key string, val []byte, expected uint64, ttl time.Duration) (uint64, error) {
	m, err := k.message(key, val)
	if err != nil {
		return 0, err
	}
	setTTL(m, ttl)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	ack, err := k.publish(ctx, m)
	if err == nil {
		err = k.settle()
	}
	if err != nil {
		return 0, k.wrap(key, err)
	}
	return ack.Sequence, nil
}

// last is what the bucket holds under key, be it the note of a deletion.
func (k *Bucket) last(ctx context.Context, key string) (Entry, error) {
	if !validKey(key) {
		return Entry{}, k.badKey(key)
	}
	var m *jetstream.RawStreamMsg
	err := k.bus.patient(ctx, func() (err error) {
		m, err = k.stream.GetLastMsgForSubject(ctx, k.subject(key))
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Entry{}, k.wrap(key, ErrNotFound)
	}
	if err != nil {
		return Entry{}, k.wrap(key, err)
	}
	e := Entry{Key: key, Value: m.Data, Revision: m.Sequence}
	if m.Header.Get(headerOperation) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "" {
		e.Value, e.Deleted = nil, true
	}
	return e, nil
}

// vacancy tells whether key is free, and if so at which revision.
func (k *Bucket) vacancy(ctx context.Context, key string) (rev uint64, free bool, err error) {
	e, err := k.last(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	return e.Revision, e.Deleted, nil
}

// message is a change of key, before it has any conditions.
func (k *Bucket) message(key string, val []byte) (*nats.Msg, error) {
	if !validKey(key) {
		return nil, k.badKey(key)
	}
	if len(val) > MaxBody {
		return nil, fmt.Errorf("bucket %s, key %s: the value has %d bytes, %d is the most", k.name, key, len(val), MaxBody)
	}
	if err := k.bus.checkSpace(len(val)); err != nil {
		return nil, k.wrap(key, err)
	}
	return &nats.Msg{Subject: k.subject(key), Data: val, Header: nats.Header{}}, nil
}

func (k *Bucket) subject(key string) string {
	return bucketSubject + k.name + "." + key
}

// markDeleted makes m the note of a deletion, which goes away by itself.
func (k *Bucket) markDeleted(m *nats.Msg) {
	m.Header.Set(headerOperation, operationPurge)
	ttl := deleteMarker
	if k.maxAge > 0 {
		ttl = min(ttl, max(k.maxAge, expiryMarker))
	}
	setTTL(m, ttl)
}

// wrap says which key err is about.
func (k *Bucket) wrap(key string, err error) error {
	if err == nil {
		return nil
	}
	return classify("bucket "+k.name+", key "+key, err)
}

func (k *Bucket) badKey(key string) error {
	return fmt.Errorf("bucket %s: key %q is not valid", k.name, key)
}

// setTTL gives m a time to live in whole seconds, the server's grain, rounded
// up: nothing may go sooner than it was promised to stay.
func setTTL(m *nats.Msg, ttl time.Duration) {
	if ttl > 0 {
		m.Header.Set(jetstream.MsgTTLHeader, strconv.FormatInt(int64((ttl-1)/time.Second)+1, 10))
	}
}

func validKey(key string) bool {
	if key == "" || len(key) > maxKey || key[0] == '.' || key[len(key)-1] == '.' || strings.Contains(key, "..") {
		return false
	}
	for i := range len(key) {
		if c := key[i]; !plain(c) && c != '.' && c != '=' {
			return false
		}
	}
	return true
}
