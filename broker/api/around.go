package api

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

const headerRequestID = "X-Request-Id"

// around is around every request: it names it, answers what fails or panics,
// counts and logs it. Neither the path nor the query that the client sent is
// told anywhere, only the route's pattern: a careless client puts secrets
// there.
func (d *door) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		req, h := c.Request(), c.Response().Header()
		h.Set(headerRequestID, requestID(req))
		h.Set("X-Content-Type-Options", "nosniff")
		allowForeign(req, h)
		if err := d.guard(c, next); err != nil {
			d.fail(err, c)
		}
		route, status, took := d.route(c), c.Response().Status, time.Since(start)
		d.stats.Request(route, req.Method, status, took)
		if d.log.Enabled(req.Context(), slog.LevelDebug) {
			d.log.Debug("request", "request_id", h.Get(headerRequestID), "method", req.Method, "route", route,
				"status", status, "bytes", c.Response().Size, "took", took)
		}
		return nil
	}
}

// guard turns a panic into an error, so that it costs one request and not the
// server. Where the answer has begun already, the connection is cut instead:
// the client must not take a half for the whole.
func (d *door) guard(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		d.log.Error("panic", "request_id", c.Response().Header().Get(headerRequestID), "route", d.route(c), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if c.Response().Committed {
			panic(http.ErrAbortHandler)
		}
		err = protocol.NewError(protocol.CodeInternal)
	}()
	return next(c)
}

// route is the pattern of the route that took the request, "none" where no
// route did: what echo then has for a path is partly the client's own.
func (d *door) route(c echo.Context) string {
	if p := c.Path(); d.routes[p] {
		return p
	}
	return "none"
}

// requestID is the one that a proxy in front gave, where it is harmless in
// logs and headers, else a new one. It is no secret.
func requestID(r *http.Request) string {
	if id := r.Header.Get(headerRequestID); id != "" && protocol.CheckID(id) == nil {
		return id
	}
	return strconv.FormatUint(rand.Uint64(), 36)
}
