package pusher

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Tenants knows who shows a key. A *tenant.Tenants is one.
type Tenants interface {
	Pass(d tenant.Door, key string) (*tenant.Pass, error)
}

// Sessions are where clients live. A *session.Set is one.
type Sessions interface {
	Speak(sock session.Socket, id string, sp session.Speaker)
	Kick(app protocol.AppID, user, id string) int
}

// Hub is where channels are. A *hub.Hub is one.
type Hub interface {
	Publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error)
	History(ctx context.Context, by hub.Reader, q hub.HistoryQuery) (hub.HistoryPage, error)
	Members(app protocol.AppID, ch protocol.Channel, after string, limit int) ([]protocol.Member, int)
	Occupied(app protocol.AppID, prefix string, after protocol.Channel, limit int) ([]protocol.ChannelInfo, bool)
}

// Options are what a Door is made of. All but Missed are required.
type Options struct {
	Tenants  Tenants
	Sessions Sessions
	Hub      Hub
	Stats    *stats.Stats
	Log      *slog.Logger

	// Speak makes what opens WebSockets whose clients speak a tongue.
	Speak func(session.Tongue) session.Opener

	// Missed, if any, is told of cache channels that had nothing for who came.
	// It must not block.
	Missed func(app protocol.AppID, ch protocol.Channel)
}

// Door serves Pusher's clients and servers. It may be called concurrently, and
// lives as long as somebody calls it.
type Door struct {
	o     Options
	open  session.Opener
	api   *http.ServeMux
	spent *spent
}

// New makes a door.
func New(o Options) *Door {
	d := &Door{o: o, spent: newSpent(maxSpent)}
	d.open = o.Speak(session.Tongue{
		Traits: session.Traits{Door: "pusher", Pongs: true, Quits: true},
		Say:    say,
		Code:   closeCode,
	})
	d.api = d.routes()
	return d
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/app/") {
		d.connect(w, r)
		return
	}
	d.api.ServeHTTP(w, r)
}

// connect takes a client's WebSocket. What is wrong is told on it, since
// clients see nothing of an HTTP answer.
func (d *Door) connect(w http.ResponseWriter, r *http.Request) {
	c := &client{door: d}
	c.pass, c.refused = d.admit(r)
	sock, err := d.open(w, r)
	if err != nil {
		return // it has been answered
	}
	d.o.Sessions.Speak(sock, newSocketID(), c)
}

// newSocketID makes a session's id as Pusher's servers check it: two numbers.
// They are drawn from 2^106, so that no two nodes make the same.
func newSocketID() string {
	return strconv.FormatUint(rand.Uint64()>>11, 10) + "." + strconv.FormatUint(rand.Uint64()>>11, 10)
}

// admit says whose key a client shows, or the error that ends its connection.
func (d *Door) admit(r *http.Request) (*tenant.Pass, error) {
	key := strings.TrimPrefix(r.URL.Path, "/app/")
	if key == "" || strings.Contains(key, "/") {
		return nil, refusal(codePath, protocol.CodeNotFound, "The path must be /app/ and the app's key.")
	}
	q := r.URL.Query()
	switch version := q.Get("protocol"); {
	case version == "":
		return nil, refusal(codeNoProtocol, protocol.CodeBadRequest, "No protocol version was given: add ?protocol=7.")
	default:
		n, err := strconv.Atoi(version)
		if err != nil {
			return nil, refusal(codeVersion, protocol.CodeBadRequest, "The protocol version is not a number.")
		}
		if n < 5 || n > 7 {
			return nil, refusal(codeProtocol, protocol.CodeBadRequest, "The protocol version %d is not spoken here: 5 to 7 are.", n)
		}
	}
	pass, err := d.o.Tenants.Pass(tenant.DoorPusher, key)
	if err != nil {
		e := protocol.AsError(err)
		if e.Code == protocol.CodeKeyInvalid {
			e = refusal(codeUnknown, e.Code, "App key %s not in this cluster", clip(key))
		}
		return nil, e
	}
	return pass, nil
}

func (d *Door) failed(what string, app protocol.AppID, err error) *protocol.Error {
	e := protocol.AsError(err)
	if e.Code == protocol.CodeInternal {
		d.o.Log.Error("pusher: "+what, "app", app, "err", fmt.Sprint(err))
	}
	return e
}
