package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const pathTickets = "/v1/tickets"

// tokenInput is what a token says.
type tokenInput struct {
	User   string          `json:"user,omitempty" doc:"Whom the token is for, 1 to 128 bytes; left out for nobody in particular"`
	Grants protocol.Grants `json:"grants" doc:"What the token may do"`
	TTL    *int            `json:"ttl,omitempty" minimum:"1" maximum:"86400" doc:"Seconds that it lives; default 3600"`
}

type tokenAnswer struct {
	Token   string    `json:"token" doc:"A JWT for hello or the Authorization header"`
	Expires time.Time `json:"expires" doc:"When it ends"`
}

type ticketAnswer struct {
	Ticket  string    `json:"ticket" doc:"For /v1/sse?ticket="`
	Expires time.Time `json:"expires" doc:"When it ends if nobody uses it"`
}

type (
	newToken  struct{ Body tokenInput }
	oneToken  struct{ Body tokenAnswer }
	oneTicket struct{ Body ticketAnswer }
)

func (d *door) tokenRoutes(api huma.API) {
	secret, app, tags := needSecret(), needApp(), []string{"tokens"}
	register(d, api, huma.Operation{OperationID: "create-token", Method: http.MethodPost, Path: "/v1/tokens", Tags: tags, Summary: "Sign a token for a client", DefaultStatus: http.StatusCreated,
		Description: "For servers without a JWT library; those that have one sign tokens themselves (PROTOCOL.md, clause 8.4)."}, &secret,
		func(_ context.Context, c *call, in *newToken) (*oneToken, error) {
			ttl := time.Hour
			if in.Body.TTL != nil {
				ttl = time.Duration(*in.Body.TTL) * time.Second
			}
			token, expires, err := d.tokens.SignToken(c.who, in.Body.User, in.Body.Grants, ttl)
			return &oneToken{tokenAnswer{token, expires}}, err
		})
	register(d, api, huma.Operation{OperationID: "create-ticket", Method: http.MethodPost, Path: pathTickets, Tags: tags, Summary: "Get a one-time ticket for an SSE stream", DefaultStatus: http.StatusCreated,
		Description: "EventSource cannot send headers; the ticket stands for this request's credential, once, within 30 seconds."}, &app,
		func(ctx context.Context, c *call, _ *none) (*oneTicket, error) {
			ticket, expires, err := d.tokens.NewTicket(ctx, c.who)
			return &oneTicket{ticketAnswer{ticket, expires}}, err
		})
}
