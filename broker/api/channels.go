package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

const pathChannels = "/v1/channels"

// channelPage is a page of the channels in use.
type channelPage struct {
	Channels []protocol.ChannelInfo `json:"channels" nullable:"false" doc:"In the order of the names' bytes"`
	Next     protocol.Channel       `json:"next,omitempty" doc:"The after of the next page; without it there is none"`
}

func (d *door) channelRoutes(e *echo.Echo, api huma.API) {
	e.GET(pathChannels, d.channels)
	secret, text := needSecret(), &huma.Schema{Type: huma.TypeString}
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "list-channels", Method: http.MethodGet, Path: pathChannels, Tags: []string{"presence"}, Summary: "List the channels in use",
		Description: "The channels that have a subscriber or a member, with how many they have.",
		Security:    security(&secret),
		Parameters:  []*huma.Param{query("prefix", "How the names begin", text), limitParam(), query("after", "A channel: only those behind it", text)},
		Responses:   map[string]*huma.Response{"200": jsonResponse("A page of channels", schemaOf(api, channelPage{})), "default": problemResponse(api)},
	})
}

// channels answers with a page of the channels in use.
func (d *door) channels(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, needSecret())
	if err != nil {
		return err
	}
	q, err := parameters(r.URL.RawQuery, "prefix", "limit", "after")
	if err != nil {
		return err
	}
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d.channelPage(who.App, q.Get("prefix"), protocol.Channel(q.Get("after")), limit))
}

func (d *door) channelPage(app protocol.AppID, prefix string, after protocol.Channel, limit int) channelPage {
	page := channelPage{Channels: []protocol.ChannelInfo{}}
	found, more := d.crowd.Occupied(app, prefix, after, limit)
	page.Channels = append(page.Channels, found...)
	if n := len(found); more && n > 0 {
		page.Next = found[n-1].Channel
	}
	return page
}
