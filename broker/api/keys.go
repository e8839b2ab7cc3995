package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type keyPath struct {
	App protocol.AppID `path:"app" doc:"The app's id"`
	Key string         `path:"key" doc:"The key's id: its first 14 characters"`
}

type keyList struct {
	Keys []tenant.Key `json:"keys" nullable:"false" doc:"The oldest first"`
}

// rotation says how long a rotated key lives on.
type rotation struct {
	Grace *int `json:"grace,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds for which the old key still works; default 86400, 0 ends it at once"`
}

// dayOfGrace is how long both keys work where nothing is said: long enough to
// put the new one in place everywhere, which is what rotating is for.
const dayOfGrace = 24 * time.Hour

// grace is what r says; r may be nil.
func (r *rotation) grace() time.Duration {
	if r == nil || r.Grace == nil {
		return dayOfGrace
	}
	return time.Duration(*r.Grace) * time.Second
}

type (
	newKey struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Body tenant.KeyInput
	}
	changeKey struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Key  string         `path:"key" doc:"The key's id: its first 14 characters"`
		Body tenant.KeyPatch
	}
	rotateKey struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Key  string         `path:"key" doc:"The key's id: its first 14 characters"`
		Body *rotation
	}
	oneKey   struct{ Body tenant.Key }
	manyKeys struct{ Body keyList }
)

func (d *door) keyRoutes(api huma.API) {
	const list, one = "/v1/apps/{app}/keys", "/v1/apps/{app}/keys/{key}"
	n, tags := needAccount(), []string{"keys"}
	register(d, api, huma.Operation{OperationID: "list-keys", Method: http.MethodGet, Path: list, Tags: tags, Summary: "List an app's keys",
		Description: "Publishable keys are shown whole, secret keys never."}, &n,
		func(_ context.Context, c *call, in *appPath) (*manyKeys, error) {
			ks, err := d.keys.Keys(c.who.Account, in.App)
			return &manyKeys{keyList{ks}}, err
		})
	register(d, api, huma.Operation{OperationID: "create-key", Method: http.MethodPost, Path: list, Tags: tags, Summary: "Make a key", DefaultStatus: http.StatusCreated,
		Description: "The answer has the key's text, which for a secret key is never told again."}, &n,
		func(ctx context.Context, c *call, in *newKey) (*oneKey, error) {
			k, err := d.keys.CreateKey(ctx, c.who.Account, in.App, in.Body)
			return &oneKey{k}, err
		})
	register(d, api, huma.Operation{OperationID: "get-key", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Read a key"}, &n,
		func(_ context.Context, c *call, in *keyPath) (*oneKey, error) {
			k, err := d.keys.Key(c.who.Account, in.App, in.Key)
			return &oneKey{k}, err
		})
	register(d, api, huma.Operation{OperationID: "update-key", Method: http.MethodPatch, Path: one, Tags: tags, Summary: "Change a key",
		Description: "What is left out stays as it is. It holds at once, also for open connections."}, &n,
		func(ctx context.Context, c *call, in *changeKey) (*oneKey, error) {
			k, err := d.keys.UpdateKey(ctx, c.who.Account, in.App, in.Key, in.Body)
			return &oneKey{k}, err
		})
	register(d, api, huma.Operation{OperationID: "revoke-key", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Revoke a key",
		Description: "The key and the tokens that it signed end at once."}, &n,
		func(ctx context.Context, c *call, in *keyPath) (*none, error) {
			return &none{}, d.keys.RevokeKey(ctx, c.who.Account, in.App, in.Key)
		})
	register(d, api, huma.Operation{OperationID: "rotate-key", Method: http.MethodPost, Path: one + "/rotate", Tags: tags, Summary: "Put a new key in place of one", DefaultStatus: http.StatusCreated,
		Description: "Makes a key of the same kind, name, origins and grants, and ends the old one after a time of grace. The answer has the new key's text."}, &n,
		func(ctx context.Context, c *call, in *rotateKey) (*oneKey, error) {
			k, err := d.rotator.RotateKey(ctx, c.who.Account, in.App, in.Key, in.Body.grace())
			return &oneKey{k}, err
		})
}
