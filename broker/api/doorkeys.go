package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type doorKeyPath struct {
	App protocol.AppID `path:"app" doc:"The app's id"`
	Key string         `path:"key" doc:"The door key's id"`
}

type doorKeyList struct {
	Keys []tenant.DoorKey `json:"door_keys" nullable:"false" doc:"The oldest first"`
}

type (
	newDoorKey struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Body tenant.DoorKeyInput
	}
	rotateDoorKey struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Key  string         `path:"key" doc:"The door key's id"`
		Body *rotation
	}
	oneDoorKey   struct{ Body tenant.DoorKey }
	manyDoorKeys struct{ Body doorKeyList }
)

// doorKeyRoutes are those of the credentials that clients made for other
// services show.
func (d *door) doorKeyRoutes(api huma.API) {
	const list, one = "/v1/apps/{app}/door-keys", "/v1/apps/{app}/door-keys/{key}"
	n, tags := needAccount(), []string{"doors"}
	register(d, api, huma.Operation{OperationID: "list-door-keys", Method: http.MethodGet, Path: list, Tags: tags, Summary: "List the keys of an app's doors for other services' clients",
		Description: "Secrets are never shown."}, &n,
		func(_ context.Context, c *call, in *appPath) (*manyDoorKeys, error) {
			ks, err := d.doorKeys.DoorKeys(c.who.Account, in.App)
			return &manyDoorKeys{doorKeyList{ks}}, err
		})
	register(d, api, huma.Operation{OperationID: "create-door-key", Method: http.MethodPost, Path: list, Tags: tags, Summary: "Make or import a door key", DefaultStatus: http.StatusCreated,
		Description: "Opens the door. The answer has the secret, which is never told again. Refused with key_taken where an app of this server has one of the keys already."}, &n,
		func(ctx context.Context, c *call, in *newDoorKey) (*oneDoorKey, error) {
			k, err := d.doorKeys.CreateDoorKey(ctx, c.who.Account, in.App, in.Body)
			return &oneDoorKey{k}, err
		})
	register(d, api, huma.Operation{OperationID: "get-door-key", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Read a door key"}, &n,
		func(_ context.Context, c *call, in *doorKeyPath) (*oneDoorKey, error) {
			k, err := d.doorKeys.DoorKey(c.who.Account, in.App, in.Key)
			return &oneDoorKey{k}, err
		})
	register(d, api, huma.Operation{OperationID: "revoke-door-key", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Revoke a door key",
		Description: "Its connections end at once. Nobody else can import its keys for as long as the app remembers them."}, &n,
		func(ctx context.Context, c *call, in *doorKeyPath) (*none, error) {
			return &none{}, d.doorKeys.RevokeDoorKey(ctx, c.who.Account, in.App, in.Key)
		})
	register(d, api, huma.Operation{OperationID: "rotate-door-key", Method: http.MethodPost, Path: one + "/rotate", Tags: tags, Summary: "Put a new door key in place of one", DefaultStatus: http.StatusCreated,
		Description: "Ends the old one after a time of grace. The answer has the new secret."}, &n,
		func(ctx context.Context, c *call, in *rotateDoorKey) (*oneDoorKey, error) {
			k, err := d.doorKeys.RotateDoorKey(ctx, c.who.Account, in.App, in.Key, in.Body.grace())
			return &oneDoorKey{k}, err
		})
}
