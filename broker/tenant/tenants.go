package tenant

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Options are what Open needs.
type Options struct {
	Records  KV    // accounts, apps and keys; kept for ever
	Tickets  Vault // tickets and links; entries live at most LinkTTL
	Sessions Vault // dashboard sessions; entries live at most SessionTTL

	// MasterKey seals the text of secret keys, which is needed to verify the
	// tokens they sign. Who has it and the data folder has every secret key.
	MasterKey [32]byte

	Stats  *stats.Stats // has the meters of apps and accounts; nil: of its own
	Logger *slog.Logger // nil: slog.Default
}

// Tenants is the register of all accounts, apps and keys. It is safe for
// concurrent use. Open makes it; Close ends its watch, after which it answers
// from what it last saw.
type Tenants struct {
	records  KV
	tickets  Vault
	sessions Vault
	seal     cipher.AEAD
	log      *slog.Logger
	view     *view
	changes  *changes
	tokens   *tokenCache
	parser   *jwt.Parser
	sharing  *sharing // nil: there is one node
	stop     func()
	closed   atomic.Bool
}

// Open reads all records into memory and keeps watching them. It fails when
// the records cannot be read, or were sealed with another master key.
func Open(ctx context.Context, o Options) (*Tenants, error) {
	if o.Records == nil || o.Tickets == nil || o.Sessions == nil {
		return nil, errors.New("tenant: Records, Tickets and Sessions are needed")
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("tenant: open: %w", err)
	}
	seal, err := newSeal(o.MasterKey)
	if err != nil {
		return nil, err
	}
	t := &Tenants{records: o.Records, tickets: o.Tickets, sessions: o.Sessions, seal: seal, log: o.Logger, tokens: newTokenCache(cacheBytes), parser: newParser()}
	if t.log == nil {
		t.log = slog.Default()
	}
	if o.Stats == nil {
		o.Stats = stats.New()
	}
	t.view = newView(t.log, o.Stats)
	t.changes = newChanges(t.view)
	if t.stop, err = o.Records.Watch(t.watched); err != nil {
		return nil, fmt.Errorf("tenant: watch the records: %w", err)
	}
	if err := t.checkSeal(); err != nil {
		t.stop()
		return nil, err
	}
	t.changes.start()
	return t, nil
}

// Close stops the watch. Calling it again does nothing.
func (t *Tenants) Close() {
	if t.closed.CompareAndSwap(false, true) {
		if t.sharing != nil {
			t.sharing.stop()
		}
		t.stop()
		t.changes.stop()
	}
}

// watched takes an entry into memory, and then tells who must know.
func (t *Tenants) watched(e bus.Entry) {
	var app protocol.AppID
	sort, id, _ := strings.Cut(e.Key, ".")
	if sort == "key" {
		app = t.view.appOf(id)
	}
	door := t.view.findDoorKey(id)
	known := t.view.apply(e)
	switch {
	case sort == "key":
		if _, r := t.view.findKey(id); r != nil && r.Expires != nil {
			t.changes.soon()
		}
		if known {
			t.changes.tell(app, id)
		}
	case sort == "door":
		if r := t.view.findDoorKey(id); r != nil {
			door = r
			if r.Expires != nil {
				t.changes.soon()
			}
		}
		if known && door != nil {
			t.changes.tell(door.App, id)
		}
	case sort == "app" && known:
		t.changes.tell(protocol.AppID(id), "")
	}
}

// checkSeal opens one sealed secret, so that a wrong master key is found at
// the start and not by the first token.
func (t *Tenants) checkSeal() error {
	for r := range t.view.keyRecords {
		if r.Kind == KindSecret {
			if _, err := t.unseal(r); err != nil {
				return errors.New("tenant: the master key is not the one these records were sealed with")
			}
			return nil
		}
	}
	return nil
}

// badRequest is a bad_request that names the member that is wrong.
func badRequest(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeBadRequest, format, args...)
}
