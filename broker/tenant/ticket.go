package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TicketTTL is how long a ticket is good.
const TicketTTL = 30 * time.Second

// ticketRecord is what a ticket stands for: the principal that got it.
type ticketRecord struct {
	Until  time.Time       `json:"until"`
	App    protocol.AppID  `json:"app"`
	Kind   Kind            `json:"kind"`
	Key    string          `json:"key,omitempty"`
	Alg    string          `json:"alg,omitempty"` // with Kid: the key of the app's JWKS
	Kid    string          `json:"kid,omitempty"`
	User   string          `json:"user,omitempty"`
	Grants protocol.Grants `json:"grants"`
	End    time.Time       `json:"end,omitzero"` // when the token ends
}

// NewTicket makes a ticket that stands for p once, within TicketTTL.
func (t *Tenants) NewTicket(ctx context.Context, p *Principal) (string, time.Time, error) {
	if err := p.inApp(); err != nil {
		return "", time.Time{}, err
	}
	if err := p.Check(); err != nil {
		return "", time.Time{}, err
	}
	r := ticketRecord{Until: now().Add(TicketTTL), App: p.App, Kind: p.Kind, Key: p.KeyID, User: p.User, Grants: p.Grants, End: p.Expires}
	if p.sign != nil {
		r.Alg, r.Kid = p.sign.alg, p.sign.kid
	}
	text := prefixTicket + random(32, base62)
	if err := keep(ctx, t.tickets, "ticket", text, r, TicketTTL); err != nil {
		return "", time.Time{}, err
	}
	return text, r.Until, nil
}

// RedeemTicket is the principal that a ticket stands for, for the first who
// asks; everybody else gets ticket_invalid. The key's origins are checked here,
// and so is whether the key or token is still good.
func (t *Tenants) RedeemTicket(ctx context.Context, text, origin string) (*Principal, error) {
	var r ticketRecord
	err := take(ctx, t.tickets, "ticket", prefixTicket, text, &r)
	if err != nil && !errors.Is(err, errGone) {
		return nil, err
	}
	if err != nil || !time.Now().Before(r.Until) {
		return nil, protocol.NewError(protocol.CodeTicketInvalid)
	}
	p := &Principal{App: r.App, Kind: r.Kind, KeyID: r.Key, User: r.User, Grants: r.Grants, Expires: r.End}
	if p.app = t.view.findApp(r.App); p.app == nil {
		return nil, protocol.NewError(protocol.CodeAppNotFound)
	}
	if r.Alg != "" {
		if rec := p.app.record.Load(); rec != nil {
			p.sign = rec.keys.find(r.Alg, r.Kid)
		}
		if p.sign == nil {
			return nil, tokenInvalid("The token was signed with a key that is no longer in the app's jwks.")
		}
	} else if p.key, _ = t.view.findKey(r.Key); p.key == nil {
		return nil, protocol.Errorf(protocol.CodeKeyExpired, "The key was revoked.")
	}
	app, key, err := p.now()
	if err != nil {
		return nil, err
	}
	p.Account = app.Account
	if key != nil {
		if err := checkOrigin(key.Origins, origin); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// errGone says that a one-time thing is unknown, used or expired.
var errGone = errors.New("tenant: unknown, used or expired")

// vaultKey is where the secret text of a sort is kept: by its hash, so that who
// reads the store cannot use it.
func vaultKey(sort, text string) string {
	sum := sha256.Sum256([]byte(text))
	return sort + "." + hex.EncodeToString(sum[:])
}

// keep stores what text stands for, for ttl.
func keep(ctx context.Context, v Vault, sort, text string, what any, ttl time.Duration) error {
	val, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("tenant: write the %s: %w", sort, err)
	}
	if _, err := v.Create(ctx, vaultKey(sort, text), val, ttl); err != nil {
		return stored(err)
	}
	return nil
}

// look reads what text stands for; errGone where there is nothing.
func look(ctx context.Context, v Vault, sort, prefix, text string, what any) (bus.Entry, error) {
	if len(text) != len(prefix)+32 || !strings.HasPrefix(text, prefix) {
		return bus.Entry{}, errGone
	}
	e, err := v.Get(ctx, vaultKey(sort, text))
	if errors.Is(err, bus.ErrNotFound) || err == nil && e.Deleted {
		return bus.Entry{}, errGone
	}
	if err != nil {
		return bus.Entry{}, stored(err)
	}
	if err := json.Unmarshal(e.Value, what); err != nil {
		return bus.Entry{}, errGone
	}
	return e, nil
}

// take reads what text stands for and uses it up. Of many at a time one wins:
// the one whose delete meets the revision it read.
func take(ctx context.Context, v Vault, sort, prefix, text string, what any) error {
	e, err := look(ctx, v, sort, prefix, text, what)
	if err != nil {
		return err
	}
	err = v.Delete(ctx, e.Key, e.Revision)
	if errors.Is(err, bus.ErrConflict) || errors.Is(err, bus.ErrNotFound) {
		return errGone
	}
	if err != nil {
		return stored(err)
	}
	return nil
}
