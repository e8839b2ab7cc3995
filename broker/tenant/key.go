package tenant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Key is a key of an app, or an account token. Text is set where the key is
// made, and for publishable keys, which are public, always.
type Key struct {
	ID      string          `json:"id" doc:"The first 14 characters of the key"`
	App     protocol.AppID  `json:"app,omitempty" doc:"The app it is for"`
	Kind    Kind            `json:"kind" enum:"publishable,secret,account" doc:"publishable may stand in a page, secret stays on servers"`
	Name    string          `json:"name" doc:"A name for people"`
	Created time.Time       `json:"created" doc:"When it was made"`
	Expires *time.Time      `json:"expires,omitempty" doc:"When it ends; without it never"`
	Revoked *time.Time      `json:"revoked,omitempty" doc:"When it was revoked"`
	Origins []string        `json:"allowed_origins,omitempty" doc:"Origins of pages that may use it; without any, all may"`
	Grants  protocol.Grants `json:"grants" doc:"What it may do"`
	Text    string          `json:"key,omitempty" doc:"The key itself; a secret key's is told only when it is made"`
}

// LogValue is what logs may know of a key.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("kind", string(k.Kind)), slog.String("app", string(k.App)))
}

// String names the key without its secret.
func (k Key) String() string { return "key " + k.ID }

// GoString is String, so that no format verb shows the secret.
func (k Key) GoString() string { return k.String() }

// KeyInput is what a key is made of.
type KeyInput struct {
	Kind    Kind             `json:"kind" enum:"publishable,secret" doc:"publishable may stand in a page, secret stays on servers"`
	Name    string           `json:"name,omitempty" maxLength:"100" doc:"A name for people; default: its kind"`
	Expires *time.Time       `json:"expires,omitempty" doc:"When it ends; without it never"`
	Origins []string         `json:"allowed_origins,omitempty" doc:"Origins of pages that may use it, as https://app.example.com or https://*.example.com; without any, all may"`
	Grants  *protocol.Grants `json:"grants,omitempty" doc:"What a publishable key may do; default: subscribe to public:*. A secret key may do everything"`
}

// KeyPatch changes a key; nil members stay as they are.
type KeyPatch struct {
	Name    *string          `json:"name,omitempty" maxLength:"100" doc:"A name for people"`
	Expires *time.Time       `json:"expires,omitempty" doc:"When it ends; the zero time, 0001-01-01T00:00:00Z, is never"`
	Origins *[]string        `json:"allowed_origins,omitempty" doc:"All origins, in place of the present ones; an empty list allows all"`
	Grants  *protocol.Grants `json:"grants,omitempty" doc:"What a publishable key may do"`
}

// Bounds of keys.
const (
	MaxKeys    = 100                 // live keys of an app
	maxEnded   = 100                 // ended keys of an app that are remembered
	maxOrigins = 100                 // origins of a key
	MaxGrace   = 30 * 24 * time.Hour // how long a rotated key may live on
)

