package qrlogin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// History is what Channels needs of a Fanfare client besides Fanfare:
// *fanfare.Client has it.
type History interface {
	Publish(ctx context.Context, channel string, data any, opts ...fanfare.PublishOption) (protocol.Published, error)
	History(ctx context.Context, channel string, o fanfare.HistoryOptions) iter.Seq2[protocol.Message, error]
}

// Channels is a Store in Fanfare itself, for an app of several processes: each
// attempt is a durable channel whose last message is the record, and a
// publish on condition of the position before is the compare-and-set. The
// channels' rule forgets old messages: it has to keep them for five minutes or
// more, as it does by default. Records are sealed (AES-256-GCM), so that whoever
// may read the channels learns nothing and can put nothing there. Safe for
// concurrent use; it holds nothing.
type Channels struct {
	ff   History
	seal cipher.AEAD
}

// NewChannels makes a Store of ff, whose key has to be a secret one. key is 16
// bytes or more, the same for all processes of the app.
func NewChannels(ff History, key []byte) (*Channels, error) {
	if len(key) < 16 {
		return nil, errors.New("qrlogin: the key of NewChannels has to have 16 bytes or more")
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "fanfare qrlogin channels v1", 32)
	if err != nil {
		return nil, fmt.Errorf("qrlogin: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("qrlogin: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("qrlogin: %w", err)
	}
	return &Channels{ff, seal}, nil
}

func recordChannel(id string) string { return "qrs:" + id }

func lookupChannel(h Hash) string { return "qrt:" + h.String() }

// Create is Store's.
func (c *Channels) Create(ctx context.Context, a Attempt) error {
	for _, h := range a.Lookups() {
		if err := c.point(ctx, h, a.ID); err != nil {
			return err
		}
	}
	return c.write(ctx, a, "")
}

// point makes h lead to the attempt: once for ever.
func (c *Channels) point(ctx context.Context, h Hash, id string) error {
	return conflict(c.publish(ctx, lookupChannel(h), []byte(id), ""))
}

// Get is Store's.
func (c *Channels) Get(ctx context.Context, id string) (Attempt, error) {
	text, at, err := c.last(ctx, recordChannel(id))
	if err != nil {
		return Attempt{}, err
	}
	var a Attempt
	if err := json.Unmarshal(text, &a); err != nil {
		return Attempt{}, fmt.Errorf("qrlogin: the record of %s: %w", id, err)
	}
	if !time.Now().Before(a.Until()) {
		return Attempt{}, ErrNotFound
	}
	a.Rev = string(at)
	return a, nil
}

// ByTicket is Store's.
func (c *Channels) ByTicket(ctx context.Context, ticket Hash) (Attempt, error) {
	id, _, err := c.last(ctx, lookupChannel(ticket))
	if err != nil {
		return Attempt{}, err
	}
	a, err := c.Get(ctx, string(id))
	if err != nil {
		return Attempt{}, err
	}
	for _, h := range a.Lookups() {
		if h.Equal(ticket) {
			return a, nil
		}
	}
	return Attempt{}, ErrNotFound // it has another code by now
}

// Swap is Store's.
func (c *Channels) Swap(ctx context.Context, a Attempt) error {
	old, err := c.Get(ctx, a.ID)
	if err != nil {
		return err
	}
	if old.Rev != a.Rev {
		return ErrConflict
	}
	if a.Ticket.Hash != old.Ticket.Hash {
		if err := c.point(ctx, a.Ticket.Hash, a.ID); err != nil {
			return err
		}
	}
	return c.write(ctx, a, protocol.Position(a.Rev))
}

func (c *Channels) write(ctx context.Context, a Attempt, after protocol.Position) error {
	a.Rev = ""
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("qrlogin: %w", err)
	}
	return conflict(c.publish(ctx, recordChannel(a.ID), text, after))
}

// publish seals text for the channel: it means nothing in another one.
func (c *Channels) publish(ctx context.Context, channel string, text []byte, after protocol.Position) error {
	nonce := make([]byte, c.seal.NonceSize())
	_, _ = rand.Read(nonce) // it does not fail (crypto/rand, since Go 1.24)
	_, err := c.ff.Publish(ctx, channel, c.seal.Seal(nonce, nonce, text, []byte(channel)), fanfare.IfPosition(after))
	return err
}

// last is the newest text of the channel and its position.
func (c *Channels) last(ctx context.Context, channel string) ([]byte, protocol.Position, error) {
	for m, err := range c.ff.History(ctx, channel, fanfare.HistoryOptions{Limit: 1, Newest: true}) {
		if err != nil {
			return nil, "", fmt.Errorf("qrlogin: read an attempt: %w", err)
		}
		var sealed []byte
		if err := json.Unmarshal(m.Data, &sealed); err != nil || len(sealed) < c.seal.NonceSize() {
			return nil, "", fmt.Errorf("qrlogin: a message of %s is not ours", kindOf(channel))
		}
		n := c.seal.NonceSize()
		text, err := c.seal.Open(nil, sealed[:n], sealed[n:], []byte(channel))
		if err != nil {
			return nil, "", fmt.Errorf("qrlogin: a message of %s is not ours", kindOf(channel))
		}
		return text, m.Position, nil
	}
	return nil, "", ErrNotFound
}

// kindOf is a channel's name without what follows the colon.
func kindOf(channel string) string {
	kind, _, _ := strings.Cut(channel, ":")
	return kind
}

// conflict is ErrConflict where the position was another.
func conflict(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Code == protocol.CodePositionConflict {
		return ErrConflict
	}
	return err
}
