package tenant

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Account is a tenant: it owns apps, and its account tokens administer them.
type Account struct {
	ID      protocol.AccountID `json:"id" doc:"The account's id, made by the server"`
	Name    string             `json:"name" doc:"A name for people"`
	Created time.Time          `json:"created" doc:"When it was made"`
	Plan    string             `json:"plan,omitempty" doc:"Its plan: what it may use in all; without one, as much as it likes"`
	Custom  *stats.Quotas      `json:"quotas,omitempty" doc:"What the plan custom allows"`
}

// maxName is the longest name of an account, app or key, in bytes.
const maxName = 100

// CreateAccount makes an account with its first account token, whose text is
// returned here and never again.
func (t *Tenants) CreateAccount(ctx context.Context, name string) (Account, string, error) {
	return t.NewAccount(ctx, AccountInput{Name: name})
}

// NewAccount is CreateAccount with a plan.
func (t *Tenants) NewAccount(ctx context.Context, in AccountInput) (Account, string, error) {
	if err := checkName("name", in.Name); err != nil {
		return Account{}, "", err
	}
	a := Account{ID: protocol.AccountID(newID()), Name: in.Name, Created: now(), Plan: in.Plan, Custom: in.Quotas}
	if err := checkPlan(&a); err != nil {
		return Account{}, "", err
	}
	val, err := json.Marshal(a)
	if err != nil {
		return Account{}, "", fmt.Errorf("tenant: write the account: %w", err)
	}
	r, text, err := t.newKeyRecord(Key{Kind: KindAccount, Name: "first"}, a.ID)
	if err != nil {
		return Account{}, "", err
	}
	key := "account." + string(a.ID)
	err = t.commit(ctx, key, 0, t.all([]bus.Change{
		{Key: r.place(), Value: r.encode()},
		{Key: key, Value: val},
	}))
	if err != nil {
		return Account{}, "", err
	}
	t.log.Info("account created", "account", a.ID)
	return a, text, nil
}

// Account is the account id, or an error of code not_found.
func (t *Tenants) Account(id protocol.AccountID) (Account, error) {
	t.view.mu.RLock()
	defer t.view.mu.RUnlock()
	if a := t.view.accounts[id]; a != nil && a.record.ID != "" {
		return a.record, nil
	}
	return Account{}, protocol.Errorf(protocol.CodeNotFound, "There is no such account.")
}

// Await returns when this node knows an account that another one has made.
func (t *Tenants) Await(ctx context.Context, id protocol.AccountID) error {
	return t.view.until(ctx, func(v *view) bool {
		a := v.accounts[id]
		return a != nil && a.record.ID != ""
	})
}

// Accounts are all accounts, the oldest first. It is for the operator alone.
func (t *Tenants) Accounts() []Account {
	t.view.mu.RLock()
	defer t.view.mu.RUnlock()
	out := make([]Account, 0, len(t.view.accounts))
	for _, a := range t.view.accounts {
		if a.record.ID != "" {
			out = append(out, a.record)
		}
	}
	slices.SortFunc(out, func(a, b Account) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// CreateAccountToken makes one more account token for an account, whose text
// is in the answer and never again.
func (t *Tenants) CreateAccountToken(ctx context.Context, account protocol.AccountID, name string) (Key, error) {
	if _, err := t.Account(account); err != nil {
		return Key{}, err
	}
	if err := checkName("name", name); err != nil {
		return Key{}, err
	}
	r, text, err := t.newKeyRecord(Key{Kind: KindAccount, Name: name}, account)
	if err != nil {
		return Key{}, err
	}
	return t.insertKey(ctx, r, text)
}

// RevokeAccountToken ends an account token at once, on all nodes. The error is
// key_not_found where the account has no such token.
func (t *Tenants) RevokeAccountToken(ctx context.Context, account protocol.AccountID, id string) error {
	return t.changeKey(ctx, func() (*keyRecord, error) {
		_, r := t.view.findKey(id)
		if r == nil || r.Kind != KindAccount || r.Account != account {
			return nil, protocol.NewError(protocol.CodeKeyNotFound)
		}
		return r, nil
	}, revoke)
}

// checkName returns a bad_request unless s is a name for people.
func checkName(member, s string) error {
	switch {
	case s == "":
		return badRequest("The member %q is empty.", member)
	case len(s) > maxName:
		return badRequest("The member %q has %d bytes; %d is the most.", member, len(s), maxName)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return badRequest("The member %q must be UTF-8 without control characters.", member)
	case strings.TrimSpace(s) != s:
		return badRequest("The member %q begins or ends with a space.", member)
	}
	return nil
}

// now is the time as records keep it: UTC, in milliseconds.
func now() time.Time {
	return time.Now().UTC().Truncate(time.Millisecond)
}
