package qrlogin

import (
	"context"
	"errors"
)

// Store keeps attempts. Each write carries the attempt's own end, a.Until():
// the store forgets it then, and never keeps one for ever. Methods are called
// from many goroutines.
type Store interface {
	// Create keeps a new attempt. ErrFull when there is no room, ErrConflict
	// when another one has its ID or one of its Lookups.
	Create(ctx context.Context, a Attempt) error
	// Get is the attempt of that id, or ErrNotFound.
	Get(ctx context.Context, id string) (Attempt, error)
	// ByTicket is the attempt that has that hash among its Lookups, or
	// ErrNotFound.
	ByTicket(ctx context.Context, ticket Hash) (Attempt, error)
	// Swap puts a in place of the stored attempt of the same ID if that still
	// has a.Rev, and gives it another Rev; else ErrConflict. It keeps the
	// look-up by ticket in step.
	Swap(ctx context.Context, a Attempt) error
}

// What a Store answers besides success.
var (
	ErrNotFound = errors.New("qrlogin: not found")
	ErrConflict = errors.New("qrlogin: changed by somebody else")
	ErrFull     = errors.New("qrlogin: too many attempts at once")
)
