package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

// problem is the one error that leaves this door: a protocol.Error as RFC 9457
// wants it. It is immutable once made.
type problem struct {
	Type       string             `json:"type" doc:"urn:fanfare:error: and the code"`
	Title      string             `json:"title" doc:"What the code means, the same each time"`
	Status     int                `json:"status" doc:"HTTP status"`
	Detail     string             `json:"detail" doc:"What went wrong this time, for people"`
	Code       protocol.Code      `json:"code" doc:"For programs; PROTOCOL.md, section 10, lists them"`
	Remedy     string             `json:"remedy" doc:"What to do first, for people"`
	Index      *int               `json:"index,omitempty" doc:"The item of a batch it is about, from 0"`
	Channel    protocol.Channel   `json:"channel,omitempty" doc:"The channel it is about"`
	Position   *protocol.Position `json:"position,omitempty" doc:"Where the channel is, with position_conflict"`
	RetryAfter int64              `json:"retry_after,omitempty" doc:"Milliseconds after which trying again makes sense; the Retry-After header says it in seconds"`
	RequestID  string             `json:"request_id,omitempty" doc:"The X-Request-Id of this answer; the operator finds it in the log"`
}

// newProblem is e as it leaves, for the request of that id.
func newProblem(e *protocol.Error, requestID string) *problem {
	info, _ := e.Code.Info()
	p := &problem{
		Type: "urn:fanfare:error:" + string(e.Code), Title: info.Message, Status: e.Status(), Detail: e.Message,
		Code: e.Code, Remedy: e.Remedy, Channel: e.Channel, Position: e.Position, RequestID: requestID,
	}
	if e.Index >= 0 {
		p.Index = &e.Index
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		after := e.RetryAfter
		if after <= 0 {
			after = time.Second
		}
		p.RetryAfter = max(after.Milliseconds(), 1)
	}
	return p
}

// Error makes a problem an error, which huma wants of what it writes.
func (p *problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus tells huma the status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType tells huma the media type.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// dress sets the headers that go with p.
func (p *problem) dress(h http.Header) {
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 { // whole seconds, rounded up: sooner would be in vain
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfter+999)/1000, 10))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="fanfare"`)
	}
}

// toError makes a protocol.Error of whatever a handler, echo or the context
// failed with.
func toError(err error, ctx context.Context) *protocol.Error {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch he.Code {
		case http.StatusNotFound:
			return protocol.NewError(protocol.CodeNotFound)
		case http.StatusMethodNotAllowed:
			return protocol.NewError(protocol.CodeMethodNotAllowed)
		case http.StatusRequestEntityTooLarge:
			return protocol.NewError(protocol.CodeBodyTooLarge)
		}
		if he.Code >= 400 && he.Code < 500 {
			return protocol.NewError(protocol.CodeBadRequest)
		}
	}
	if ctx.Err() != nil { // the client left, or the server stops: not a fault of ours
		return protocol.NewError(protocol.CodeUnavailable)
	}
	return protocol.NewError(protocol.CodeInternal)
}

// judge turns err into the problem that leaves, counts it, and logs the cause
// where it is the server's fault: the stranger sees the request id only.
func (d *door) judge(c echo.Context, err error) *problem {
	e := toError(err, c.Request().Context())
	id := c.Response().Header().Get(headerRequestID)
	if e.Status() >= 500 {
		level := slog.LevelError
		switch {
		case c.Request().Context().Err() != nil: // nobody waits for the answer any more
			level = slog.LevelDebug
		case e.Status() == http.StatusServiceUnavailable:
			level = slog.LevelWarn
		}
		d.log.Log(c.Request().Context(), level, "request failed", "request_id", id, "route", d.route(c), "code", string(e.Code), "error", err)
	}
	d.stats.Refused(e.Code)
	d.note(c, e)
	return newProblem(e, id)
}

// note tells the app that the request's credential names why it was refused.
func (d *door) note(c echo.Context, e *protocol.Error) {
	text, err := bearer(c.Request())
	if err != nil || text == "" {
		return
	}
	if app, key := d.credentials.AppOf(text); app != "" {
		d.stats.App(app).Refuse(e, protocol.Refusal{Door: "rest", What: stats.Method(c.Request().Method) + " " + d.route(c), Key: key})
	}
}

// fail answers with the problem that err is. It is echo's error handler too.
func (d *door) fail(err error, c echo.Context) {
	if c.Response().Committed {
		d.log.Warn("request failed halfway", "request_id", c.Response().Header().Get(headerRequestID), "route", d.route(c), "error", err)
		return
	}
	p := d.judge(c, err)
	p.dress(c.Response().Header())
	b, err := json.Marshal(p)
	if err != nil { // a struct of strings and numbers always marshals
		d.log.Error("write a problem", "error", err)
		return
	}
	c.Response().WriteHeader(p.Status)
	if _, err := c.Response().Write(append(b, '\n')); err != nil {
		d.log.Debug("the client left before its answer", "request_id", p.RequestID)
	}
}

// fromHuma reads what huma found wrong with a request. Only the first fault is
// told: one thing at a time is what a person mends.
func fromHuma(m *huma.ErrorModel) *protocol.Error {
	var first *huma.ErrorDetail
	if len(m.Errors) > 0 {
		first = m.Errors[0]
	}
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		return protocol.NewError(protocol.CodeBodyTooLarge)
	case m.Status == http.StatusRequestTimeout, m.Detail == "cannot read request body": // the client's side is to blame
		return protocol.Errorf(protocol.CodeBadRequest, "The request body did not come whole.")
	case m.Status >= 500:
		return protocol.NewError(protocol.CodeInternal)
	case first == nil:
		return protocol.Errorf(protocol.CodeBadRequest, "%s.", sentence(m.Detail))
	case m.Status == http.StatusBadRequest && first.Location == "body":
		return protocol.Errorf(protocol.CodeBadJSON, "The body is not valid JSON: %s.", first.Message)
	}
	where := strings.TrimPrefix(first.Location, "body.")
	switch {
	case first.Message == "unexpected property":
		return protocol.Errorf(protocol.CodeBadRequest, "The member %q is not one that this endpoint takes.", where)
	case where == "" || where == "body":
		return protocol.Errorf(protocol.CodeBadRequest, "The body is wrong: %s.", first.Message)
	}
	return protocol.Errorf(protocol.CodeBadRequest, "The member %q is wrong: %s.", where, first.Message)
}

func sentence(s string) string {
	if s == "" {
		return "The request is wrong"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
