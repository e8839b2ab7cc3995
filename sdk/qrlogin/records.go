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

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// History is what Records need of a Fanfare client besides Fanfare:
// *fanfare.Client has it.
type History interface {
	Publish(ctx context.Context, channel string, data any, opts ...fanfare.PublishOption) (protocol.Published, error)
	History(ctx context.Context, channel string, o fanfare.HistoryOptions) iter.Seq2[protocol.Message, error]
}

// Records are small values kept in Fanfare itself: each is the last message of
// a durable channel, and a publish on condition of the position before is the
// compare-and-set. A value lives for as long as the channel's rule keeps a
// message, counted from each write. Values are sealed (AES-256-GCM) for their
// channel. Safe for concurrent use; it holds nothing.
type Records struct {
	ff   History
	seal cipher.AEAD
}

// NewRecords makes Records in ff, whose key has to be a secret one. key is 16
// bytes or more, and purpose keeps apart what it is used for.
func NewRecords(ff History, key []byte, purpose string) (*Records, error) {
	if len(key) < 16 {
		return nil, errors.New("qrlogin: the key of records has to have 16 bytes or more")
	}
	derived, err := hkdf.Key(sha256.New, key, nil, purpose, 32)
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
	return &Records{ff, seal}, nil
}

// Put writes the channel's value if its revision is still rev, which is "" where
// there is none yet; else ErrConflict.
func (c *Records) Put(ctx context.Context, channel string, value []byte, rev string) error {
	nonce := make([]byte, c.seal.NonceSize())
	_, _ = rand.Read(nonce) // it does not fail (crypto/rand, since Go 1.24)
	// Sealed for this channel, it means nothing in another one.
	_, err := c.ff.Publish(ctx, channel, c.seal.Seal(nonce, nonce, value, []byte(channel)), fanfare.IfPosition(protocol.Position(rev)))
	return conflict(err)
}

// Get is the channel's value and its revision, or ErrNotFound.
func (c *Records) Get(ctx context.Context, channel string) (value []byte, rev string, err error) {
	for m, err := range c.ff.History(ctx, channel, fanfare.HistoryOptions{Limit: 1, Newest: true}) {
		if err != nil {
			return nil, "", fmt.Errorf("qrlogin: read a record: %w", err)
		}
		var sealed []byte
		if err := json.Unmarshal(m.Data, &sealed); err != nil || len(sealed) < c.seal.NonceSize() {
			return nil, "", fmt.Errorf("qrlogin: a message of %s is not ours", kindOf(channel))
		}
		n := c.seal.NonceSize()
		value, err := c.seal.Open(nil, sealed[:n], sealed[n:], []byte(channel))
		if err != nil {
			return nil, "", fmt.Errorf("qrlogin: a message of %s is not ours", kindOf(channel))
		}
		return value, string(m.Position), nil
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
