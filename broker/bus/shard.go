package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Keep is how much of a channel's past is kept: the last Messages messages,
// none for longer than Age. The zero value keeps nothing: the channel is
// ephemeral.
type Keep struct {
	Messages int           // 0 to MaxKeepMessages
	Age      time.Duration // 1 s to MaxKeepAge where Messages is not 0
}

// The most that can be kept of a channel.
const (
	MaxKeepMessages = 10_000
	MaxKeepAge      = 30 * 24 * time.Hour
)

// shardsPerClass spreads each class over so many streams. A stream is one
// goroutine of the message server's: more of them are more that work at once.
const shardsPerClass = 4

// dedupWindow is how long a message's id is remembered.
const dedupWindow = 2 * time.Minute

// class is how much the streams of a kind keep of each channel. A channel is
// in the smallest class that holds its Keep; what its own rule asks less, is
// taken off when it is written (age) and when it is read (messages).
type class struct {
	letter   byte
	messages int
	age      time.Duration
}

func classes() [2]class {
	return [2]class{
		{'s', 100, 5 * time.Minute},
		{'l', MaxKeepMessages, MaxKeepAge},
	}
}

// shard is one stream of messages, shared by many channels of many apps. It is
// read-only but for the last five; it lives as long as the bus.
type shard struct {
	class  class
	name   string // as in subjects: s0, l3
	stream string // Hs0
	js     jetstream.Stream
	disk   *syncer

	epoch atomic.Pointer[string] // changes when the stream is made anew, or lost something
	last  atomic.Uint64          // the newest sequence that the feed has taken up
	moved atomic.Int64           // when it last did, Unix nanoseconds

	answered atomic.Int64 // when it last told this node that a message is stored, Unix nanoseconds

	turned atomic.Uint64 // the newest sequence that may have come before the clock was set back
}

// position is a sequence of this stream as clients see it.
func (s *shard) position(seq uint64) protocol.Position {
	return protocol.NewPosition(*s.epoch.Load(), seq)
}

func (s *shard) setEpoch(epoch string) { s.epoch.Store(&epoch) }

// The subjects of a channel in a shard: i.<shard>. and d.<shard>. before the
// same three tokens as an ephemeral one's. Publishers write to i.; the stream
// sends what it has taken on to d., with its sequence.
func (s *shard) ingest() string   { return "i." + s.name + "." }
func (s *shard) delivery() string { return "d." + s.name + "." }

// openShards makes or opens the streams.
func (b *Bus) openShards(ctx context.Context) error {
	for ci, c := range classes() {
		for n := range shardsPerClass {
			s := &shard{class: c, name: string(c.letter) + strconv.Itoa(n)}
			s.stream = "H" + s.name
			stream, err := b.openStream(ctx, b.hist, jetstream.StreamConfig{
				Name:              s.stream,
				Subjects:          []string{s.ingest() + ">"},
				MaxMsgsPerSubject: int64(c.messages),
				MaxAge:            c.age,
				Duplicates:        dedupWindow,
				Storage:           jetstream.FileStorage,
				Discard:           jetstream.DiscardOld,
				MaxMsgs:           -1,
				MaxBytes:          -1,
				MaxConsumers:      -1,
				AllowDirect:       true,
				AllowMsgTTL:       true,
				RePublish:         &jetstream.RePublish{Source: s.ingest() + ">", Destination: s.delivery() + ">"},
			})
			if err != nil {
				return classify("opening the stream "+s.stream, err)
			}
			info := stream.CachedInfo()
			s.js = stream
			b.overtaken(s, info.State.LastSeq, info.State.LastTime)
			if b.life == nil {
				s.setEpoch(epochOf(s.stream, info.Created, b.enliven(ctx, info)))
			} else {
				s.setEpoch(epochOf(s.stream, info.Created, b.life.name()))
			}
			s.last.Store(info.State.LastSeq)
			s.disk = newSyncer(b.folder.streamDir(s.stream))
			b.shards[ci][n] = s
		}
	}
	if b.life != nil {
		return b.life.watch()
	}
	if err := b.lives.watch(b); err != nil {
		return folderError(b.folder.dir, err)
	}
	b.watched = true
	return nil
}

// epochOf is a name for this life of a stream: 8 characters.
func epochOf(stream string, created time.Time, life string) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(stream+"|"+life+"|"), uint64(created.UnixNano())))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// shardOf is where the channel's messages are; nil where none are kept.
func (b *Bus) shardOf(app protocol.AppID, ch protocol.Channel, k Keep) *shard {
	if k.Messages <= 0 {
		return nil
	}
	n := bucketOf(app, ch) % shardsPerClass
	for i, c := range classes() {
		if k.Messages <= c.messages && k.Age <= c.age {
			return b.shards[i][n]
		}
	}
	return b.shards[len(b.shards)-1][n]
}

// Last is the position that the feed has reached in the channel's stream: all
// up to it has been given to Feed's function, nothing after it. It is "" where
// nothing is kept. It costs nothing.
func (b *Bus) Last(app protocol.AppID, ch protocol.Channel, k Keep) protocol.Position {
	s := b.shardOf(app, ch, k)
	if s == nil {
		return ""
	}
	return s.position(s.last.Load())
}

// Purge forgets what is kept of a channel. Positions go on.
func (b *Bus) Purge(ctx context.Context, app protocol.AppID, ch protocol.Channel, k Keep) error {
	s := b.shardOf(app, ch, k)
	if s == nil {
		return nil
	}
	subject, err := subjectOf(s.ingest(), app, ch)
	if err != nil {
		return err
	}
	if err := s.js.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return classify(fmt.Sprintf("forgetting a channel of app %s", app), err)
	}
	return nil
}
