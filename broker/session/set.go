package session

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Hub is where channels are.
type Hub interface {
	Subscribe(app protocol.AppID, ch protocol.Channel, s hub.Subscriber) protocol.Position
	Unsubscribe(app protocol.AppID, ch protocol.Channel, s hub.Subscriber)
	Publish(ctx context.Context, by hub.Publisher, from string, msgs []protocol.Outgoing) ([]protocol.Published, error)
}

// Authenticator knows who holds a credential. origin is the page's, or "".
type Authenticator interface {
	Authenticate(ctx context.Context, credential, origin string) (*tenant.Principal, error)
}

// Options are what a Set is made of. Auth, Hub, Stats and Log are required.
type Options struct {
	Auth  Authenticator
	Hub   Hub
	Stats *stats.Stats
	Log   *slog.Logger

	HelloTimeout time.Duration // until hello has come; default 10 s
	PingInterval time.Duration // default 25 s; a client that is silent for two of them is gone
	QueueBytes   int           // what may wait for one client; default 1 MiB
}

// Set is all live sessions of a node. All methods may be called concurrently.
// It lives from NewSet until Drain has returned.
type Set struct {
	o Options

	running sync.WaitGroup

	mu       sync.Mutex
	live     map[*Session]struct{}
	draining bool
}

// Wait returns when no session is left. Call it after Drain.
func (set *Set) Wait() { set.running.Wait() }

// NewSet makes an empty set.
func NewSet(o Options) *Set {
	if o.HelloTimeout == 0 {
		o.HelloTimeout = 10 * time.Second
	}
	if o.PingInterval == 0 {
		o.PingInterval = 25 * time.Second
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 1 << 20
	}
	return &Set{o: o, live: map[*Session]struct{}{}}
}

// Len is how many sessions are live.
func (set *Set) Len() int {
	set.mu.Lock()
	defer set.mu.Unlock()
	return len(set.live)
}

func (set *Set) add(s *Session) error {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.draining {
		return protocol.NewError(protocol.CodeRestarting)
	}
	set.live[s] = struct{}{}
	set.running.Add(1)
	return nil
}

func (set *Set) remove(s *Session) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if _, ok := set.live[s]; ok {
		delete(set.live, s)
		set.running.Done()
	}
}

// Drain takes no new session and asks the live ones to come back elsewhere,
// each at a random moment within spread, so that they do not all come at
// once. It returns when all have been asked or ctx ends.
func (set *Set) Drain(ctx context.Context, spread time.Duration) {
	set.mu.Lock()
	set.draining = true
	live := make([]*Session, 0, len(set.live))
	for s := range set.live {
		live = append(live, s)
	}
	set.mu.Unlock()

	rand.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	began := time.Now()
	for i, s := range live {
		due := spread * time.Duration(i) / time.Duration(len(live))
		select {
		case <-time.After(due - time.Since(began)):
		case <-ctx.Done():
		}
		s.End(protocol.NewError(protocol.CodeRestarting))
	}
}
