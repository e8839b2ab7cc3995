package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ClusterBucket is the bucket of what the nodes agree on. Backups leave it out.
// The key life is the bus's own.
const ClusterBucket = "cluster"

const (
	lifeKey = "life"

	// vouchPatience is how long a node that cannot vouch waits for others that
	// can, before the cluster begins a new life.
	vouchPatience = 15 * time.Second
)

// common is the life of a cluster's streams, which all nodes agree on: a part
// of every epoch (see life.go for what that is for). It is a key of a bucket.
//
// What was answered is on a majority of the nodes, so that none of it is lost
// while a majority has lost nothing. A node vouches for itself unless its
// machine stopped before its server did, or its folder is new; one that cannot
// vouch does so again when a majority of the others does. Where no majority
// does, the cluster begins a new life. It does so, too, when a feed finds that
// a stream gave a sequence to a second message.
//
// Its methods may be called concurrently. It lives as long as the bus.
type common struct {
	bus     *Bus
	intact  bool // this node vouches, as of its start
	founder bool // nobody had begun the cluster yet; of the start
	bucket  *Bucket
	stop    func()

	mu      sync.Mutex
	now     lifeRecord
	rev     uint64
	feeds   map[*contiguous]struct{}
	renewed func()
}

// lifeRecord is what lifeKey holds.
type lifeRecord struct {
	Life string `json:"life"`
	Why  string `json:"why,omitempty"`
	By   string `json:"by"`

	// Present are the lives of the nodes that were there when the cluster
	// began: before anything was acknowledged.
	Present []string  `json:"present,omitempty"`
	Seeded  bool      `json:"seeded,omitempty"` // it began with a backup
	At      time.Time `json:"at"`
}

// ownLife is what lifeFile holds of a node of a cluster.
type ownLife struct {
	Boot  string `json:"boot"`
	Clean bool   `json:"clean"`
}

func newCommon(b *Bus) *common {
	c := &common{bus: b, feeds: map[*contiguous]struct{}{}}
	var was ownLife
	text, err := os.ReadFile(filepath.Join(b.folder.dir, lifeFile))
	if err == nil && json.Unmarshal(text, &was) == nil {
		c.intact = was.Clean || was.Boot == bootID() || b.syncAlways
	}
	c.intact = c.intact || b.cluster.URL != "" // it keeps nothing
	return c
}

// name is the life's name.
func (c *common) name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Life
}

func (c *common) seeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Seeded
}

// Seeded reports whether the cluster began with a backup: then what it began
// with comes from the node that brought that.
func (b *Bus) Seeded() bool { return b.life != nil && b.life.seeded() }

// founded reports whether the cluster was begun. The error is that nobody can
// say.
func (b *Bus) founded(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := b.js.Stream(ctx, bucketStream+ClusterBucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = s.GetLastMsgForSubject(ctx, bucketSubject+ClusterBucket+"."+lifeKey)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

// join makes this node a part of the cluster, and the cluster where there is
// none.
func (b *Bus) join(ctx context.Context) error {
	b.peers.say(b.seed != "", b.life.intact)
	if err := b.gather(ctx); err != nil {
		return err
	}
	founded, err := b.founded(ctx)
	for err != nil && ctx.Err() == nil {
		founded, err = b.founded(ctx)
	}
	if err != nil {
		return fmt.Errorf("joining the cluster: %w", err)
	}
	if founded && b.seed != "" {
		return fmt.Errorf("data folder %s: it holds a backup, and the cluster %s has begun already: a backup is loaded into a new cluster", b.folder.dir, b.cluster.Name)
	}
	if !founded {
		if err := b.found(ctx); err != nil {
			return err
		}
	}
	if err := b.life.enter(ctx); err != nil {
		return fmt.Errorf("joining the cluster: %w", err)
	}
	if err := b.folder.settle(); err != nil {
		return err
	}
	return b.life.write(false)
}

// found begins the cluster, with a backup where this node has one.
func (b *Bus) found(ctx context.Context) error {
	if b.seed != "" {
		if err := b.plant(ctx); err != nil {
			return fmt.Errorf("loading the backup into the cluster: %w", err)
		}
	}
	return nil
}

// plant loads the backup. What an earlier try left behind goes first.
func (b *Bus) plant(ctx context.Context) error {
	f, err := os.Open(b.seed)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := CheckBackup(f); err != nil {
		return err
	}
	names, err := backedUp(f)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	b.log.InfoContext(ctx, "bus: loading a backup into the cluster", "streams", len(names))
	_, err = b.load(ctx, f)
	return err
}

// enter opens the bucket and finds which life it is; a new one where no
// majority has all that was answered.
func (c *common) enter(ctx context.Context) (err error) {
	b := c.bus
	if c.bucket, err = b.Bucket(ctx, ClusterBucket, BucketOptions{}); err != nil {
		return err
	}
	if c.founder {
		text := c.text("the cluster begins", append(b.peers.ids(), b.peers.id)...)
		_, err := c.bucket.Create(ctx, lifeKey, text, 0)
		for passing(err) && ctx.Err() == nil {
			_, err = c.bucket.Create(ctx, lifeKey, text, 0)
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
		if b.seed != "" {
			if err := os.Remove(b.seed); err != nil {
				return err
			}
			b.seed = ""
		}
	}
	first, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.intact = c.intact || slices.Contains(c.now.Present, b.peers.id)
	for began := time.Now(); !c.intact; {
		yes, all := b.peers.vouchers()
		now, err := c.read(ctx)
		switch {
		case err != nil:
			return err
		case yes >= b.cluster.majority(), now != first:
			c.intact = true
		case all == b.cluster.size()-1, time.Since(began) > vouchPatience:
			if err := c.renew(ctx, "too many machines stopped before their servers did, and may have taken the last second with them"); err != nil {
				return err
			}
			c.intact = true
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(waitingPause):
			}
		}
	}
	b.peers.say(false, true)
	_, err = c.read(ctx)
	return err
}

// read takes the record over and returns its revision.
func (c *common) read(ctx context.Context) (uint64, error) {
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		e, err := c.bucket.Get(try, lifeKey)
		cancel()
		if err == nil {
			return e.Revision, c.take(e)
		}
		if ctx.Err() != nil || !passing(err) && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(waitingPause):
		}
	}
}

