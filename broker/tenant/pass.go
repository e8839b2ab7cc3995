package tenant

import (
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Kinds of who comes by a door for other clients.
const (
	KindGuest Kind = "guest" // a client
	KindAgent Kind = "agent" // a server that has the secret
)

// doorKeyState is a door key's live state on this node.
type doorKeyState struct {
	app    *appState
	record atomic.Pointer[doorKeyRecord] // nil: no such door key
}

// doorKeyAt is where a door key is found by one of its keys.
type doorKeyAt struct {
	door Door
	text string
}

type hung struct {
	key  *doorKeyState
	role Role
}

// Pass is what a door learns of who shows one of its keys. It is immutable and
// as good as when it was made; its principals follow the records.
type Pass struct {
	App    protocol.AppID
	Door   Door
	Role   Role            // of the key that was shown
	Keys   map[Role]string // all keys that go with it; not to be changed
	Secret []byte

	key *doorKeyState
	id  string
}

// Pass finds who shows a key at a door. Errors: key_invalid where nobody has
// the key, key_expired, door_closed.
func (t *Tenants) Pass(d Door, key string) (*Pass, error) {
	found, ok := t.view.byDoor.Load(doorKeyAt{d, key})
	if !ok {
		return nil, protocol.NewError(protocol.CodeKeyInvalid)
	}
	h := found.(*hung)
	r := h.key.record.Load()
	if r == nil {
		return nil, protocol.NewError(protocol.CodeKeyInvalid)
	}
	return t.pass(h.key, r, h.role)
}

// Passes are an app's live ones for a door, the oldest first, without a role.
func (t *Tenants) Passes(app protocol.AppID, d Door) []*Pass {
	var out []*Pass
	for _, r := range t.view.doorKeysOf(app) {
		if r.Door != d {
			continue
		}
		if k := t.view.doorKeyState(r.ID); k != nil {
			if p, err := t.pass(k, r, ""); err == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

func (v *view) doorKeyState(id string) *doorKeyState {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.doorKeys[id]
}

func (t *Tenants) pass(k *doorKeyState, r *doorKeyRecord, role Role) (*Pass, error) {
	secret, err := t.open("door."+r.ID, r.Sealed)
	if err != nil {
		return nil, err
	}
	p := &Pass{App: r.App, Door: r.Door, Role: role, Keys: r.Keys, Secret: secret, key: k, id: r.ID}
	return p, p.Agent().Check()
}

// Guest is a client that holds the pass: user is who it is, or "". grants is
// what it may do; channels that begin with # only where it names them.
func (p *Pass) Guest(user string, grants protocol.Grants) *Principal {
	return &Principal{App: p.App, Kind: KindGuest, KeyID: p.id, User: user, Grants: grants, app: p.key.app, door: p.key}
}

// Agent is a server that holds the pass, and may do everything.
func (p *Pass) Agent() *Principal {
	return &Principal{App: p.App, Kind: KindAgent, KeyID: p.id, Grants: protocol.AllGrants(), app: p.key.app, door: p.key}
}

// check says why a door key is good no longer.
func (k *doorKeyState) check(app *appRecord, at time.Time) error {
	r := k.record.Load()
	switch {
	case r == nil || r.Revoked != nil:
		return protocol.Errorf(protocol.CodeKeyExpired, "The key was revoked.")
	case r.ended(at):
		return protocol.Errorf(protocol.CodeKeyExpired, "The key expired at %s.", r.Expires.Format(time.RFC3339))
	case app == nil:
		return protocol.NewError(protocol.CodeAppNotFound)
	case !app.Doors.open(r.Door):
		return protocol.NewError(protocol.CodeDoorClosed)
	}
	return nil
}
