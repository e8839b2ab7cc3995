package api

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/labstack/echo/v4"
)

// call is one request on its way through huma: who makes it, and the two
// things in which we differ from huma. It belongs to the request's goroutine.
type call struct {
	inner
	echo   echo.Context
	who    *tenant.Principal // nil where the route needs nobody
	status int               // of a problem; 0: huma's
}

// inner is huma's context under a name that is free of its method Context.
type inner huma.Context

type callKey struct{}

// Context carries the call itself to the handler.
func (c *call) Context() context.Context {
	return context.WithValue(c.inner.Context(), callKey{}, c)
}

// Unwrap lets humaecho find its own context.
func (c *call) Unwrap() huma.Context { return c.inner }

// Header hides what huma would choose a format by: bodies are JSON whatever
// curl calls them (PROTOCOL.md, clause 9.1), and so are answers.
func (c *call) Header(name string) string {
	if name == "Content-Type" || name == "Accept" {
		return "application/json"
	}
	return c.inner.Header(name)
}

// SetStatus sends the problem's status in place of huma's, which knows 422.
func (c *call) SetStatus(status int) {
	if c.status != 0 {
		status = c.status
	}
	c.inner.SetStatus(status)
}

func newHuma(e *echo.Echo, c huma.Config) huma.API { return humaecho.New(e, c) }

// register adds a route that answers with Go values. Who calls is found out
// before the body is read. n nil means that everybody may call.
func register[I, O any](d *door, api huma.API, op huma.Operation, n *need, fn func(context.Context, *call, *I) (*O, error)) {
	op.Responses = map[string]*huma.Response{"default": problemResponse(api)}
	op.Security = security(n)
	op.Middlewares = huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
		c := &call{inner: hc, echo: humaecho.Unwrap(hc)}
		c.echo.Response().Header().Set("Cache-Control", "no-store")
		if n != nil {
			var err error
			if c.who, err = d.admit(c.echo.Request(), *n); err != nil {
				d.fail(err, c.echo)
				return
			}
		}
		next(c)
	}}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		c := ctx.Value(callKey{}).(*call)
		out, err := fn(ctx, c, in)
		if err != nil {
			return nil, d.judge(c.echo, err)
		}
		return out, nil
	})
}

// transform makes problems of huma's own errors, and sends the headers that go
// with one.
func (d *door) transform(hc huma.Context, _ string, v any) (any, error) {
	c, ok := hc.(*call)
	if !ok {
		return v, nil
	}
	var p *problem
	switch v := v.(type) {
	case *problem:
		p = v
	case *huma.ErrorModel:
		p = d.judge(c.echo, fromHuma(v))
	default:
		return v, nil
	}
	p.dress(c.echo.Response().Header())
	c.status = p.Status
	return p, nil
}

// strictJSON is json.Unmarshal that refuses what is not UTF-8, where
// json.Unmarshal would put other characters in place.
func strictJSON(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	return json.Unmarshal(data, v)
}
