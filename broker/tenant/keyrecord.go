package tenant

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// keyRecord is a key as it is kept. Text is in it for publishable keys only.
// It is never changed once it is in memory.
type keyRecord struct {
	Key
	Account protocol.AccountID `json:"account"`
	Hash    []byte             `json:"hash"`             // SHA-256 of the text
	Sealed  []byte             `json:"sealed,omitempty"` // a secret key's text under the master key
	rev     uint64
	json    []byte // of a record that was just made
}

func readKey(e bus.Entry) (*keyRecord, error) {
	r := &keyRecord{rev: e.Revision}
	if err := json.Unmarshal(e.Value, r); err != nil {
		return nil, err
	}
	if r.place() != e.Key || len(r.ID) != idLen || r.ID[:4] != prefixOf(r.Kind) || len(r.Hash) != 32 || (r.App == "") != (r.Kind == KindAccount) {
		return nil, errors.New("the record is not that of its key")
	}
	return r, nil
}

// place is where the record is kept.
func (r *keyRecord) place() string { return "key." + r.ID }

// encode is a new record's JSON.
func (r *keyRecord) encode() []byte { return r.json }

// public is the key as callers get it, sharing nothing with the record.
func (r *keyRecord) public() Key {
	k := r.Key
	k.Origins = slices.Clone(r.Origins)
	g := &k.Grants
	for _, list := range []*[]string{&g.Subscribe, &g.Publish, &g.Presence, &g.History} {
		*list = slices.Clone(*list)
	}
	return k
}

// end is when the key ends or ended; the zero time is never.
func (r *keyRecord) end() time.Time {
	if r.Revoked != nil {
		return *r.Revoked
	}
	if r.Expires != nil {
		return *r.Expires
	}
	return time.Time{}
}

// ended reports whether the key was revoked or has expired.
func (r *keyRecord) ended(at time.Time) bool {
	return r.Revoked != nil || r.Expires != nil && !at.Before(*r.Expires)
}

// expired is key_expired with a message that says which of both it was.
func (r *keyRecord) expired() error {
	if r.Revoked != nil {
		return protocol.Errorf(protocol.CodeKeyExpired, "The key was revoked.")
	}
	return protocol.Errorf(protocol.CodeKeyExpired, "The key expired at %s.", r.Expires.Format(time.RFC3339))
}
