package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

// Crowd knows who is in which channel, and how many.
type Crowd interface {
	// Members is at most limit of those who are present in ch, in order,
	// behind the user after, and how many there are in all.
	Members(app protocol.AppID, ch protocol.Channel, after string, limit int) ([]protocol.Member, int)
	// Occupied is at most limit of the app's channels in use whose names begin
	// with prefix, in order, behind after, and whether there are more.
	Occupied(app protocol.AppID, prefix string, after protocol.Channel, limit int) ([]protocol.ChannelInfo, bool)
}

// Bounds of limit where a page is a part of a list.
const (
	maxPage     = 1000
	defaultPage = 100
)

const pathPresence = "/v1/presence"

// memberPage is a page of a channel's members.
type memberPage struct {
	Members []protocol.Member `json:"members" nullable:"false" doc:"In the order of the users' bytes"`
	Count   int               `json:"count" doc:"How many are present in all"`
	Next    string            `json:"next,omitempty" doc:"The after of the next page; without it there is none"`
}

func (d *door) presenceRoutes(e *echo.Echo, api huma.API) {
	e.GET(pathPresence, d.presence)
	who := needApp()
	channel := query("channel", "The channel's name", &huma.Schema{Type: huma.TypeString})
	channel.Required = true
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "presence", Method: http.MethodGet, Path: pathPresence, Tags: []string{"presence"}, Summary: "List a channel's members",
		Description: "The users who are present in the channel; needs the grant presence.",
		Security:    security(&who),
		Parameters:  []*huma.Param{channel, limitParam(), query("after", "A user: only those behind it", &huma.Schema{Type: huma.TypeString})},
		Responses:   map[string]*huma.Response{"200": jsonResponse("A page of members", schemaOf(api, memberPage{})), "default": problemResponse(api)},
	})
}

func limitParam() *huma.Param {
	least, most := 1.0, float64(maxPage)
	return query("limit", "The most that a page has; default 100", &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most})
}

// presence answers with a page of a channel's members.
func (d *door) presence(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, needApp())
	if err != nil {
		return err
	}
	q, err := parameters(r.URL.RawQuery, "channel", "limit", "after")
	if err != nil {
		return err
	}
	ch, err := channelOf(q)
	if err != nil {
		return err
	}
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	if err := maySee(who, ch); err != nil {
		return err
	}
	page := memberPage{Members: []protocol.Member{}}
	found, count := d.crowd.Members(who.App, ch, q.Get("after"), limit+1)
	if page.Count = count; len(found) > limit {
		found = found[:limit]
		page.Next = found[limit-1].User
	}
	page.Members = append(page.Members, found...)
	return c.JSON(http.StatusOK, page)
}

// maySee says why who may not know who is in ch.
func maySee(who *tenant.Principal, ch protocol.Channel) error {
	if err := who.May(protocol.Presence, ch); err != nil {
		return err
	}
	if !who.Presence(ch) {
		return protocol.NewError(protocol.CodePresenceOff).On(ch)
	}
	return nil
}

// limitOf is the parameter limit.
func limitOf(q url.Values) (int, error) {
	if !q.Has("limit") {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 || n > maxPage {
		return 0, protocol.Errorf(protocol.CodeBadRequest, `The parameter "limit" must be a whole number from 1 to %d.`, maxPage)
	}
	return n, nil
}
