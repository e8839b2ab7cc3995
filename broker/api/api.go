package api

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
)

// Hub publishes messages and reads the past. The errors of all its methods are
// *protocol.Error.
type Hub interface {
	// Publish checks all of msgs before it publishes any. The error has the
	// index of the message that is wrong. from is the session that publishes,
	// "" for none.
	Publish(ctx context.Context, by hub.Publisher, from hub.Origin, msgs []protocol.Outgoing) ([]protocol.Published, error)
	// History reads a part of what a channel keeps, if by is granted it.
	History(ctx context.Context, by hub.Reader, q hub.HistoryQuery) (hub.HistoryPage, error)
	// Forget deletes what a channel keeps, if by is granted its history.
	Forget(ctx context.Context, by hub.Reader, ch protocol.Channel) error
}

// Version says what is running.
type Version struct {
	Version string // release, as in 1.4.0; "" is told as "dev"
	Commit  string // of the source; may be empty
}

// Options are what New builds the door of. Those of the first group are
// required.
type Options struct {
	Tenants     *tenant.Tenants
	Hub         Hub
	Crowd       Crowd
	Connections Connections
	Stats       *stats.Stats

	// Webhooks and Deliveries are the routes of webhooks; nil: there are none.
	Webhooks   Webhooks
	Deliveries Deliveries

	// Ledger is the routes of usage, and Refusals those that look into an app;
	// nil: there are none. Operator is the
	// account that may see and change all others; "": none may.
	Ledger   Ledger
	Refusals Refusals
	Operator protocol.AccountID

	// Ready says whether this node can serve; /readyz is 503 where it returns
	// an error. A *protocol.Error is told as it is, others only as
	// unavailable. nil: always ready.
	Ready func(ctx context.Context) error

	Version Version
	// Durability is what /version says of durable messages: "always", on disk
	// before a publish is answered, or "interval", within a second; "" is
	// "interval".
	Durability string

	Logger    *slog.Logger // nil: slog.Default
	SDK       fs.FS        // has fanfare.js and fanfare.mjs, at its root or in dist; nil: none are served
	Dashboard http.Handler // serves /dashboard/, with the whole path in the request; nil: there is none

	// MetricsOpen shows /metrics to everybody who can reach the server. Without
	// it only clients on this machine see them, and none behind a proxy: what
	// one tenant must not learn of the others is their number and load.
	MetricsOpen bool
}

// door is the REST room while it serves. It is read-only once built; its
// methods may be called concurrently. It lives as long as its handler.
type door struct {
	credentials credentials
	accounts    accounts
	apps        apps
	keys        keys
	rotator     rotator
	doorKeys    doorKeys
	tokens      tokens
	sessions    sessions
	sent        Deliveries // nil: there are no webhooks
	ledger      Ledger
	refusals    Refusals
	operated    operated
	operator    protocol.AccountID

	hub     Hub
	crowd   Crowd
	kicker  Connections
	stats   *stats.Stats
	ready   func(ctx context.Context) error
	log     *slog.Logger
	routes  map[string]bool // the patterns, which alone are told to metrics and logs
	foreign *http.CrossOriginProtection
}

// New builds the handler of all REST routes. It serves until nobody calls it
// any more; there is nothing to close.
func New(o Options) http.Handler {
	d := &door{hub: o.Hub, crowd: o.Crowd, kicker: o.Connections, stats: o.Stats, ready: o.Ready, log: o.Logger, sent: o.Deliveries, ledger: o.Ledger, refusals: o.Refusals, operator: o.Operator}
	d.use(o.Tenants)
	return d.build(o)
}

// use takes all that the register of tenants can do from t.
func (d *door) use(t *tenant.Tenants) {
	d.credentials, d.accounts, d.apps, d.keys, d.rotator = t, t, t, t, t
	d.doorKeys, d.tokens, d.sessions, d.operated = t, t, t, t
}

func (d *door) build(o Options) http.Handler {
	if d.log == nil {
		d.log = slog.Default()
	}
	if d.ready == nil {
		d.ready = func(context.Context) error { return nil }
	}
	d.foreign = http.NewCrossOriginProtection()
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard) // faults go to slog, by judge
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = d.fail
	e.Use(d.around)

	api := d.huma(e, o.Version)
	d.accountRoutes(api)
	d.appRoutes(api)
	d.keyRoutes(api)
	d.doorKeyRoutes(api)
	if o.Webhooks != nil {
		d.webhookRoutes(api, o.Webhooks)
	}
	if o.Deliveries != nil {
		d.deliveryRoutes(api)
	}
	d.operatorRoutes(api)
	if o.Ledger != nil {
		d.usageRoutes(e, api)
	}
	if o.Refusals != nil {
		d.inspectRoutes(api)
	}
	d.tokenRoutes(api)
	d.sessionRoutes(api)
	d.messageRoutes(e, api)
	d.historyRoutes(e, api)
	d.presenceRoutes(e, api)
	d.channelRoutes(e, api)
	d.connectionRoutes(e, api)
	d.healthRoutes(e, api, o)
	d.assetRoutes(e, api, o)
	d.describe(e, api)

	d.routes = map[string]bool{}
	for _, r := range e.Routes() {
		d.routes[r.Path] = true
	}
	return compressed(e)
}

// compressed gzips what is worth it. Published messages are not: their answers
// are short and they are the hot path.
func compressed(h http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.ContentTypes([]string{"application/json", "application/problem+json", "text/javascript", "text/html", "text/css", "image/svg+xml"}),
		gzhttp.MinSize(1024), gzhttp.EnableZstd(false),
	)
	if err != nil { // the options are constants
		return h
	}
	zipped := wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathMessages && r.Method == http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		zipped(w, r)
	})
}

// huma makes the part that checks and describes requests by their Go types. It
// mounts nothing of its own: no docs page (it would load scripts from
// elsewhere), no schema links.
func (d *door) huma(e *echo.Echo, v Version) huma.API {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strictJSON}
	return newHuma(e, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Fanfare", Version: v.name(),
				Description: "Push channels: publish with POST /v1/messages, subscribe with /v1/ws or /v1/sse. Every error is a problem (RFC 9457) with a code and a remedy.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: securitySchemes(),
			},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format}, // the second is that of problem+json
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{d.transform},
	})
}