// Keys are an app's keys, the oldest first; those that ended too, as long as
// they are remembered.
func (t *Tenants) Keys(account protocol.AccountID, app protocol.AppID) ([]Key, error) {
	state, _, err := t.findApp(account, app)
	if err != nil {
		return nil, err
	}
	out := []Key{}
	for _, r := range t.view.keysOf(state) {
		out = append(out, r.public())
	}
	slices.SortFunc(out, func(a, b Key) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Key is an app's key id. Errors: app_not_found, key_not_found.
func (t *Tenants) Key(account protocol.AccountID, app protocol.AppID, id string) (Key, error) {
	r, err := t.findAppKey(account, app, id)
	if err != nil {
		return Key{}, err
	}
	return r.public(), nil
}

func (t *Tenants) findAppKey(account protocol.AccountID, app protocol.AppID, id string) (*keyRecord, error) {
	if _, _, err := t.findApp(account, app); err != nil {
		return nil, err
	}
	_, r := t.view.findKey(id)
	if r == nil || r.App != app {
		return nil, protocol.NewError(protocol.CodeKeyNotFound)
	}
	return r, nil
}

// CreateKey makes a key of an app; its text is in the answer.
func (t *Tenants) CreateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, in KeyInput) (Key, error) {
	state, _, err := t.findApp(account, app)
	if err != nil {
		return Key{}, err
	}
	k := Key{App: app, Kind: in.Kind, Name: cmp.Or(in.Name, string(in.Kind)+" key"), Expires: in.Expires, Origins: in.Origins, Grants: protocol.AllGrants()}
	switch {
	case in.Kind != KindPublishable && in.Kind != KindSecret:
		return Key{}, badRequest(`The member "kind" must be publishable or secret.`)
	case in.Kind == KindSecret && in.Grants != nil:
		return Key{}, badRequest("A secret key may do everything; leave grants out, or make a publishable key.")
	case in.Kind == KindPublishable && in.Grants == nil:
		k.Grants = protocol.Grants{Subscribe: []string{"public:*"}}
	case in.Grants != nil:
		k.Grants = *in.Grants
	}
	if err := checkKey(&k); err != nil {
		return Key{}, err
	}
	if k.Expires != nil && !k.Expires.After(now()) {
		return Key{}, badRequest(`The member "expires" is in the past.`)
	}
	if err := t.makeRoom(ctx, state, MaxKeys); err != nil {
		return Key{}, err
	}
	r, text, err := t.newKeyRecord(k, account)
	if err != nil {
		return Key{}, err
	}
	return t.insertKey(ctx, r, text)
}

// newKeyRecord completes k with an id and a new text.
func (t *Tenants) newKeyRecord(k Key, account protocol.AccountID) (*keyRecord, string, error) {
	text := newKeyText(k.Kind)
	sum := sha256.Sum256([]byte(text))
	k.ID, k.Created, k.Text = text[:idLen], now(), ""
	r := &keyRecord{Key: k, Account: account, Hash: sum[:]}
	switch k.Kind {
	case KindPublishable:
		r.Text = text
	case KindSecret:
		r.Sealed = t.sealed(k.ID, text)
	}
	val, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("tenant: write the key: %w", err)
	}
	r.json = val
	return r, text, nil
}

func (t *Tenants) insertKey(ctx context.Context, r *keyRecord, text string) (Key, error) {
	err := t.commit(ctx, r.place(), 0, func(ctx context.Context) (uint64, error) {
		return t.records.Create(ctx, r.place(), r.encode(), 0)
	})
	if err != nil {
		return Key{}, err
	}
	t.log.Info("key created", "app", r.App, "key", r.ID)
	k := r.public()
	k.Text = text
	return k, nil
}

// makeRoom refuses an app's key too many, and forgets the keys that ended
// longest ago, so that making and revoking keys cannot fill the server.
func (t *Tenants) makeRoom(ctx context.Context, app *appState, most int) error {
	var ended []*keyRecord
	live, at := 0, now()
	for _, r := range t.view.keysOf(app) {
		if r.ended(at) {
			ended = append(ended, r)
		} else {
			live++
		}
	}
	if live >= most {
		return badRequest("The app has %d live keys, which is the most; revoke one first.", live)
	}
	if len(ended) < maxEnded {
		return nil
	}
	slices.SortFunc(ended, func(a, b *keyRecord) int { return a.end().Compare(b.end()) })
	for _, r := range ended[:len(ended)-maxEnded+1] {
		if err := t.records.Delete(ctx, r.place(), r.rev); err != nil && !errors.Is(err, bus.ErrConflict) {
			return stored(err)
		}
	}
	return nil
}

// UpdateKey changes a key; it holds at once, also for open connections.
func (t *Tenants) UpdateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, p KeyPatch) (Key, error) {
	err := t.changeKey(ctx, t.finder(account, app, id), func(r *keyRecord) error {
		if p.Name != nil {
			r.Name = *p.Name
		}
		if p.Expires != nil {
			r.Expires = p.Expires
			if p.Expires.IsZero() {
				r.Expires = nil
			}
		}
		if p.Origins != nil {
			r.Origins = *p.Origins
		}
		if p.Grants != nil {
			if r.Kind != KindPublishable {
				return badRequest("A secret key may do everything; its grants cannot be changed.")
			}
			r.Grants = *p.Grants
		}
		return checkKey(&r.Key)
	})
	if err != nil {
		return Key{}, err
	}
	return t.Key(account, app, id)
}

