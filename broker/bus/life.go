package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lifeFile says, of each stream of messages, which life it is in and how far
// it had come. A damaged file or a power cut may take a stream's last messages
// away, and the message server then gives their sequences to others without a
// word. Clients that have seen the first ones must learn that: a stream that
// lost something begins a new life, which is a part of its epoch.
const (
	lifeFile  = "lives"
	lifePause = 250 * time.Millisecond // between writes of it: what a crash and a damaged file together may hide
)

// lives is what lifeFile holds.
type lives struct {
	Boot    string           `json:"boot"`           // of the machine; "" where that is not known
	Clean   bool             `json:"clean"`          // the server ended by itself
	Back    *setback         `json:"back,omitempty"` // the clock was set back
	Streams map[string]*life `json:"streams"`
}

type life struct {
	Name string `json:"life"`
	Last uint64 `json:"last"` // it had come so far, or farther
	Lost int    `json:"lost"` // messages that the message server knows it lost

	Turned uint64 `json:"turned,omitempty"` // up to it, messages may have come before that

	// At a clean end: the newest block and the CRC-32C of it. The message
	// server trusts its index then, and would leave damaged messages out
	// without a word.
	Block int    `json:"block,omitempty"`
	Sum   uint32 `json:"sum,omitempty"`
}

// keeper keeps lifeFile. begin belongs to the bus's start; then watch, its one
// goroutine, owns everything until end.
type keeper struct {
	folder *folder
	now    lives
	before lives
	broken map[string]bool // streams whose newest block is not as it was left
	ended  chan struct{}
	done   sync.WaitGroup
}

func newKeeper(f *folder) *keeper {
	k := &keeper{folder: f, ended: make(chan struct{})}
	// Unreadable is as good as missing: all streams begin new lives.
	if b, err := os.ReadFile(filepath.Join(f.dir, lifeFile)); err != nil || json.Unmarshal(b, &k.before) != nil {
		k.before = lives{}
	}
	k.broken = map[string]bool{}
	for stream, l := range k.before.Streams {
		if l != nil && l.Block > 0 {
			block, sum := newestSum(f.streamDir(stream))
			k.broken[stream] = block != l.Block || sum != l.Sum
		}
	}
	k.now = lives{Boot: bootID(), Streams: map[string]*life{}}
	return k
}

// begin finds out which life the stream is in. lost is why it is a new one, ""
// where nothing was lost.
func (k *keeper) begin(info *jetstream.StreamInfo, synced bool) (name, lost string) {
	was, known := k.before.Streams[info.Config.Name]
	is := &life{Last: info.State.LastSeq}
	if info.State.Lost != nil {
		is.Lost = len(info.State.Lost.Msgs)
	}
	switch {
	case !known || was == nil || was.Name == "":
		is.Name = rand.Text()
		if info.State.LastSeq > 0 {
			lost = "the folder does not say how far it had come"
		}
	case is.Last < was.Last:
		lost = "its last messages are gone"
	case is.Lost > was.Lost, k.broken[info.Config.Name]:
		lost = "a file of it is damaged"
	case !k.before.Clean && !synced && k.before.Boot != k.now.Boot:
		lost = "the machine stopped before the server did, and may have taken the last second with it"
	default:
		is.Name = was.Name
	}
	is.Name = cmp.Or(is.Name, rand.Text())
	k.now.Streams[info.Config.Name] = is
	return is.Name, lost
}

// watch writes down, again and again, how far the streams have come.
func (k *keeper) watch(b *Bus) error {
	if err := k.write(true); err != nil { // before anybody learns of the new lives
		return err
	}
	k.done.Go(func() {
		tick := time.NewTicker(lifePause)
		defer tick.Stop()
		for {
			select {
			case <-k.ended:
				return
			case <-tick.C:
				if k.look(b) {
					_ = k.write(false) // a full disk: it stays as it was, which is no lie
				}
			}
		}
	})
	return nil
}

// look takes over how far the streams are and reports whether any moved.
func (k *keeper) look(b *Bus) (moved bool) {
	if _, back := b.look(); back != k.now.Back {
		k.now.Back, moved = back, true
	}
	for s := range b.eachShard() {
		if s == nil {
			continue
		}
		if l := k.now.Streams[s.stream]; l != nil && s.last.Load() > l.Last {
			l.Last, moved = s.last.Load(), true
		}
		if l := k.now.Streams[s.stream]; l != nil && s.turned.Load() != l.Turned {
			l.Turned, moved = s.turned.Load(), true
		}
	}
	return moved
}

// end writes that the server ended by itself. The server must be down.
func (k *keeper) end(b *Bus) error {
	close(k.ended)
	k.done.Wait()
	k.look(b)
	for stream, l := range k.now.Streams {
		l.Block, l.Sum = newestSum(k.folder.streamDir(stream))
	}
	k.now.Clean = true
	return k.write(true)
}

func (k *keeper) write(durable bool) error {
	b, err := json.Marshal(k.now)
	if err != nil {
		return err
	}
	if durable {
		if err := k.folder.write(lifeFile, b); err != nil {
			return err
		}
		return syncFile(k.folder.dir)
	}
	// What the process's death leaves behind is all that this is for: after a
	// power cut the boot is another one.
	tmp := filepath.Join(k.folder.dir, lifeFile+".tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		_ = os.Remove(tmp) // a part of it helps nobody
		return err
	}
	return os.Rename(tmp, filepath.Join(k.folder.dir, lifeFile))
}

// newestSum is the number and the checksum of a stream's newest block, zeros
// where there is none.
func newestSum(streamDir string) (block int, sum uint32) {
	s := newSyncer(streamDir)
	block, err := s.newest()
	if err != nil || block < 1 {
		return 0, 0
	}
	f, err := os.Open(s.file(block))
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(h, f); err != nil {
		return 0, 0
	}
	return block, h.Sum32()
}

// bootID names this run of the machine's kernel, "" where there is no such
// name.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// enliven finds the life of a stream that was just opened and says in the log
// what was lost of it.
func (b *Bus) enliven(ctx context.Context, info *jetstream.StreamInfo) (name string) {
	name, lost := b.lives.begin(info, b.syncAlways)
	if lost == "" {
		return name
	}
	had := uint64(0)
	if was := b.lives.before.Streams[info.Config.Name]; was != nil {
		had = was.Last
	}
	b.log.ErrorContext(ctx, "bus: messages were lost, or may have been: clients will be told that there is a gap",
		"stream", info.Config.Name, "why", lost, "had", had, "has", info.State.LastSeq, "damaged", b.lives.now.Streams[info.Config.Name].Lost)
	return name
}
