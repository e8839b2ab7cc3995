package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Plan is what an account may use in all, under a name.
type Plan struct {
	ID     string       `json:"id" doc:"Its name"`
	Quotas stats.Quotas `json:"quotas" doc:"What it allows"`
}

// planCustom is the plan whose quotas are the account's own.
const planCustom = "custom"

// Plans are the plans that an account may have, beside none and custom.
func Plans() []Plan {
	return []Plan{
		{"free", stats.Quotas{Connections: 200, Messages: 1_000_000, Bytes: 1 << 30, Stored: 100_000}},
	}
}

// quotas are what the account may use. A plan that this version does not know
// allows what the smallest one does.
func (a Account) quotas() stats.Quotas {
	switch a.Plan {
	case "":
		return stats.Quotas{}
	case planCustom:
		if a.Custom != nil {
			return *a.Custom
		}
		return stats.Quotas{}
	}
	for _, p := range Plans() {
		if p.ID == a.Plan {
			return p.Quotas
		}
	}
	return Plans()[0].Quotas
}

// AccountInput is what an account is made of.
type AccountInput struct {
	Name   string        `json:"name" maxLength:"100" doc:"A name for people"`
	Plan   string        `json:"plan,omitempty" doc:"What it may use: free, custom, or nothing for as much as it likes"`
	Quotas *stats.Quotas `json:"quotas,omitempty" doc:"What the plan custom allows"`
}

// AccountPatch changes an account; nil members stay as they are.
type AccountPatch struct {
	Name   *string       `json:"name,omitempty" maxLength:"100" doc:"A name for people"`
	Plan   *string       `json:"plan,omitempty" doc:"What it may use: free, custom, or empty for as much as it likes"`
	Quotas *stats.Quotas `json:"quotas,omitempty" doc:"What the plan custom allows"`
}

// checkPlan returns a bad_request unless a's plan is one.
func checkPlan(a *Account) error {
	names := []string{`""`, planCustom}
	known := a.Plan == "" || a.Plan == planCustom
	for _, p := range Plans() {
		names = append(names, p.ID)
		known = known || p.ID == a.Plan
	}
	switch {
	case !known:
		return badRequest("The plan %q is none of %s.", a.Plan, strings.Join(names, ", "))
	case a.Plan != planCustom && a.Custom != nil:
		return badRequest(`Quotas go with the plan "custom" only.`)
	case a.Plan == planCustom && a.Custom == nil:
		return badRequest(`The plan "custom" needs quotas.`)
	case a.Custom != nil && min(a.Custom.Connections, a.Custom.Messages, a.Custom.Bytes, a.Custom.Stored) < 0:
		return badRequest("A quota is negative; 0 is no end.")
	}
	return nil
}

// UpdateAccount changes an account; it holds at once. It is for the operator:
// a tenant must not choose its own plan. A plan other than custom takes the
// account's own quotas away.
func (t *Tenants) UpdateAccount(ctx context.Context, id protocol.AccountID, p AccountPatch) (Account, error) {
	for range writeTries {
		a, rev, err := t.account(id)
		if err != nil {
			return Account{}, err
		}
		if p.Name != nil {
			a.Name = *p.Name
		}
		if p.Plan != nil && *p.Plan != a.Plan {
			a.Plan, a.Custom = *p.Plan, nil
		}
		if p.Quotas != nil {
			a.Custom = p.Quotas
		}
		if err := checkName("name", a.Name); err != nil {
			return Account{}, err
		}
		if err := checkPlan(&a); err != nil {
			return Account{}, err
		}
		val, err := json.Marshal(a)
		if err != nil {
			return Account{}, fmt.Errorf("tenant: write the account: %w", err)
		}
		key := "account." + string(id)
		err = t.commit(ctx, key, rev, func(ctx context.Context) (uint64, error) {
			return t.records.Update(ctx, key, val, rev, 0)
		})
		if err == nil {
			t.log.Info("account changed", "account", id, "plan", a.Plan)
			return t.Account(id)
		}
		if !errors.Is(err, bus.ErrConflict) {
			return Account{}, err
		}
		if err := t.view.until(ctx, func(v *view) bool { return v.changed(key, rev) }); err != nil {
			return Account{}, err
		}
	}
	return Account{}, protocol.NewError(protocol.CodeConflict)
}

// account is the account id with the revision of its record.
func (t *Tenants) account(id protocol.AccountID) (Account, uint64, error) {
	t.view.mu.RLock()
	defer t.view.mu.RUnlock()
	if a := t.view.accounts[id]; a != nil && a.record.ID != "" {
		return a.record, a.rev, nil
	}
	return Account{}, 0, protocol.Errorf(protocol.CodeNotFound, "There is no such account.")
}

// quotaExceeded is what who publishes beyond a quota is told.
func quotaExceeded(u stats.Use) error {
	e := protocol.Errorf(protocol.CodeQuotaExceeded, "The account has used its plan's %d %s of this month.", u.Most, quotaNoun(u.Quota))
	if u.Quota == "stored" {
		return protocol.Errorf(protocol.CodeQuotaExceeded, "The account keeps %d messages as history; its plan allows %d.", u.Used, u.Most)
	}
	now := time.Now().UTC()
	next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	e.Message += " It may publish again from " + next.Format(time.RFC3339) + " on."
	return e
}

func quotaNoun(quota string) string {
	if quota == "bytes" {
		return "bytes of data"
	}
	return quota
}
