package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// operated is what the operator does with accounts.
type operated interface {
	Accounts() []tenant.Account
	NewAccount(ctx context.Context, in tenant.AccountInput) (tenant.Account, string, error)
	UpdateAccount(ctx context.Context, id protocol.AccountID, p tenant.AccountPatch) (tenant.Account, error)
}

type (
	accountList struct {
		Accounts []tenant.Account `json:"accounts" nullable:"false" doc:"The oldest first"`
		Plans    []tenant.Plan    `json:"plans" nullable:"false" doc:"The plans that there are, beside custom and none"`
	}
	madeAccount struct {
		tenant.Account
		Token string `json:"token" doc:"Its first account token, ffa_; told this once"`
	}
	manyAccounts  struct{ Body accountList }
	newAccount    struct{ Body tenant.AccountInput }
	createdTenant struct{ Body madeAccount }
	changeAccount struct {
		Account protocol.AccountID `path:"account" doc:"The account's id"`
		Body    tenant.AccountPatch
	}
)

// operatorRoutes are those by which the operator has tenants.
func (d *door) operatorRoutes(api huma.API) {
	n, tags := needOperator(), []string{"operator"}
	register(d, api, huma.Operation{OperationID: "list-accounts", Method: http.MethodGet, Path: "/v1/accounts", Tags: tags, Summary: "List all accounts",
		Description: "Takes a token of the server's own account, as all of these."}, &n,
		func(context.Context, *call, *none) (*manyAccounts, error) {
			return &manyAccounts{accountList{d.operated.Accounts(), tenant.Plans()}}, nil
		})
	register(d, api, huma.Operation{OperationID: "create-account", Method: http.MethodPost, Path: "/v1/accounts", Tags: tags, Summary: "Make an account", DefaultStatus: http.StatusCreated,
		Description: "The answer has its first account token, which makes sign-in links to the dashboard (POST /v1/links)."}, &n,
		func(ctx context.Context, _ *call, in *newAccount) (*createdTenant, error) {
			a, token, err := d.operated.NewAccount(ctx, in.Body)
			return &createdTenant{madeAccount{a, token}}, err
		})
	register(d, api, huma.Operation{OperationID: "update-account", Method: http.MethodPatch, Path: "/v1/accounts/{account}", Tags: tags, Summary: "Change an account or its plan",
		Description: "What is left out stays as it is. It holds at once. Another plan than custom takes the account's own quotas away."}, &n,
		func(ctx context.Context, _ *call, in *changeAccount) (*oneAccount, error) {
			a, err := d.operated.UpdateAccount(ctx, in.Account, in.Body)
			return &oneAccount{a}, err
		})
}
