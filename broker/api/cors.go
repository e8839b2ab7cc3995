package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// allowForeign lets pages of any origin read the answers of the routes that
// clients use (PROTOCOL.md, clause 9.10), errors included. There are never
// cookies in it, so what counts is the key and its allowed origins.
func allowForeign(r *http.Request, h http.Header) {
	switch r.URL.Path {
	case pathMessages, pathTickets:
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
	}
}

// preflight answers the question a browser asks before such a request.
func preflight(c echo.Context) error {
	h := c.Response().Header()
	methods := http.MethodPost
	if c.Path() == pathMessages { // not DELETE: that takes a secret key, which no page has
		methods = "GET, POST"
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-Request-Id")
	h.Set("Access-Control-Max-Age", "86400")
	return c.NoContent(http.StatusNoContent)
}
