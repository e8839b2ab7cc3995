package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

const pathMessages = "/v1/messages"

// MaxBody is the largest body of POST /v1/messages, in bytes; more where a
// single message of the app may be larger.
const MaxBody = 4 << 20

// The three forms of a publish and the two of its answer, for the description;
// decodePublish reads them.
type (
	publishItem struct {
		Channel protocol.Channel `json:"channel" minLength:"1" maxLength:"200" doc:"The channel's name"`
		Data    json.RawMessage  `json:"data" doc:"Any JSON, null included; at most message_bytes bytes"`
		Event   string           `json:"event,omitempty" maxLength:"200" doc:"A name for the kind of message"`
		ID      string           `json:"id,omitempty" maxLength:"64" pattern:"^[A-Za-z0-9._:-]*$" doc:"The message's id; the server makes one where it is left out. An id that was published on the channel within two minutes is not published again"`
		First   bool             `json:"first,omitempty" doc:"true: this id was never sent before. Messages that the server makes an id for, and those, may go out early while they cannot be stored"`
	}
	publishOne struct {
		Channel protocol.Channel `json:"channel" minLength:"1" maxLength:"200" doc:"The channel's name"`
		Data    json.RawMessage  `json:"data" doc:"Any JSON, null included; at most message_bytes bytes"`
		Event   string           `json:"event,omitempty" maxLength:"200" doc:"A name for the kind of message"`
		ID      string           `json:"id,omitempty" maxLength:"64" pattern:"^[A-Za-z0-9._:-]*$" doc:"The message's id; the server makes one where it is left out. An id that was published on the channel within two minutes is not published again"`
		First   bool             `json:"first,omitempty" doc:"true: this id was never sent before. Messages that the server makes an id for, and those, may go out early while they cannot be stored"`

		IfPosition *protocol.Position `json:"if_position,omitempty" doc:"Publish only if the channel's last message is at this position; empty: only if it has none"`
	}
	publishFan struct {
		Channels []protocol.Channel `json:"channels" nullable:"false" minItems:"1" maxItems:"1000" doc:"Channels that all get the message"`
		Data     json.RawMessage    `json:"data" doc:"Any JSON, null included; at most message_bytes bytes"`
		Event    string             `json:"event,omitempty" maxLength:"200" doc:"A name for the kind of message"`
		ID       string             `json:"id,omitempty" maxLength:"64" pattern:"^[A-Za-z0-9._:-]*$" doc:"The message's id; the server makes one where it is left out"`
		First    bool               `json:"first,omitempty" doc:"true: this id was never sent before. Messages that the server makes an id for, and those, may go out early while they cannot be stored"`
	}
	publishBatch struct {
		Messages []publishItem `json:"messages" nullable:"false" minItems:"1" maxItems:"1000" doc:"All are checked before any is published"`
	}
	publishedOne struct {
		ID        string            `json:"id" doc:"The message's id"`
		Position  protocol.Position `json:"position" doc:"Its place in the channel; empty on ephemeral channels"`
		Duplicate bool              `json:"duplicate,omitempty" doc:"true: the id was published before, at this position, and not again now"`
	}
	publishedItem struct {
		Channel   protocol.Channel  `json:"channel" doc:"The channel's name"`
		ID        string            `json:"id" doc:"The message's id"`
		Position  protocol.Position `json:"position" doc:"Its place in the channel; empty on ephemeral channels"`
		Duplicate bool              `json:"duplicate,omitempty" doc:"true: the id was published before, at this position, and not again now"`
	}
	publishedMany struct {
		Messages []publishedItem `json:"messages" nullable:"false" doc:"In the order of the request"`
	}
)