func (c *common) take(e Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Revision <= c.rev {
		return nil
	}
	c.rev = e.Revision
	return json.Unmarshal(e.Value, &c.now)
}

func (c *common) text(why string, present ...string) []byte {
	text, err := json.Marshal(lifeRecord{Life: rand.Text(), Why: why, By: c.bus.peers.name, At: time.Now().UTC(), Present: present, Seeded: c.bus.seed != "" || c.seeded()})
	if err != nil { // it has nothing that fails
		return nil
	}
	return text
}

// renew begins a new life, unless somebody else just has.
func (c *common) renew(ctx context.Context, why string) error {
	c.mu.Lock()
	rev := c.rev
	c.mu.Unlock()
	_, err := c.bucket.Update(ctx, lifeKey, c.text(why), rev, 0)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	if err == nil {
		c.bus.log.ErrorContext(ctx, "bus: messages were lost, or may have been: clients will be told that there is a gap", "why", why)
	}
	return err
}

// watch follows the record from now on.
func (c *common) watch() (err error) {
	c.stop, err = c.bucket.Watch(func(e Entry) {
		if e.Key != lifeKey || e.Deleted {
			return
		}
		before := c.name()
		if err := c.take(e); err != nil {
			c.bus.log.Error("bus: the cluster's life cannot be read", "error", err)
			return
		}
		if life := c.name(); life != before {
			c.apply(life)
		}
	})
	return err
}

// apply gives all streams new epochs, at a place in each feed.
func (c *common) apply(life string) {
	c.mu.Lock()
	feeds := make([]*contiguous, 0, len(c.feeds))
	for f := range c.feeds {
		feeds = append(feeds, f)
	}
	renewed := c.renewed
	c.mu.Unlock()
	fed := map[*shard]bool{}
	for _, f := range feeds {
		fed[f.shard] = true
		f.again(c.epoch(f.shard, life))
	}
	for s := range c.bus.eachShard() {
		if s != nil && !fed[s] {
			s.setEpoch(c.epoch(s, life))
		}
	}
	if renewed != nil {
		renewed()
	}
}

func (c *common) epoch(s *shard, life string) string {
	return epochOf(s.stream, s.js.CachedInfo().Created, life)
}

// OnRenewal has fn called after the streams of the cluster got new epochs,
// since messages were lost: clients begin anew. fn must not block.
func (b *Bus) OnRenewal(fn func()) {
	if b.life == nil {
		return
	}
	b.life.mu.Lock()
	defer b.life.mu.Unlock()
	b.life.renewed = fn
}

// follow enters a feed, which is told of new lives until the returned function
// is called.
func (c *common) follow(f *contiguous) (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feeds[f] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.feeds, f)
	}
}

// end notes that the server ended by itself.
func (c *common) end() error {
	if !c.intact || c.bucket == nil {
		return nil
	}
	return c.write(true)
}

func (c *common) write(clean bool) error {
	text, err := json.Marshal(ownLife{Boot: bootID(), Clean: clean})
	if err != nil {
		return err
	}
	if err := c.bus.folder.write(lifeFile, text); err != nil {
		return folderError(c.bus.folder.dir, err)
	}
	return nil
}
