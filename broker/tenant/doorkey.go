package tenant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// DoorKey is what clients and servers made for another service show at an
// app's door for them: public keys, and one secret that goes with all of them.
type DoorKey struct {
	ID      string          `json:"id" doc:"Its id, made by the server"`
	App     protocol.AppID  `json:"app" doc:"The app it is for"`
	Door    Door            `json:"door" enum:"pusher,goeasy" doc:"Whose clients it is for"`
	Keys    map[Role]string `json:"keys" doc:"The keys, by what they are for"`
	Created time.Time       `json:"created" doc:"When it was made or imported"`
	Expires *time.Time      `json:"expires,omitempty" doc:"When it ends; without it never"`
	Revoked *time.Time      `json:"revoked,omitempty" doc:"When it was revoked"`
	Secret  string          `json:"secret,omitempty" doc:"The secret; told only when it is made"`
}

// LogValue is what logs may know of it.
func (k DoorKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("door", string(k.Door)), slog.String("app", string(k.App)))
}

// DoorKeyInput is what a DoorKey is made of.
type DoorKeyInput struct {
	Door  Door     `json:"door" enum:"pusher,goeasy" doc:"Whose clients it is for"`
	Parts []string `json:"parts,omitempty" doc:"What the other service gave you, in its order: app_id, key, secret (Pusher); common key, subscribe key, rest key, secret key and, if you have one, client key (GoEasy). Without it all is made anew"`
}

// Bounds of door keys.
const (
	maxDoorKeys      = 20 // live ones of an app and door
	maxEndedDoorKeys = 20 // ended ones that are remembered, whose keys nobody else may have
)

// DoorKeys are an app's, the oldest first.
func (t *Tenants) DoorKeys(account protocol.AccountID, app protocol.AppID) ([]DoorKey, error) {
	if _, _, err := t.findApp(account, app); err != nil {
		return nil, err
	}
	out := []DoorKey{}
	for _, r := range t.view.doorKeysOf(app) {
		out = append(out, r.public())
	}
	return out, nil
}

// DoorKey is an app's door key id. Errors: app_not_found, key_not_found.
func (t *Tenants) DoorKey(account protocol.AccountID, app protocol.AppID, id string) (DoorKey, error) {
	r, err := t.findDoorKey(account, app, id)
	if err != nil {
		return DoorKey{}, err
	}
	return r.public(), nil
}

func (t *Tenants) findDoorKey(account protocol.AccountID, app protocol.AppID, id string) (*doorKeyRecord, error) {
	if _, _, err := t.findApp(account, app); err != nil {
		return nil, err
	}
	r := t.view.findDoorKey(id)
	if r == nil || r.App != app {
		return nil, protocol.NewError(protocol.CodeKeyNotFound)
	}
	return r, nil
}

// CreateDoorKey makes or imports a door key of an app and opens the door. The
// secret is in the answer. Errors: bad_request, app_not_found, and key_taken
// where a key of it is in use on this server already.
func (t *Tenants) CreateDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, in DoorKeyInput) (DoorKey, error) {
	if _, _, err := t.findApp(account, app); err != nil {
		return DoorKey{}, err
	}
	keys, secret, err := in.Door.fill(in.Parts)
	if err != nil {
		return DoorKey{}, err
	}
	if err := t.makeDoorRoom(ctx, app, in.Door, maxDoorKeys); err != nil {
		return DoorKey{}, err
	}
	if id := t.pusherAppID(app); in.Door == DoorPusher && id != "" {
		if len(in.Parts) == 0 {
			keys[RoleAppID] = id
		} else if keys[RoleAppID] != id {
			return DoorKey{}, badRequest("The app has the Pusher app_id %s; one app has one: import %s into an app of its own.", id, keys[RoleAppID])
		}
	}
	k, err := t.insertDoorKey(ctx, DoorKey{App: app, Door: in.Door, Keys: keys}, secret, nil)
	if err != nil {
		return DoorKey{}, err
	}
	open := true
	p := AppPatch{Doors: &DoorsPatch{Pusher: &open}}
	if in.Door == DoorGoEasy {
		p.Doors = &DoorsPatch{GoEasy: &open}
	}
	_, err = t.UpdateApp(ctx, account, app, p)
	return k, err
}

