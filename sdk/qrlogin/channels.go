package qrlogin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Channels is a Store in Fanfare itself, for an app of several processes: each
// attempt is a durable channel whose last message is the record, and a
// publish on condition of the position before is the compare-and-set. The
// channels' rule forgets old messages: it has to keep them for five minutes or
// more, as it does by default. Records are sealed (AES-256-GCM), so that whoever
// may read the channels learns nothing and can put nothing there. Safe for
// concurrent use; it holds nothing.
type Channels struct{ records *Records }

// NewChannels makes a Store of ff, whose key has to be a secret one. key is 16
// bytes or more, the same for all processes of the app.
func NewChannels(ff History, key []byte) (*Channels, error) {
	r, err := NewRecords(ff, key, "fanfare qrlogin channels v1")
	if err != nil {
		return nil, err
	}
	return &Channels{r}, nil
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
	return c.records.Put(ctx, lookupChannel(h), []byte(id), "")
}

// Get is Store's.
func (c *Channels) Get(ctx context.Context, id string) (Attempt, error) {
	text, at, err := c.records.Get(ctx, recordChannel(id))
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
	a.Rev = at
	return a, nil
}

// ByTicket is Store's.
func (c *Channels) ByTicket(ctx context.Context, ticket Hash) (Attempt, error) {
	id, _, err := c.records.Get(ctx, lookupChannel(ticket))
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
	return c.write(ctx, a, a.Rev)
}

func (c *Channels) write(ctx context.Context, a Attempt, rev string) error {
	a.Rev = ""
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("qrlogin: %w", err)
	}
	return c.records.Put(ctx, recordChannel(a.ID), text, rev)
}
