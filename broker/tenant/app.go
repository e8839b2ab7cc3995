package tenant

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// App is one app of an account: a world of channels of its own.
type App struct {
	ID      protocol.AppID     `json:"id" doc:"The app's id, made by the server"`
	Account protocol.AccountID `json:"account" doc:"The account that owns it"`
	Name    string             `json:"name" doc:"Its name, unique in the account"`
	Created time.Time          `json:"created" doc:"When it was made"`
	Limits  Limits             `json:"limits" doc:"What it may use"`
	Rules   []Rule             `json:"rules" doc:"How its namespaces behave"`
	JWKS    json.RawMessage    `json:"jwks,omitempty" doc:"Public keys (RFC 7517) whose tokens are taken"`
	Doors   Doors              `json:"doors,omitzero" doc:"Whose clients are let in beside Fanfare's"`
}

// AppInput is what an app is made of.
type AppInput struct {
	Name   string          `json:"name" maxLength:"100" doc:"Its name, unique in the account"`
	Limits Limits          `json:"limits,omitzero" doc:"What it may use"`
	Rules  []Rule          `json:"rules,omitempty" doc:"How its namespaces behave"`
	JWKS   json.RawMessage `json:"jwks,omitempty" doc:"Public keys (RFC 7517) whose tokens are taken: RSA of 2048 bits or more, EC P-256"`
	Doors  Doors           `json:"doors,omitzero" doc:"Whose clients are let in beside Fanfare's; none by default"`
}

// AppPatch changes an app; nil members stay as they are.
type AppPatch struct {
	Name   *string         `json:"name,omitempty" maxLength:"100" doc:"Its name, unique in the account"`
	Limits *LimitsPatch    `json:"limits,omitempty" doc:"Limits to change"`
	Rules  *[]Rule         `json:"rules,omitempty" doc:"All rules, in place of the present ones"`
	JWKS   json.RawMessage `json:"jwks,omitempty" doc:"Public keys in place of the present ones; null takes them away"`
	Doors  *DoorsPatch     `json:"doors,omitempty" doc:"Doors to open and close"`
}

// appRecord is an app as it is kept. Limits are kept as they were given, so
// that a change of a default reaches apps which never asked for another. It is
// never changed once made.
type appRecord struct {
	App
	limits Limits // with the defaults
	sorted []Rule // longest first
	keys   *keySet
	rev    uint64
}

// readApp makes the record of an entry. The parsed JWKS of old is kept where
// the keys are the same, since tokens verified by them are cached.
func readApp(e bus.Entry, old *appRecord) (*appRecord, error) {
	r := &appRecord{rev: e.Revision}
	if err := json.Unmarshal(e.Value, &r.App); err != nil {
		return nil, err
	}
	if r.ID == "" || "app."+string(r.ID) != e.Key || r.Account == "" {
		return nil, errors.New("the record is not that of its key")
	}
	r.limits = r.Limits.filled()
	r.sorted = longestFirst(r.Rules)
	if old != nil && bytes.Equal(old.JWKS, r.JWKS) {
		r.keys = old.keys
		return r, nil
	}
	var err error
	r.keys, err = parseKeySet(r.JWKS)
	return r, err
}

// public is the app as callers get it, sharing nothing with the record.
func (r *appRecord) public() App {
	a := r.App
	a.Limits = r.limits
	a.Rules = make([]Rule, len(r.Rules))
	for i := range r.Rules {
		a.Rules[i] = r.Rules[i].clone()
	}
	a.JWKS = bytes.Clone(r.JWKS)
	return a
}