// RevokeKey ends a key and its tokens at once, on all nodes. Revoking it again
// does nothing.
func (t *Tenants) RevokeKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string) error {
	err := t.changeKey(ctx, t.finder(account, app, id), revoke)
	if err == nil {
		t.log.Info("key revoked", "app", app, "key", id)
	}
	return err
}

// RotateKey makes a key like id, with the same name, kind, origins and grants,
// and lets id live on for grace: 0, at once over, to MaxGrace. Where id was to
// expire, the new key lives as long as id was to. Both changes happen, or none.
func (t *Tenants) RotateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, grace time.Duration) (Key, error) {
	if grace < 0 || grace > MaxGrace {
		return Key{}, badRequest("The grace is %s; it must be from 0 to %s.", grace, MaxGrace)
	}
	old, err := t.findAppKey(account, app, id)
	if err != nil {
		return Key{}, err
	}
	at := now()
	if old.ended(at) {
		return Key{}, badRequest("The key was revoked or has expired; make a new one instead.")
	}
	state, _, err := t.findApp(account, app)
	if err != nil {
		return Key{}, err
	}
	// More than MaxKeys for a while: a key that leaked must never have to wait.
	if err := t.makeRoom(ctx, state, 2*MaxKeys); err != nil {
		return Key{}, err
	}
	next := old.Key
	if old.Expires != nil {
		until := at.Add(old.Expires.Sub(old.Created))
		next.Expires = &until
	}
	r, text, err := t.newKeyRecord(next, account)
	if err != nil {
		return Key{}, err
	}
	over := *old
	if until := at.Add(grace); old.Expires == nil || until.Before(*old.Expires) {
		over.Expires = &until
	}
	val, err := json.Marshal(over)
	if err != nil {
		return Key{}, fmt.Errorf("tenant: write the key: %w", err)
	}
	err = t.commit(ctx, r.place(), 0, t.all([]bus.Change{
		{Key: old.place(), Value: val, Revision: old.rev},
		{Key: r.place(), Value: r.encode()},
	}))
	if err != nil {
		return Key{}, err
	}
	t.log.Info("key rotated", "app", app, "key", id, "next", r.ID)
	k := r.public()
	k.Text = text
	return k, nil
}

// finder finds the key that changeKey changes.
func (t *Tenants) finder(account protocol.AccountID, app protocol.AppID, id string) func() (*keyRecord, error) {
	return func() (*keyRecord, error) { return t.findAppKey(account, app, id) }
}

// changeKey puts change on top of a key's newest record.
func (t *Tenants) changeKey(ctx context.Context, find func() (*keyRecord, error), change func(*keyRecord) error) error {
	for range writeTries {
		old, err := find()
		if err != nil {
			return err
		}
		r := *old
		if err := change(&r); err != nil {
			return err
		}
		val, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("tenant: write the key: %w", err)
		}
		err = t.commit(ctx, r.place(), r.rev, func(ctx context.Context) (uint64, error) {
			return t.records.Update(ctx, r.place(), val, old.rev, 0)
		})
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		if err := t.view.until(ctx, func(v *view) bool { return v.changed(r.place(), old.rev) }); err != nil {
			return err
		}
	}
	return protocol.NewError(protocol.CodeConflict)
}

// revoke is the change that ends a key.
func revoke(r *keyRecord) error {
	if r.Revoked == nil {
		at := now()
		r.Revoked = &at
	}
	return nil
}

// checkKey returns a bad_request unless k can be kept, and puts its origins
// into the form in which they are compared.
func checkKey(k *Key) error {
	if err := checkName("name", k.Name); err != nil {
		return err
	}
	if err := k.Grants.Check(); err != nil {
		return err
	}
	if k.Expires != nil && (k.Expires.Year() < 1970 || k.Expires.Year() > 9999) {
		return badRequest(`The member "expires" is not a time from 1970 to 9999.`)
	}
	if len(k.Origins) > maxOrigins {
		return badRequest("There are %d allowed_origins; %d is the most.", len(k.Origins), maxOrigins)
	}
	origins := make([]string, 0, len(k.Origins))
	for _, o := range k.Origins {
		norm, err := cleanOrigin(o)
		if err != nil {
			return err
		}
		origins = append(origins, norm)
	}
	k.Origins = origins
	return nil
}
