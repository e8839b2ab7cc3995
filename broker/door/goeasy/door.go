package goeasy

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Keys knows whose a key is.
type Keys interface {
	// Pass finds who shows a key at a door.
	Pass(d tenant.Door, key string) (*tenant.Pass, error)
	// Once reports whether nobody has used a name before, on any node, within
	// 15 minutes.
	Once(ctx context.Context, name string) (bool, error)
	// ReadAccess checks a token for a protected channel.
	ReadAccess(p *tenant.Pass, token string) (tenant.Access, error)
}

// Hub is where channels are.
type Hub interface {
	Publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error)
	History(ctx context.Context, by hub.Reader, q hub.HistoryQuery) (hub.HistoryPage, error)
	Numbers(ctx context.Context, app protocol.AppID, ch protocol.Channel) protocol.Occupancy
}

// Crowd is where it is known who is in which channel.
type Crowd interface {
	Members(app protocol.AppID, ch protocol.Channel, after string, limit int) ([]protocol.Member, int)
	Watch(app protocol.AppID, ch protocol.Channel, w hub.Subscriber, what hub.Watched) []*hub.Frame
	Unwatch(app protocol.AppID, ch protocol.Channel, w hub.Subscriber)
}

// Options are what a Door is made of. All but Peers are required.
type Options struct {
	Sessions *session.Set
	Open     func(session.Tongue) session.Opener
	Keys     Keys
	Hub      Hub
	Crowd    Crowd
	Stats    *stats.Stats
	Log      *slog.Logger

	Peers        Peers         // the other nodes; nil: there are none
	PingInterval time.Duration // how often clients are to say that they live; default 25 s
}

// Door lets clients and servers in that were made for GoEasy. All methods may
// be called concurrently. It lives from New; its connections end with the
// sessions.
type Door struct {
	o      Options
	open   session.Opener
	memory *memory

	mu    sync.Mutex
	polls map[string]*poll // by the id of engine.io
}

// New makes a door.
func New(o Options) *Door {
	if o.PingInterval == 0 {
		o.PingInterval = 25 * time.Second
	}
	return &Door{o: o, polls: map[string]*poll{}, open: o.Open(tongue()), memory: newMemory(o.Peers)}
}

// Register puts the door's addresses into mux.
func (d *Door) Register(mux *http.ServeMux) {
	mux.HandleFunc("/socket.io/", d.connect)
	for path, call := range map[string]restCall{
		"/v2/pubsub/publish": d.restPublish,
		"/publish":           d.restPublish,
		"/v2/pubsub/history": d.restHistory,
		"/history":           d.restHistory,
		"/herenow":           d.restHereNow,
	} {
		mux.HandleFunc(path, d.rest(call))
	}
}
