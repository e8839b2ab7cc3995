package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// steadyFor is how long a node of a cluster, once it was ready, stays so while
// the cluster elects new leaders: it serves its clients meanwhile, and load
// balancers must not take all nodes away at once.
const steadyFor = 15 * time.Second

// steadiness remembers when the message server was last well. The zero value
// never was. It may be used concurrently.
type steadiness struct {
	mu   sync.Mutex
	well time.Time
}

// healthy is nil when the message server and, of a cluster, enough other nodes
// are well.
func (b *Bus) healthy() error {
	if b.server == nil {
		if !b.kv.IsConnected() {
			return errors.New("NATS at " + redacted(b.cluster.URL) + " does not answer")
		}
		return nil
	}
	if !b.server.JetStreamEnabled() {
		return errors.New("the message server has stopped storing; see its log, and restart this node when the disk has space")
	}
	if b.cluster == nil {
		return b.health()
	}
	if err := b.folder.checkSpace(0); err != nil {
		return fmt.Errorf("data folder %s: %w", b.folder.dir, err)
	}
	err := b.health()
	if err == nil {
		err = b.company()
	}
	b.steady.mu.Lock()
	defer b.steady.mu.Unlock()
	if err == nil {
		b.steady.well = time.Now()
	} else if time.Since(b.steady.well) < steadyFor {
		return nil
	}
	return err
}

func (b *Bus) health() error {
	if h := b.server.Healthz(nil); h.StatusCode != 200 {
		return fmt.Errorf("the message server is not healthy: %s", cmp.Or(h.Error, h.Status))
	}
	return nil
}

// company is nil where a majority is there, and each that is hears this node.
func (b *Bus) company() error {
	here := 1 + len(b.peers.meshed())
	if here < b.cluster.majority() {
		return errors.New(b.missing(context.Background(), here, b.cluster.majority()))
	}
	if deaf := b.peers.deaf(); len(deaf) > 0 {
		return fmt.Errorf("no messages reach this node from %s yet", strings.Join(deaf, " and "))
	}
	return nil
}

// settled waits until this node is as well as Ready demands, at the start.
func (b *Bus) settled(ctx context.Context) error {
	if b.cluster == nil {
		return nil
	}
	for {
		err := b.Ready(ctx)
		if err == nil {
			return nil
		}
		if b.cluster.Waiting != nil {
			b.cluster.Waiting(err.Error())
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(waitingPause):
		}
	}
}

// connect makes the connection to the other nodes, and waits for a NATS that
// runs elsewhere.
func (b *Bus) connect(ctx context.Context) error {
	if b.cluster == nil {
		return nil
	}
	for {
		nc, err := b.dial("control")
		if err == nil {
			if nc.MaxPayload() < MaxBody+headroom {
				nc.Close()
				return fmt.Errorf("NATS at %s takes messages of %d bytes at most: set max_payload to %d or more in its configuration", redacted(b.cluster.URL), nc.MaxPayload(), MaxBody+headroom)
			}
			b.control = nc
			return b.peers.start(nc)
		}
		if b.cluster.URL == "" {
			return err
		}
		if b.cluster.Waiting != nil {
			b.cluster.Waiting("NATS at " + redacted(b.cluster.URL) + " does not answer (" + err.Error() + ")")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("NATS at %s does not answer: %w", redacted(b.cluster.URL), err)
		case <-time.After(waitingPause):
		}
	}
}
