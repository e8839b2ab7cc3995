package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Webhooks keeps the endpoints that apps' events are sent to. Errors for
// callers are *protocol.Error. It trusts that the app is the caller's.
type Webhooks interface {
	List(app protocol.AppID) []protocol.Webhook
	Create(ctx context.Context, app protocol.AppID, in protocol.WebhookInput) (protocol.Webhook, error)
	Update(ctx context.Context, app protocol.AppID, id string, p protocol.WebhookPatch) (protocol.Webhook, error)
	Delete(ctx context.Context, app protocol.AppID, id string) error
	Rotate(ctx context.Context, app protocol.AppID, id string, grace time.Duration) (protocol.Webhook, error)
}

// Deliveries knows what was sent to them, and sends by hand.
type Deliveries interface {
	Deliveries(ctx context.Context, app protocol.AppID, id string) ([]protocol.WebhookDelivery, error)
	Test(ctx context.Context, app protocol.AppID, id string) (protocol.WebhookDelivery, error)
	Resend(ctx context.Context, app protocol.AppID, id, delivery string) (protocol.WebhookDelivery, error)
	Forget(ctx context.Context, app protocol.AppID) error // all of an app that was deleted
}

type webhookList struct {
	Webhooks []protocol.Webhook `json:"webhooks" nullable:"false" doc:"The app's webhooks"`
}

type deliveryList struct {
	Deliveries []protocol.WebhookDelivery `json:"deliveries" nullable:"false" doc:"The last tries, the newest first"`
}

// secretRotation says how long a webhook's old secret signs, too.
type secretRotation struct {
	Grace *int `json:"grace,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds for which the old secret signs, too; default 86400, 0 ends it at once"`
}

type (
	webhookPath struct {
		App protocol.AppID `path:"app" doc:"The app's id"`
		ID  string         `path:"id" doc:"The webhook's id"`
	}
	deliveryPath struct {
		App      protocol.AppID `path:"app" doc:"The app's id"`
		ID       string         `path:"id" doc:"The webhook's id"`
		Delivery string         `path:"delivery" doc:"The delivery's id"`
	}
	newWebhook struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Body protocol.WebhookInput
	}
	changeWebhook struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		ID   string         `path:"id" doc:"The webhook's id"`
		Body protocol.WebhookPatch
	}
	rotateWebhook struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		ID   string         `path:"id" doc:"The webhook's id"`
		Body *secretRotation
	}
	oneWebhook     struct{ Body protocol.Webhook }
	manyWebhooks   struct{ Body webhookList }
	oneDelivery    struct{ Body protocol.WebhookDelivery }
	manyDeliveries struct{ Body deliveryList }
)

// inOwnApp is fn for callers whose app it is; to others the app is not there.
func inOwnApp[I, O any](d *door, app func(*I) protocol.AppID, fn func(context.Context, *I) (*O, error)) func(context.Context, *call, *I) (*O, error) {
	return func(ctx context.Context, c *call, in *I) (*O, error) {
		if _, err := d.apps.App(c.who.Account, app(in)); err != nil {
			return nil, err
		}
		return fn(ctx, in)
	}
}