// pusherAppID is the app_id that an app's Pusher keys share; "" without any.
func (t *Tenants) pusherAppID(app protocol.AppID) string {
	at := now()
	for _, r := range t.view.doorKeysOf(app) {
		if r.Door == DoorPusher && !r.ended(at) {
			return r.Keys[RoleAppID]
		}
	}
	return ""
}

// RotateDoorKey makes a new door key in place of one, which lives on for grace,
// 0 to MaxGrace. Both changes happen, or none.
func (t *Tenants) RotateDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, grace time.Duration) (DoorKey, error) {
	if grace < 0 || grace > MaxGrace {
		return DoorKey{}, badRequest("The grace is %s; it must be from 0 to %s.", grace, MaxGrace)
	}
	old, err := t.findDoorKey(account, app, id)
	if err != nil {
		return DoorKey{}, err
	}
	at := now()
	if old.ended(at) {
		return DoorKey{}, badRequest("The key was revoked or has expired; make a new one instead.")
	}
	if err := t.makeDoorRoom(ctx, app, old.Door, 2*maxDoorKeys); err != nil {
		return DoorKey{}, err
	}
	keys, secret, err := old.Door.fill(nil)
	if err != nil {
		return DoorKey{}, err
	}
	if old.Door == DoorPusher {
		keys[RoleAppID] = old.Keys[RoleAppID]
	}
	over := *old
	if until := at.Add(grace); old.Expires == nil || until.Before(*old.Expires) {
		over.Expires = &until
	}
	val, err := json.Marshal(over)
	if err != nil {
		return DoorKey{}, fmt.Errorf("tenant: write the door key: %w", err)
	}
	return t.insertDoorKey(ctx, DoorKey{App: app, Door: old.Door, Keys: keys}, secret,
		[]bus.Change{{Key: old.place(), Value: val, Revision: old.rev}})
}

