package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

// Connections is the live connections.
type Connections interface {
	// Kick ends all of a user's connections, or the one of a session, in an
	// app, and says how many.
	Kick(app protocol.AppID, user, session string) int
	// Connections is at most limit of an app's, or of one user's in it, in
	// order, behind the session after, and whether there are more.
	Connections(app protocol.AppID, user, after string, limit int) ([]protocol.Connection, bool)
}

const pathConnections = "/v1/connections"

type endedAnswer struct {
	Ended int `json:"ended" doc:"How many connections were ended"`
}

func (d *door) connectionRoutes(e *echo.Echo, api huma.API) {
	e.DELETE(pathConnections, d.endConnections)
	secret, text := needSecret(), &huma.Schema{Type: huma.TypeString}
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "end-connections", Method: http.MethodDelete, Path: pathConnections, Tags: []string{"connections"}, Summary: "End a user's connections",
		Description: "Ends them with kicked, so that clients do not come back by themselves. A token that is still good can open new ones: let your server give no new one, and keep tokens short.",
		Security:    security(&secret),
		Parameters:  []*huma.Param{query("user", "The user of the connections' tokens", text), query("session", "One connection, by the session of its welcome", text)},
		Responses:   map[string]*huma.Response{"200": jsonResponse("How many were ended", schemaOf(api, endedAnswer{})), "default": problemResponse(api)},
	})
}

// endConnections ends a user's connections, or one.
func (d *door) endConnections(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, needSecret())
	if err != nil {
		return err
	}
	q, err := parameters(r.URL.RawQuery, "user", "session")
	if err != nil {
		return err
	}
	n, err := d.kick(who.App, q.Get("user"), q.Get("session"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, endedAnswer{n})
}

func (d *door) kick(app protocol.AppID, user, session string) (ended int, err error) {
	if (user == "") == (session == "") {
		return 0, protocol.Errorf(protocol.CodeBadRequest, `One of the parameters "user" and "session" is needed, and not both.`)
	}
	return d.kicker.Kick(app, user, session), nil
}
