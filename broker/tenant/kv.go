package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// KV is what tenant needs of the bucket that holds accounts, apps and keys. A
// *bus.Bucket is one. It is safe for concurrent use; Watch calls fn from one
// goroutine, in the order of revisions, and first with all present entries.
type KV interface {
	Create(ctx context.Context, key string, val []byte, ttl time.Duration) (uint64, error)
	Update(ctx context.Context, key string, val []byte, rev uint64, ttl time.Duration) (uint64, error)
	Delete(ctx context.Context, key string, rev uint64) error
	Apply(ctx context.Context, changes []bus.Change) error
	Watch(fn func(bus.Entry)) (stop func(), err error)
}

// Vault is what tenant needs of the buckets that hold one-time tickets, links
// and sessions. A *bus.Bucket is one.
type Vault interface {
	Get(ctx context.Context, key string) (bus.Entry, error)
	Create(ctx context.Context, key string, val []byte, ttl time.Duration) (uint64, error)
	Delete(ctx context.Context, key string, rev uint64) error
}

// readBack is how long a writer waits for the watch to bring a write.
const readBack = 5 * time.Second

// errUnseen says that the watch is behind or has ended.
var errUnseen = errors.New("the write was made, but the watch did not bring it in time")

// commit writes, and then waits until this node's memory has it, so that the
// caller reads its own write. write returns the new revision, or 0 where the
// bus does not tell: then it is the record key that must have changed after
// revision base (0: come to be).
func (t *Tenants) commit(ctx context.Context, key string, base uint64, write func(context.Context) (uint64, error)) error {
	rev, err := write(ctx)
	if err != nil {
		return stored(err)
	}
	return t.view.until(ctx, func(v *view) bool {
		if rev > 0 {
			return v.last >= rev
		}
		return v.changed(key, base)
	})
}

// all is a write of commit that applies changes, all or nothing.
func (t *Tenants) all(changes []bus.Change) func(context.Context) (uint64, error) {
	return func(ctx context.Context) (uint64, error) { return 0, t.records.Apply(ctx, changes) }
}

// stored turns an error of the bus into one for people; the cause stays in the
// chain for logs.
func stored(err error) error {
	code := protocol.CodeUnavailable
	switch {
	case errors.Is(err, bus.ErrDiskFull):
		code = protocol.CodeDiskFull
	case errors.Is(err, bus.ErrConflict):
		code = protocol.CodeConflict
	}
	return fmt.Errorf("tenant: %w: %w", protocol.NewError(code), err)
}
