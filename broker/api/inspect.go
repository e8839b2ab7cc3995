package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Refusals knows what was refused. A *ledger.Ledger is one.
type Refusals interface {
	Refusals(ctx context.Context, app protocol.AppID, limit int) []protocol.Refusal
}

// AppPage is which app, and how much of a list of its.
type AppPage struct {
	App   protocol.AppID `path:"app" doc:"The app's id"`
	Limit int            `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The most that a page has"`
}

type (
	refusalList struct {
		Refusals []protocol.Refusal `json:"refusals" nullable:"false" doc:"The newest first"`
	}
	manyRefusals struct{ Body refusalList }

	connectionQuery struct {
		AppPage
		User  string `query:"user" doc:"Only this user's"`
		After string `query:"after" doc:"A session: only those behind it"`
	}
	connectionPage struct {
		Connections []protocol.Connection `json:"connections" nullable:"false" doc:"In the order of their sessions"`
		Next        string                `json:"next,omitempty" doc:"The after of the next page; without it there is none"`
	}
	manyConnections struct{ Body connectionPage }

	kickQuery struct {
		App     protocol.AppID `path:"app" doc:"The app's id"`
		User    string         `query:"user" doc:"All connections of this user"`
		Session string         `query:"session" doc:"The one connection"`
	}
	kickedMany struct{ Body endedAnswer }

	channelQuery struct {
		AppPage
		Prefix string           `query:"prefix" doc:"How the names begin"`
		After  protocol.Channel `query:"after" doc:"A channel: only those behind it"`
	}
	manyChannels struct{ Body channelPage }
)

// inspectRoutes are those by which an app's owner looks into it: what its
// servers can see with a secret key, and what was refused.
func (d *door) inspectRoutes(api huma.API) {
	n, tags := needAccount(), []string{"inspect"}
	register(d, api, huma.Operation{OperationID: "list-refusals", Method: "GET", Path: "/v1/apps/{app}/refusals", Tags: tags, Summary: "Why requests and commands were refused",
		Description: "The last 100 of each node, with code and remedy, never with contents or secrets. Those of a credential that is wrong are told to the app that it names. They are in memory only."}, &n,
		func(ctx context.Context, c *call, in *AppPage) (*manyRefusals, error) {
			app, err := d.apps.App(c.who.Account, in.App)
			if err != nil {
				return nil, err
			}
			return &manyRefusals{refusalList{d.refusals.Refusals(ctx, app.ID, in.Limit)}}, nil
		})
	register(d, api, huma.Operation{OperationID: "list-connections", Method: "GET", Path: "/v1/apps/{app}/connections", Tags: tags, Summary: "List an app's connections",
		Description: "Who is connected to which node, since when, by which door, and to which channels."}, &n,
		func(_ context.Context, c *call, in *connectionQuery) (*manyConnections, error) {
			app, err := d.apps.App(c.who.Account, in.App)
			if err != nil {
				return nil, err
			}
			page := connectionPage{Connections: []protocol.Connection{}}
			found, more := d.kicker.Connections(app.ID, in.User, in.After, in.Limit)
			page.Connections = append(page.Connections, found...)
			if n := len(found); more && n > 0 {
				page.Next = found[n-1].Session
			}
			return &manyConnections{page}, nil
		})
	register(d, api, huma.Operation{OperationID: "kick", Method: "DELETE", Path: "/v1/apps/{app}/connections", Tags: tags, Summary: "End a user's connections",
		Description: "DELETE /v1/connections for the app's owner."}, &n,
		func(_ context.Context, c *call, in *kickQuery) (*kickedMany, error) {
			app, err := d.apps.App(c.who.Account, in.App)
			if err != nil {
				return nil, err
			}
			ended, err := d.kick(app.ID, in.User, in.Session)
			return &kickedMany{endedAnswer{ended}}, err
		})
	register(d, api, huma.Operation{OperationID: "browse-channels", Method: "GET", Path: "/v1/apps/{app}/channels", Tags: tags, Summary: "List an app's channels in use",
		Description: "GET /v1/channels for the app's owner."}, &n,
		func(_ context.Context, c *call, in *channelQuery) (*manyChannels, error) {
			app, err := d.apps.App(c.who.Account, in.App)
			if err != nil {
				return nil, err
			}
			return &manyChannels{d.channelPage(app.ID, in.Prefix, in.After, in.Limit)}, nil
		})
}