// RevokeDoorKey ends a door key at once, on all nodes.
func (t *Tenants) RevokeDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string) error {
	for range writeTries {
		old, err := t.findDoorKey(account, app, id)
		if err != nil || old.Revoked != nil {
			return err
		}
		r, at := *old, now()
		r.Revoked = &at
		val, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("tenant: write the door key: %w", err)
		}
		err = t.commit(ctx, r.place(), old.rev, func(ctx context.Context) (uint64, error) {
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

// insertDoorKey writes a new door key with what makes its keys its own, and more.
func (t *Tenants) insertDoorKey(ctx context.Context, k DoorKey, secret string, more []bus.Change) (DoorKey, error) {
	k.ID, k.Created = newID(), now()
	r := doorKeyRecord{DoorKey: k, Sealed: t.sealed("door."+k.ID, secret)}
	val, err := json.Marshal(r)
	if err != nil {
		return DoorKey{}, fmt.Errorf("tenant: write the door key: %w", err)
	}
	changes := more
	for _, text := range k.Door.unique(k.Keys) {
		changes = append(changes, bus.Change{Key: claim(k.Door, text), Value: []byte(k.ID)})
	}
	err = t.commit(ctx, r.place(), 0, t.all(append(changes, bus.Change{Key: r.place(), Value: val})))
	if errors.Is(err, bus.ErrConflict) && more == nil { // the id is new, so it is a key
		return DoorKey{}, protocol.NewError(protocol.CodeKeyTaken)
	}
	if err != nil {
		return DoorKey{}, err
	}
	t.log.Info("door key created", "app", k.App, "key", k.ID, "door", k.Door)
	k.Secret = secret
	k.Keys = maps.Clone(k.Keys)
	return k, nil
}

// claim is where it is kept whose a key is, which is one's only.
func claim(d Door, text string) string {
	sum := sha256.Sum256([]byte(text))
	return "claim." + string(d) + "." + hex.EncodeToString(sum[:16])
}

// makeDoorRoom is makeRoom for door keys.
func (t *Tenants) makeDoorRoom(ctx context.Context, app protocol.AppID, d Door, most int) error {
	var ended []*doorKeyRecord
	live, at := 0, now()
	for _, r := range t.view.doorKeysOf(app) {
		switch {
		case r.Door != d:
		case r.ended(at):
			ended = append(ended, r)
		default:
			live++
		}
	}
	if live >= most {
		return badRequest("The app has %d live %s keys, which is the most; revoke one first.", live, d)
	}
	for len(ended) >= maxEndedDoorKeys {
		if err := t.forgetDoorKey(ctx, ended[0]); err != nil {
			return err
		}
		ended = ended[1:]
	}
	return nil
}

// forgetDoorKey deletes a door key, so that its keys are free.
func (t *Tenants) forgetDoorKey(ctx context.Context, r *doorKeyRecord) error {
	if err := t.records.Delete(ctx, r.place(), r.rev); err != nil && !errors.Is(err, bus.ErrConflict) {
		return stored(err)
	}
	for _, text := range r.Door.unique(r.Keys) {
		if err := t.records.Delete(ctx, claim(r.Door, text), 0); err != nil {
			return stored(err)
		}
	}
	return nil
}

// doorKeyRecord is a door key as it is kept. It is never changed once it is in
// memory.
type doorKeyRecord struct {
	DoorKey
	Sealed []byte `json:"sealed"` // the secret under the master key
	rev    uint64
}

func readDoorKey(e bus.Entry) (*doorKeyRecord, error) {
	r := &doorKeyRecord{rev: e.Revision}
	if err := json.Unmarshal(e.Value, r); err != nil {
		return nil, err
	}
	if r.place() != e.Key || r.App == "" || r.Door.slots() == nil {
		return nil, errors.New("the record is not that of its door key")
	}
	return r, nil
}

// place is where the record is kept.
func (r *doorKeyRecord) place() string { return "door." + r.ID }

// public is the door key as callers get it, sharing nothing with the record.
func (r *doorKeyRecord) public() DoorKey {
	k := r.DoorKey
	k.Keys = maps.Clone(r.Keys)
	return k
}

func (r *doorKeyRecord) ended(at time.Time) bool {
	return r.Revoked != nil || r.Expires != nil && !at.Before(*r.Expires)
}

// doorKeysOf is an app's records of door keys, the oldest first.
func (v *view) doorKeysOf(app protocol.AppID) []*doorKeyRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []*doorKeyRecord
	for _, k := range v.doorKeys {
		if r := k.record.Load(); r != nil && r.App == app {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *doorKeyRecord) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// findDoorKey is the door key id; nil if there is none.
func (v *view) findDoorKey(id string) *doorKeyRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if k := v.doorKeys[id]; k != nil {
		return k.record.Load()
	}
	return nil
}

// applyDoorKey takes an entry of the watch into memory; mu is held.
func (v *view) applyDoorKey(id string, e bus.Entry) error {
	k := v.doorKeys[id]
	if e.Deleted {
		if k != nil {
			if r := k.record.Swap(nil); r != nil {
				v.hang(r, nil)
			}
			delete(v.doorKeys, id)
		}
		return nil
	}
	r, err := readDoorKey(e)
	if err != nil {
		if k != nil {
			k.record.Store(nil)
		}
		return err
	}
	if k == nil {
		k = &doorKeyState{app: v.app(r.App)}
		v.doorKeys[id] = k
	}
	k.record.Store(r)
	v.hang(r, k)
	return nil
}

// hang makes a door key's keys be found; k nil: no more.
func (v *view) hang(r *doorKeyRecord, k *doorKeyState) {
	for role, text := range r.Keys {
		at := doorKeyAt{r.Door, text}
		switch {
		case role == RoleAppID:
		case k == nil:
			v.byDoor.Delete(at)
		default:
			v.byDoor.Store(at, &hung{k, role})
		}
	}
}
