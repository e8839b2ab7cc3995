package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/labstack/echo/v4"
)

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"app":     {Type: "http", Scheme: "bearer", Description: "A key of the app, ffs_ or ffp_, or a token"},
		"secret":  {Type: "http", Scheme: "bearer", Description: "A secret key, ffs_"},
		"account": {Type: "http", Scheme: "bearer", Description: "An account token, ffa_"},
		"session": {Type: "apiKey", In: "cookie", Name: cookieName, Description: "The dashboard's session"},
	}
}

// security is n in OpenAPI's words.
func security(n *need) []map[string][]string {
	one := func(name string) map[string][]string { return map[string][]string{name: {}} }
	switch {
	case n == nil:
		return []map[string][]string{}
	case n.cookie():
		return []map[string][]string{one("account"), one("session")}
	case n.takes(tenant.KindAccount):
		return []map[string][]string{one("account")}
	case n.takes(tenant.KindToken):
		return []map[string][]string{one("app")}
	default:
		return []map[string][]string{one("secret")}
	}
}

func schemaOf(api huma.API, v any) *huma.Schema {
	t := reflect.TypeOf(v)
	return api.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

func oneOf(api huma.API, forms ...any) *huma.Schema {
	s := &huma.Schema{}
	for _, f := range forms {
		s.OneOf = append(s.OneOf, schemaOf(api, f))
	}
	return s
}

func jsonResponse(description string, s *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: s}}}
}

// problemResponse stands for every error of a route.
func problemResponse(api huma.API) *huma.Response {
	return &huma.Response{Description: "What went wrong, with a code for programs and a remedy for people", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: schemaOf(api, problem{})},
	}}
}

// describe mounts the description of all routes, made once: it cannot change
// while the server runs.
func (d *door) describe(e *echo.Echo, api huma.API) {
	doc := api.OpenAPI()
	describeRealtime(api)
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own error, which never leaves
	delete(schemas, "ErrorDetail")
	for _, s := range schemas {
		solid(s)
	}
	body, err := json.Marshal(doc)
	if err != nil { // made of our own types: a test fails first
		d.log.Error("describe the API", "error", err)
		return
	}
	etag := etagOf(body)
	e.Match([]string{http.MethodGet, http.MethodHead}, "/v1/openapi.json", func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Type", "application/json")
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(c.Response(), c.Request(), "openapi.json", time.Time{}, bytes.NewReader(body))
		return nil
	})
}

// solid says of every list in s that it is never null, as huma would have it
// by default: an empty list is [].
func solid(s *huma.Schema) {
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	for _, p := range s.Properties {
		solid(p)
	}
}

// describeRealtime describes the doors beside this one, in as far as OpenAPI
// has words for them.
func describeRealtime(api huma.API) {
	n := needApp()
	str := &huma.Schema{Type: huma.TypeString}
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "websocket", Method: http.MethodGet, Path: "/v1/ws", Tags: []string{"realtime"}, Summary: "Open a WebSocket",
		Description: "Subprotocol fanfare.v1.json; PROTOCOL.md, sections 2 to 6. The credential is in the first frame, never in the URL.",
		Security:    security(nil),
		Responses:   map[string]*huma.Response{"101": {Description: "Switching protocols"}, "default": problemResponse(api)},
	})
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "sse", Method: http.MethodGet, Path: "/v1/sse", Tags: []string{"realtime"}, Summary: "Open a stream of server-sent events",
		Description: "For EventSource or any HTTP client; PROTOCOL.md, section 7. Without an Authorization header the credential is a ticket, a publishable key or the cookie fanfare_token.",
		Security:    append(security(&n), map[string][]string{}),
		Parameters: []*huma.Param{
			{Name: "channel", In: "query", Required: true, Description: "A channel to subscribe to; may come up to 100 times", Schema: &huma.Schema{Type: huma.TypeArray, Items: str}},
			{Name: "presence", In: "query", Description: "true: tell who is present, too; needs the grant presence", Schema: &huma.Schema{Type: huma.TypeBoolean}},
			{Name: "occupancy", In: "query", Description: "true: tell how many there are, too; needs occupancy in the namespace's rule", Schema: &huma.Schema{Type: huma.TypeBoolean}},
			{Name: "ticket", In: "query", Description: "From POST /v1/tickets", Schema: str},
			{Name: "key", In: "query", Description: "A publishable key, ffp_", Schema: str},
			{Name: "rewind", In: "query", Description: "The newest part of the past first: a number of messages, as 10, or of seconds, as 60s", Schema: str},
			{Name: "last_event_id", In: "query", Description: "As Last-Event-ID", Schema: str},
			{Name: "Last-Event-ID", In: "header", Description: "The id of the last event that came on the same channels: the stream goes on behind it", Schema: str},
		},
		Responses: map[string]*huma.Response{
			"200":     {Description: "A stream without end", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: str}}},
			"default": problemResponse(api),
		},
	})
	account := needToken()
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "backup", Method: http.MethodGet, Path: "/v1/backup", Tags: []string{"server"}, Summary: "Back up the running server",
		Description: "All accounts, apps, keys and messages, with the secrets that the data folder holds: keep it as safe as those. Takes the token of the server's own account. An archive that was cut off has no end, by which fanfare restore knows it.",
		Security:    security(&account),
		Responses: map[string]*huma.Response{
			"200":     {Description: "A tar archive for fanfare restore", Content: map[string]*huma.MediaType{"application/x-tar": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}},
			"default": problemResponse(api),
		},
	})
}
