package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// attempts keeps those of pages in memory, where a restart costs a fresh code,
// and those of devices in Fanfare: a television shows its code for ten minutes,
// and does not look whether the server was restarted meanwhile. It is a
// qrlogin.Store, safe for concurrent use.
type attempts struct {
	pages, devices qrlogin.Store
}

// openAttempts makes the store, and the key that hides short codes in it.
// Without devices the store is nil: the library's own does.
func openAttempts(c config, src *source, keys *oidc.Keys) (qrlogin.Store, []byte, error) {
	pepper, err := hkdf.Key(sha256.New, keys.Secret(), nil, "qrlogin pepper v1", 32)
	if err != nil {
		return nil, nil, fmt.Errorf("derive the pepper: %w", err)
	}
	if len(c.devices) == 0 {
		return nil, pepper, nil
	}
	devices, err := qrlogin.NewChannels(src.client, keys.Secret())
	return &attempts{qrlogin.NewMemory(0), devices}, pepper, err
}

// keptRules are those that what we keep in Fanfare wants: a device's code lasts
// longer than messages do.
func keptRules() []tenant.Rule {
	keep := func(namespace string, messages, seconds int) tenant.Rule {
		return tenant.Rule{Namespace: namespace, History: &tenant.History{Messages: messages, Age: seconds}}
	}
	return []tenant.Rule{keep(oidc.Namespace, 2, oidc.RuleAge), keep("qrs", 2, 900), keep("qrt", 2, 900)}
}

func (s *attempts) of(a qrlogin.Attempt) qrlogin.Store {
	if a.Kind == qrlogin.ByDevice {
		return s.devices
	}
	return s.pages
}

// Create is qrlogin.Store's.
func (s *attempts) Create(ctx context.Context, a qrlogin.Attempt) error {
	return s.of(a).Create(ctx, a)
}

// Swap is qrlogin.Store's.
func (s *attempts) Swap(ctx context.Context, a qrlogin.Attempt) error { return s.of(a).Swap(ctx, a) }

// Get is qrlogin.Store's.
func (s *attempts) Get(ctx context.Context, id string) (qrlogin.Attempt, error) {
	a, err := s.pages.Get(ctx, id)
	if errors.Is(err, qrlogin.ErrNotFound) {
		return s.devices.Get(ctx, id)
	}
	return a, err
}

// ByTicket is qrlogin.Store's.
func (s *attempts) ByTicket(ctx context.Context, ticket qrlogin.Hash) (qrlogin.Attempt, error) {
	a, err := s.pages.ByTicket(ctx, ticket)
	if errors.Is(err, qrlogin.ErrNotFound) {
		return s.devices.ByTicket(ctx, ticket)
	}
	return a, err
}
