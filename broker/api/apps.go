package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type appPath struct {
	App protocol.AppID `path:"app" doc:"The app's id"`
}

type appList struct {
	Apps []tenant.App `json:"apps" nullable:"false" doc:"By name"`
}

type (
	none      struct{}
	newApp    struct{ Body tenant.AppInput }
	changeApp struct {
		App  protocol.AppID `path:"app" doc:"The app's id"`
		Body tenant.AppPatch
	}
	oneApp     struct{ Body tenant.App }
	manyApps   struct{ Body appList }
	oneAccount struct{ Body tenant.Account }
)

func (d *door) accountRoutes(api huma.API) {
	n := needAccount()
	register(d, api, huma.Operation{OperationID: "get-account", Method: http.MethodGet, Path: "/v1/account", Tags: []string{"account"}, Summary: "The account that calls"}, &n,
		func(_ context.Context, c *call, _ *none) (*oneAccount, error) {
			a, err := d.accounts.Account(c.who.Account)
			return &oneAccount{a}, err
		})
}

func (d *door) appRoutes(api huma.API) {
	n, tags := needAccount(), []string{"apps"}
	register(d, api, huma.Operation{OperationID: "list-apps", Method: http.MethodGet, Path: "/v1/apps", Tags: tags, Summary: "List the account's apps"}, &n,
		func(_ context.Context, c *call, _ *none) (*manyApps, error) {
			return &manyApps{appList{d.apps.Apps(c.who.Account)}}, nil
		})
	register(d, api, huma.Operation{OperationID: "create-app", Method: http.MethodPost, Path: "/v1/apps", Tags: tags, Summary: "Make an app", DefaultStatus: http.StatusCreated,
		Description: "A new app has no keys. Refused with name_taken where the account has an app of that name."}, &n,
		func(ctx context.Context, c *call, in *newApp) (*oneApp, error) {
			a, err := d.apps.CreateApp(ctx, c.who.Account, in.Body)
			return &oneApp{a}, err
		})
	register(d, api, huma.Operation{OperationID: "get-app", Method: http.MethodGet, Path: "/v1/apps/{app}", Tags: tags, Summary: "Read an app",
		Description: "An app of another account is app_not_found, exactly like one that does not exist."}, &n,
		func(_ context.Context, c *call, in *appPath) (*oneApp, error) {
			a, err := d.apps.App(c.who.Account, in.App)
			return &oneApp{a}, err
		})
	register(d, api, huma.Operation{OperationID: "update-app", Method: http.MethodPatch, Path: "/v1/apps/{app}", Tags: tags, Summary: "Change an app",
		Description: "What is left out stays as it is. It holds at once, also for open connections."}, &n,
		func(ctx context.Context, c *call, in *changeApp) (*oneApp, error) {
			a, err := d.apps.UpdateApp(ctx, c.who.Account, in.App, in.Body)
			return &oneApp{a}, err
		})
	register(d, api, huma.Operation{OperationID: "delete-app", Method: http.MethodDelete, Path: "/v1/apps/{app}", Tags: tags, Summary: "Delete an app",
		Description: "Its keys, tokens and connections end at once. There is no way back."}, &n,
		func(ctx context.Context, c *call, in *appPath) (*none, error) {
			if err := d.apps.DeleteApp(ctx, c.who.Account, in.App); err != nil {
				return nil, err
			}
			return &none{}, d.forgetWebhooks(ctx, in.App)
		})
}
