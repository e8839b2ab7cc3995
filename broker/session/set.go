package session

import (
	"context"
	"encoding/json"
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
	Subscribe(by hub.Reader, ch protocol.Channel, s hub.Subscriber) protocol.Position
	Unsubscribe(app protocol.AppID, ch protocol.Channel, s hub.Subscriber)
	Since(ctx context.Context, by hub.Reader, ch protocol.Channel, since, until protocol.Position, at time.Time) (hub.Replay, error)
	Newest(ctx context.Context, by hub.Reader, ch protocol.Channel, until protocol.Position, count int, since time.Time) (hub.Replay, error)
	Publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error)
}

// Presence is where it is known who is in which channel.
type Presence interface {
	Attend(app protocol.AppID, ch protocol.Channel, user string, step hub.Step, data json.RawMessage)
	Members(app protocol.AppID, ch protocol.Channel, after string, limit int) ([]protocol.Member, int)
	Watch(app protocol.AppID, ch protocol.Channel, w hub.Subscriber, what hub.Watched) []*hub.Frame
	Unwatch(app protocol.AppID, ch protocol.Channel, w hub.Subscriber)
}

// Authenticator knows who holds a credential. origin is the page's, or "".
type Authenticator interface {
	Authenticate(ctx context.Context, credential, origin string) (*tenant.Principal, error)
	// AppOf is the app and the key that a credential names, be it good or not.
	AppOf(credential string) (app protocol.AppID, key string)
}

// Options are what a Set is made of. Those of the first group are required.
type Options struct {
	Auth     Authenticator
	Hub      Hub
	Presence Presence
	Stats    *stats.Stats
	Log      *slog.Logger

	// MaxConnections is the most sessions at a time; 0: as many as come. Full, if
	// any, reports that no more can be taken for another reason. Those who come
	// then are told to come back with back-off; those who are there stay.
	MaxConnections int
	Full           func() bool

	// Closed, if any, is told of authorised connections that have ended. It
	// must not block.
	Closed func(app protocol.AppID, e protocol.WebhookEvent)

	HelloTimeout time.Duration // until hello has come; default 10 s
	PingInterval time.Duration // default 25 s; a client that is silent for two of them is gone
	QueueBytes   int           // what may wait for one client; default 1 MiB
}

// Set is all live sessions of a node. All methods may be called concurrently.
// It lives from NewSet to Close.
type Set struct {
	o      Options
	began  time.Time
	ctx    context.Context // of what is done for clients, until Close
	cancel context.CancelFunc
	gather *gather
	wheel  *wheel
	empty  chan struct{} // closed when draining is done

	mu       sync.Mutex
	live     map[*Session]struct{}
	known    map[protocol.AppID]map[string]map[*Session]struct{} // the authorised ones, by app and user
	draining bool
	drained  bool  // empty is closed
	peers    Peers // nil: there is one node
}

// comeBack is after how long, up to twice as long, somebody who found no room
// may try again.
const comeBack = 2 * time.Second

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
	ctx, cancel := context.WithCancel(context.Background())
	return &Set{
		o: o, began: time.Now(), ctx: ctx, cancel: cancel, gather: newGather(), wheel: newWheel(o.PingInterval / wheelTurn),
		live: map[*Session]struct{}{}, known: map[protocol.AppID]map[string]map[*Session]struct{}{}, empty: make(chan struct{}),
	}
}

// clock is the time since the set was made. Nobody sets it back or forward.
func (set *Set) clock() time.Duration { return time.Since(set.began) }

// Len is how many sessions are live.
func (set *Set) Len() int {
	set.mu.Lock()
	defer set.mu.Unlock()
	return len(set.live)
}

func (set *Set) add(s *Session) error {
	set.mu.Lock()
	defer set.mu.Unlock()
	switch {
	case set.draining:
		return protocol.NewError(protocol.CodeRestarting)
	case set.o.MaxConnections > 0 && len(set.live) >= set.o.MaxConnections, set.o.Full != nil && set.o.Full():
		return protocol.NewError(protocol.CodeOverloaded).After(comeBack + rand.N(comeBack))
	}
	set.live[s] = struct{}{}
	return nil
}

func (set *Set) remove(s *Session) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.forget(s)
	delete(set.live, s)
	set.checkEmpty()
}

// checkEmpty takes note that a draining set has become empty. The lock must be
// held.
func (set *Set) checkEmpty() {
	if set.draining && len(set.live) == 0 && !set.drained {
		set.drained = true
		close(set.empty)
	}
}

// drain takes no new session from now on, and returns the live ones.
func (set *Set) drain() []*Session {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.draining = true
	set.checkEmpty()
	live := make([]*Session, 0, len(set.live))
	for s := range set.live {
		live = append(live, s)
	}
	return live
}

// Close cuts all connections that are left, and returns when nothing of their
// sessions is.
func (set *Set) Close() {
	live := set.drain()
	set.cancel()
	for _, s := range live {
		s.sock.Close(nil)
	}
	<-set.empty
}

// Drain takes no new session and asks the live ones to come back elsewhere,
// one after the other over spread and in random order, so that they do not all
// come at once. It returns when none is left or ctx ends. Call it once.
func (set *Set) Drain(ctx context.Context, spread time.Duration) {
	live := set.drain()
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
	select {
	case <-set.empty:
	case <-ctx.Done():
	}
}