func (d *door) messageRoutes(e *echo.Echo, api huma.API) {
	n := needApp()
	e.POST(pathMessages, func(c echo.Context) error { return d.publish(c, n) })
	e.OPTIONS(pathMessages, preflight)
	e.OPTIONS(pathTickets, preflight)

	op := &huma.Operation{OperationID: "publish", Method: http.MethodPost, Path: pathMessages, Tags: []string{"messages"}, Summary: "Publish messages",
		Description: "One message, one message to several channels, or a batch. All of a batch is checked before any of it is published; an error names the item by index. A message whose id was published on the channel within the last two minutes is not published again: the answer tells the first one's position.",
		Security:    security(&n),
		Parameters: []*huma.Param{{Name: headerIdempotency, In: "header", Description: "The message's id where the body has none; for one message only",
			Schema: &huma.Schema{Type: huma.TypeString}}},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: oneOf(api, publishOne{}, publishFan{}, publishBatch{})},
		}},
		Responses: map[string]*huma.Response{
			"200":     jsonResponse("Published", oneOf(api, publishedOne{}, publishedMany{})),
			"default": problemResponse(api),
		},
	}
	api.OpenAPI().AddOperation(op)
}

// publish is the hot path: key, body, hub.
func (d *door) publish(c echo.Context, n need) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r := c.Request()
	who, err := d.admit(r, n)
	if err != nil {
		return err
	}
	body, err := readBody(r, who)
	if err != nil {
		return err
	}
	msgs, batch, err := decodePublish(body)
	if err != nil {
		return err
	}
	if err := idempotent(r, msgs, batch); err != nil {
		return err
	}
	done, err := d.hub.Publish(r.Context(), who, hub.Origin{User: who.UserID()}, msgs)
	if err != nil {
		if e, ok := errors.AsType[*protocol.Error](err); ok && !batch && e.Index >= 0 {
			return e.At(-1) // there is no batch to have an index in
		}
		return err
	}
	if note := who.QuotaWarning(); note != "" {
		c.Response().Header().Set(headerQuota, note)
	}
	if len(done) != len(msgs) {
		return fmt.Errorf("the hub answered %d messages of %d", len(done), len(msgs))
	}
	if !batch {
		return answer(c, publishedOne{done[0].ID, done[0].Position, done[0].Duplicate})
	}
	many := publishedMany{make([]publishedItem, len(done))}
	for i, p := range done {
		many.Messages[i] = publishedItem{msgs[i].Channel, p.ID, p.Position, p.Duplicate}
	}
	return answer(c, many)
}

// headerQuota tells who publishes which quotas of the account are nearly used
// up, as in "messages 83%".
const headerQuota = "Fanfare-Quota"

// headerIdempotency is the message's id of a publish whose body has none
// (PROTOCOL.md, clause 9.11).
const headerIdempotency = "Idempotency-Key"

// idempotent takes the message's id from the header, with or without the
// quotes that the IETF's draft of the header gives it.
func idempotent(r *http.Request, msgs []protocol.Outgoing, batch bool) error {
	keys := r.Header.Values(headerIdempotency)
	switch {
	case len(keys) == 0:
		return nil
	case batch:
		return oneMessage("The header " + headerIdempotency)
	case len(keys) > 1:
		return protocol.Errorf(protocol.CodeBadRequest, "The header %s is there twice.", headerIdempotency)
	}
	id := keys[0]
	if n := len(id); n > 2 && id[0] == '"' && id[n-1] == '"' {
		id = id[1 : n-1]
	}
	if id == "" || protocol.CheckID(id) != nil {
		return protocol.Errorf(protocol.CodeIDInvalid, "The header %s is not 1 to 64 characters of A-Z a-z 0-9 . _ : -.", headerIdempotency)
	}
	if msgs[0].ID == "" {
		msgs[0].ID = id
	}
	return nil
}

func answer(c echo.Context, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, b)
}

// readBody reads no more than one message of the app may need, or MaxBody.
func readBody(r *http.Request, who *tenant.Principal) ([]byte, error) {
	most := int64(max(MaxBody, who.MaxData()+64<<10))
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	if n := r.ContentLength; n >= 0 {
		b := make([]byte, n)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			return nil, cutOff(err)
		}
		return b, nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case err != nil:
		return nil, cutOff(err)
	case int64(len(b)) > most:
		return nil, tooLarge(most)
	}
	return b, nil
}

func tooLarge(most int64) error {
	return protocol.Errorf(protocol.CodeBodyTooLarge, "The request body is larger than %d bytes.", most)
}

// cutOff is for a body that did not come whole; the client's side is to blame.
func cutOff(err error) error {
	return fmt.Errorf("%w: %w", protocol.Errorf(protocol.CodeBadRequest, "The request body did not come whole."), err)
}
