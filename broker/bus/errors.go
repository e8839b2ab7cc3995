package bus

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What callers tell apart with errors.Is. Every other error is a fault of this
// node.
var (
	// ErrNotFound: the bucket has no such key, or it was deleted or expired.
	ErrNotFound = errors.New("no such key")
	// ErrConflict: the key is not at the expected revision.
	ErrConflict = errors.New("the key is not at the expected revision")
	// ErrLocked: another process has the data folder open.
	ErrLocked = errors.New("another server is using the data folder")
	// ErrDiskFull: the data folder's file system has no space left.
	ErrDiskFull = errors.New("the disk is full")
	// ErrUnavailable: the message server did not answer in time; whether the
	// message was stored is not known. The same id may be tried again.
	ErrUnavailable = errors.New("the message server does not answer")
	// ErrClosed: the bus was closed.
	ErrClosed = errors.New("the bus is closed")
)

// classify wraps err as "what: err" so that errors.Is finds the package's own
// errors in it. A nil err stays nil.
func classify(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return fmt.Errorf("%s: %w", what, ErrConflict)
	case errors.Is(err, ErrDiskFull):
		return fmt.Errorf("%s: %w", what, err)
	case isDiskFull(err):
		return fmt.Errorf("%s: %w: %w", what, ErrDiskFull, err)
	case errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("%s: %w", what, ErrClosed)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// isConflict knows both codes for a failed compare-and-set: replicated streams
// have one of their own.
func isConflict(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isDiskFull also reads the text, because the server passes an ENOSPC on to
// its clients in words.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrDiskFull) ||
		strings.Contains(err.Error(), "no space left")
}
