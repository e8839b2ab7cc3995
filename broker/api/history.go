package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

// Bounds of limit in a request for history (PROTOCOL.md, clause 9.12).
const (
	maxHistory     = 1000
	defaultHistory = 100
)

// The answer of history, for the description; page writes it.
type (
	historyPage struct {
		Messages []historyMessage  `json:"messages" nullable:"false" doc:"The oldest first"`
		Next     protocol.Position `json:"next,omitempty" doc:"The after (with newest: the before) of the next page; without it there is none"`
		Whole    bool              `json:"whole,omitempty" doc:"false: messages between after and these are gone, or may be; else it is left out"`
		Reason   string            `json:"reason,omitempty" doc:"Why: expired, evicted, epoch or ephemeral"`
	}
	historyMessage struct {
		Type     string            `json:"type" enum:"message" doc:"message"`
		Position protocol.Position `json:"position" doc:"Its place in the channel"`
		Previous protocol.Position `json:"previous" doc:"The place of the message before it; empty where that is not known"`
		Channel  protocol.Channel  `json:"channel" doc:"The channel's name"`
		ID       string            `json:"id" doc:"The message's id"`
		Time     int64             `json:"time" doc:"When it was published, Unix milliseconds"`
		Event    string            `json:"event,omitempty" doc:"A name for the kind of message"`
		User     string            `json:"user,omitempty" doc:"The user whose client published it"`
		Data     json.RawMessage   `json:"data" doc:"Any JSON"`
	}
)

func (d *door) historyRoutes(e *echo.Echo, api huma.API) {
	e.GET(pathMessages, d.history)
	e.DELETE(pathMessages, d.forget)

	readers, secret := needApp(), needSecret()
	channel := query("channel", "The channel's name", &huma.Schema{Type: huma.TypeString})
	channel.Required = true
	least, most := 1.0, float64(maxHistory)
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "history", Method: http.MethodGet, Path: pathMessages, Tags: []string{"messages"}, Summary: "Read a channel's history",
		Description: "The messages that the channel keeps; needs the grant history. A page may hold fewer than limit: next says whether there is more.",
		Security:    security(&readers),
		Parameters: []*huma.Param{channel,
			query("limit", "The most messages of a page; default 100", &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most}),
			query("after", "A position: only what came after it", &huma.Schema{Type: huma.TypeString}),
			query("before", "A position: only what came before it", &huma.Schema{Type: huma.TypeString}),
			query("until", "A position: only what came up to it, and it", &huma.Schema{Type: huma.TypeString}),
			query("since", "A time, RFC 3339: only what was published then or later", &huma.Schema{Type: huma.TypeString, Format: "date-time"}),
			query("newest", "true: the last messages of the range instead of the first", &huma.Schema{Type: huma.TypeBoolean}),
		},
		Responses: map[string]*huma.Response{"200": jsonResponse("A page of messages", schemaOf(api, historyPage{})), "default": problemResponse(api)},
	})
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "forget", Method: http.MethodDelete, Path: pathMessages, Tags: []string{"messages"}, Summary: "Delete a channel's history",
		Description: "Forgets all messages that the channel keeps; its positions go on.",
		Security:    security(&secret), Parameters: []*huma.Param{channel},
		Responses: map[string]*huma.Response{"204": {Description: "Forgotten"}, "default": problemResponse(api)},
	})
}

func query(name, description string, s *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: description, Schema: s}
}

// history answers with a page of a channel's past.
func (d *door) history(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, needApp())
	if err != nil {
		return err
	}
	q, err := historyQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	p, err := d.hub.History(r.Context(), who, q)
	if err != nil {
		return err
	}
	b, err := page(&p)
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, b)
}

// forget deletes what a channel keeps.
func (d *door) forget(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, needSecret())
	if err != nil {
		return err
	}
	q, err := parameters(r.URL.RawQuery, "channel")
	if err != nil {
		return err
	}
	ch, err := channelOf(q)
	if err != nil {
		return err
	}
	if err := d.hub.Forget(r.Context(), who, ch); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// page is p as JSON. The messages go out as the bytes they are kept in.
func page(p *hub.HistoryPage) ([]byte, error) {
	size := 128
	for _, f := range p.Frames {
		size += len(f.Line) + 1
	}
	b := append(make([]byte, 0, size), `{"messages":[`...)
	for i, f := range p.Frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, f.Line...)
	}
	b = append(b, ']')
	for _, m := range []struct{ name, value string }{{"next", string(p.Next)}, {"reason", p.Reason}} {
		if m.value == "" {
			continue
		}
		text, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"`+m.name+`":`...), text...)
	}
	if !p.Whole {
		b = append(b, `,"whole":false`...)
	}
	return append(b, '}'), nil
}

// historyQuery reads the parameters of GET /v1/messages. The error is a
// *protocol.Error that names the one that is wrong.
func historyQuery(raw string) (hub.HistoryQuery, error) {
	q := hub.HistoryQuery{Limit: defaultHistory}
	v, err := parameters(raw, "channel", "limit", "after", "before", "until", "since", "newest")
	if err != nil {
		return q, err
	}
	if q.Channel, err = channelOf(v); err != nil {
		return q, err
	}
	for name, at := range map[string]*protocol.Position{"after": &q.After, "before": &q.Before, "until": &q.Until} {
		// "" is the position of an ephemeral channel: there is nothing to read
		// of one, and asking is no mistake.
		if *at = protocol.Position(v.Get(name)); *at == "" {
			continue
		}
		if _, _, err := at.Parse(); err != nil {
			return q, protocol.Errorf(protocol.CodePositionInvalid, "The parameter %q is not a position that the server gave out.", name)
		}
	}
	if v.Has("limit") {
		n, err := strconv.Atoi(v.Get("limit"))
		if err != nil || n < 1 || n > maxHistory {
			return q, protocol.Errorf(protocol.CodeBadRequest, `The parameter "limit" must be a whole number from 1 to %d.`, maxHistory)
		}
		q.Limit = n
	}
	if v.Has("since") {
		// A + of a time zone that was not escaped came as a space.
		if q.Since, err = time.Parse(time.RFC3339, strings.Replace(v.Get("since"), " ", "+", 1)); err != nil {
			return q, protocol.Errorf(protocol.CodeBadRequest, `The parameter "since" is not a time as RFC 3339 has it, like 2026-02-28T12:00:00Z.`)
		}
	}
	switch v.Get("newest") {
	case "true":
		q.Newest = true
	case "false", "":
	default:
		return q, protocol.Errorf(protocol.CodeBadRequest, `The parameter "newest" must be true or false.`)
	}
	return q, nil
}

// channelOf is the parameter channel.
func channelOf(v url.Values) (protocol.Channel, error) {
	if !v.Has("channel") {
		return "", protocol.Errorf(protocol.CodeBadRequest, `The parameter "channel" is missing.`)
	}
	return protocol.ParseChannel(v.Get("channel"))
}

// parameters reads a URL's query. As in bodies, what nobody knows or comes
// twice is refused: it is a mistake.
func parameters(raw string, known ...string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeBadRequest, "The query of the URL is not well formed.")
	}
	for name, values := range v {
		if !slices.Contains(known, name) {
			return nil, protocol.Errorf(protocol.CodeBadRequest, "The parameter %s is not one that this endpoint takes: %s.", quoted(name), strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, protocol.Errorf(protocol.CodeBadRequest, "The parameter %q is there twice.", name)
		}
	}
	return v, nil
}