func (d *door) webhookRoutes(api huma.API, hooks Webhooks) {
	const list, one = "/v1/apps/{app}/webhooks", "/v1/apps/{app}/webhooks/{id}"
	n, tags := needAccount(), []string{"webhooks"}
	register(d, api, huma.Operation{OperationID: "list-webhooks", Method: http.MethodGet, Path: list, Tags: tags, Summary: "List an app's webhooks"}, &n,
		inOwnApp(d, func(in *appPath) protocol.AppID { return in.App }, func(_ context.Context, in *appPath) (*manyWebhooks, error) {
			return &manyWebhooks{webhookList{hooks.List(in.App)}}, nil
		}))
	register(d, api, huma.Operation{OperationID: "create-webhook", Method: http.MethodPost, Path: list, Tags: tags, Summary: "Make a webhook", DefaultStatus: http.StatusCreated,
		Description: "The answer has the secret that signs its events, which is never told again. An app has at most 10 (webhook_limit)."}, &n,
		inOwnApp(d, func(in *newWebhook) protocol.AppID { return in.App }, func(ctx context.Context, in *newWebhook) (*oneWebhook, error) {
			h, err := hooks.Create(ctx, in.App, in.Body)
			return &oneWebhook{h}, err
		}))
	register(d, api, huma.Operation{OperationID: "get-webhook", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Read a webhook"}, &n,
		inOwnApp(d, func(in *webhookPath) protocol.AppID { return in.App }, func(_ context.Context, in *webhookPath) (*oneWebhook, error) {
			for _, h := range hooks.List(in.App) {
				if h.ID == in.ID {
					return &oneWebhook{h}, nil
				}
			}
			return nil, protocol.NewError(protocol.CodeWebhookNotFound)
		}))
	register(d, api, huma.Operation{OperationID: "update-webhook", Method: http.MethodPatch, Path: one, Tags: tags, Summary: "Change a webhook",
		Description: "What is left out stays as it is. Disabling it throws away what is queued for it."}, &n,
		inOwnApp(d, func(in *changeWebhook) protocol.AppID { return in.App }, func(ctx context.Context, in *changeWebhook) (*oneWebhook, error) {
			h, err := hooks.Update(ctx, in.App, in.ID, in.Body)
			return &oneWebhook{h}, err
		}))
	register(d, api, huma.Operation{OperationID: "delete-webhook", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Delete a webhook",
		Description: "What is queued for it and its log go with it."}, &n,
		inOwnApp(d, func(in *webhookPath) protocol.AppID { return in.App }, func(ctx context.Context, in *webhookPath) (*none, error) {
			return &none{}, hooks.Delete(ctx, in.App, in.ID)
		}))
	register(d, api, huma.Operation{OperationID: "rotate-webhook", Method: http.MethodPost, Path: one + "/rotate", Tags: tags, Summary: "Give a webhook a new secret",
		Description: "The answer has it. Until the grace is over each event has two signatures, by the new secret and by the old one."}, &n,
		inOwnApp(d, func(in *rotateWebhook) protocol.AppID { return in.App }, func(ctx context.Context, in *rotateWebhook) (*oneWebhook, error) {
			h, err := hooks.Rotate(ctx, in.App, in.ID, (*rotation)(in.Body).grace())
			return &oneWebhook{h}, err
		}))
}

func (d *door) deliveryRoutes(api huma.API) {
	const one = "/v1/apps/{app}/webhooks/{id}"
	n, tags := needAccount(), []string{"webhooks"}
	register(d, api, huma.Operation{OperationID: "test-webhook", Method: http.MethodPost, Path: one + "/test", Tags: tags, Summary: "Send a test event",
		Description: "Sends an event of type webhook.test, once, and answers how that went: 200 also where the receiver did not take it."}, &n,
		inOwnApp(d, func(in *webhookPath) protocol.AppID { return in.App }, func(ctx context.Context, in *webhookPath) (*oneDelivery, error) {
			t, err := d.sent.Test(ctx, in.App, in.ID)
			return &oneDelivery{t}, err
		}))
	register(d, api, huma.Operation{OperationID: "list-deliveries", Method: http.MethodGet, Path: one + "/deliveries", Tags: tags, Summary: "List the last tries",
		Description: "The last 100 tries to deliver an event, of at most 7 days."}, &n,
		inOwnApp(d, func(in *webhookPath) protocol.AppID { return in.App }, func(ctx context.Context, in *webhookPath) (*manyDeliveries, error) {
			ts, err := d.sent.Deliveries(ctx, in.App, in.ID)
			return &manyDeliveries{deliveryList{ts}}, err
		}))
	register(d, api, huma.Operation{OperationID: "resend-delivery", Method: http.MethodPost, Path: one + "/deliveries/{delivery}/resend", Tags: tags, Summary: "Send an event again",
		Description: "Sends the event of that try again, once, with its old id, and answers how that went: 200 also where the receiver did not take it."}, &n,
		inOwnApp(d, func(in *deliveryPath) protocol.AppID { return in.App }, func(ctx context.Context, in *deliveryPath) (*oneDelivery, error) {
			t, err := d.sent.Resend(ctx, in.App, in.ID, in.Delivery)
			return &oneDelivery{t}, err
		}))
}

// forgetWebhooks deletes those of an app that is deleted.
func (d *door) forgetWebhooks(ctx context.Context, app protocol.AppID) error {
	if d.sent == nil {
		return nil
	}
	return d.sent.Forget(ctx, app)
}