// checkApp returns a bad_request unless a can be kept, and puts its JWKS into
// the form in which it is compared.
func checkApp(a *App) error {
	if err := checkName("name", a.Name); err != nil {
		return err
	}
	if err := a.Limits.check(); err != nil {
		return err
	}
	if err := checkRules(a.Rules); err != nil {
		return err
	}
	if len(a.JWKS) == 0 || string(a.JWKS) == "null" {
		a.JWKS = nil
		return nil
	}
	if len(a.JWKS) > maxJWKS {
		return badRequest("The jwks has %d bytes; %d is the most.", len(a.JWKS), maxJWKS)
	}
	if _, err := parseKeySet(a.JWKS); err != nil {
		return badRequest("The jwks is not valid: %s.", err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, a.JWKS); err != nil {
		return badRequest("The jwks is not valid JSON.")
	}
	a.JWKS = b.Bytes()
	return nil
}

// Apps are the account's apps, by name.
func (t *Tenants) Apps(account protocol.AccountID) []App {
	t.view.mu.RLock()
	defer t.view.mu.RUnlock()
	out := []App{}
	if a := t.view.accounts[account]; a != nil {
		for _, app := range a.apps {
			if r := app.record.Load(); r != nil {
				out = append(out, r.public())
			}
		}
	}
	slices.SortFunc(out, func(a, b App) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// App is the account's app id. An app of another account is app_not_found,
// exactly like one that does not exist.
func (t *Tenants) App(account protocol.AccountID, id protocol.AppID) (App, error) {
	_, r, err := t.findApp(account, id)
	if err != nil {
		return App{}, err
	}
	return r.public(), nil
}

func (t *Tenants) findApp(account protocol.AccountID, id protocol.AppID) (*appState, *appRecord, error) {
	if app := t.view.findApp(id); app != nil {
		if r := app.record.Load(); r != nil && r.Account == account {
			return app, r, nil
		}
	}
	return nil, nil, protocol.NewError(protocol.CodeAppNotFound)
}

// CreateApp makes an app without keys. Errors: bad_request, name_taken.
func (t *Tenants) CreateApp(ctx context.Context, account protocol.AccountID, in AppInput) (App, error) {
	if _, err := t.Account(account); err != nil {
		return App{}, err
	}
	a := App{ID: protocol.AppID(newID()), Account: account, Name: in.Name, Created: now(), Limits: in.Limits, Rules: in.Rules, JWKS: in.JWKS, Doors: in.Doors}
	if err := checkApp(&a); err != nil {
		return App{}, err
	}
	if n := len(t.Apps(account)); n >= MaxApps {
		return App{}, badRequest("The account has %d apps, which is the most.", n)
	}
	val, err := json.Marshal(a)
	if err != nil {
		return App{}, fmt.Errorf("tenant: write the app: %w", err)
	}
	key := "app." + string(a.ID)
	err = t.commit(ctx, key, 0, t.all([]bus.Change{
		{Key: nameKey(account, a.Name), Value: []byte(a.ID)},
		{Key: key, Value: val},
	}))
	if errors.Is(err, bus.ErrConflict) { // the id is new, so it is the name
		return App{}, nameTaken(a.Name)
	}
	if err != nil {
		return App{}, err
	}
	t.log.Info("app created", "app", a.ID)
	return t.App(account, a.ID)
}

// UpdateApp changes an app; it holds at once, also for open connections. When
// somebody else changes the app at the same time, the patch is put on top.
func (t *Tenants) UpdateApp(ctx context.Context, account protocol.AccountID, id protocol.AppID, p AppPatch) (App, error) {
	var err error
	for range writeTries {
		var r *appRecord
		if _, r, err = t.findApp(account, id); err != nil {
			return App{}, err
		}
		a := r.App
		if p.Name != nil {
			a.Name = *p.Name
		}
		if p.Limits != nil {
			a.Limits = p.Limits.on(a.Limits)
		}
		if p.Rules != nil {
			a.Rules = *p.Rules
		}
		if p.Doors != nil {
			a.Doors = p.Doors.on(a.Doors)
		}
		if len(p.JWKS) > 0 {
			a.JWKS = p.JWKS
		}
		if err = checkApp(&a); err != nil {
			return App{}, err
		}
		if err = t.putApp(ctx, r, a); err == nil {
			return t.App(account, id)
		}
		if !errors.Is(err, bus.ErrConflict) {
			return App{}, err
		}
		// Somebody was faster: with the app, or with its new name.
		name, key := nameKey(account, a.Name), "app."+string(id)
		err = t.view.until(ctx, func(v *view) bool {
			return v.changed(key, r.rev) || string(v.names[name].Value) != string(id) && v.names[name].Key != ""
		})
		if err != nil {
			return App{}, err
		}
		if e, ok := t.view.nameOwner(name); ok && string(e.Value) != string(id) {
			return App{}, nameTaken(a.Name)
		}
	}
	return App{}, protocol.NewError(protocol.CodeConflict)
}

// putApp writes a in place of r, with its name where that changed.
func (t *Tenants) putApp(ctx context.Context, r *appRecord, a App) error {
	val, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("tenant: write the app: %w", err)
	}
	key := "app." + string(a.ID)
	if a.Name == r.Name {
		return t.commit(ctx, key, r.rev, func(ctx context.Context) (uint64, error) {
			return t.records.Update(ctx, key, val, r.rev, 0)
		})
	}
	changes := []bus.Change{{Key: nameKey(a.Account, a.Name), Value: []byte(a.ID)}}
	if e, ok := t.view.nameOwner(nameKey(a.Account, r.Name)); ok {
		changes = append(changes, bus.Change{Key: e.Key, Revision: e.Revision, Delete: true})
	}
	return t.commit(ctx, key, r.rev, t.all(append(changes, bus.Change{Key: key, Value: val, Revision: r.rev})))
}

// DeleteApp deletes an app and its keys. From then on every connection and
// credential of it is refused.
func (t *Tenants) DeleteApp(ctx context.Context, account protocol.AccountID, id protocol.AppID) error {
	app, r, err := t.findApp(account, id)
	if err != nil {
		return err
	}
	key := "app." + string(id)
	changes := []bus.Change{}
	if e, ok := t.view.nameOwner(nameKey(account, r.Name)); ok {
		changes = append(changes, bus.Change{Key: e.Key, Revision: e.Revision, Delete: true})
	}
	err = t.commit(ctx, key, r.rev, t.all(append(changes, bus.Change{Key: key, Revision: r.rev, Delete: true})))
	if err != nil {
		return err
	}
	t.log.Info("app deleted", "app", id)
	// Without their app the keys are dead already; this only clears up.
	for _, k := range t.view.keysOf(app) {
		if err := t.records.Delete(ctx, k.place(), 0); err != nil {
			t.log.Warn("a deleted app's key could not be cleared away", "app", id, "error", err)
			break
		}
	}
	for _, k := range t.view.doorKeysOf(id) {
		if err := t.forgetDoorKey(ctx, k); err != nil {
			t.log.Warn("a deleted app's door key could not be cleared away", "app", id, "error", err)
			break
		}
	}
	return nil
}

// MaxApps is the most apps of an account.
const MaxApps = 1000

// writeTries is how often a change is put on top of somebody else's.
const writeTries = 5

// nameKey is where the app that has a name is kept. Names may have any
// character, keys of the bus may not.
func nameKey(account protocol.AccountID, name string) string {
	sum := sha256.Sum256([]byte(name))
	return "name." + string(account) + "." + hex.EncodeToString(sum[:16])
}

func nameTaken(name string) error {
	return protocol.Errorf(protocol.CodeNameTaken, "The account has an app named %q already.", name)
}
