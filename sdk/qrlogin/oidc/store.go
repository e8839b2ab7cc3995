package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// Store keeps what the provider has promised: codes, grants, consents. Keys
// begin with brief, whose values live five minutes at most, or with long, 30
// days at most. Methods are called from many goroutines.
type Store interface {
	// Get is the value of key and its revision, or qrlogin.ErrNotFound.
	Get(ctx context.Context, key string) (value []byte, rev string, err error)
	// Put writes the value if its revision is still rev ("": there is none), or
	// answers qrlogin.ErrConflict. The store forgets it after life.
	Put(ctx context.Context, key string, value []byte, rev string, life time.Duration) error
}

// The two kinds of keys, and the longest that each lives.
const (
	brief     = "brief:"
	long      = "long:"
	briefLife = 5 * time.Minute
	longLife  = 30 * 24 * time.Hour
)

// keyOf is a key made of names that are not fit to be in one.
func keyOf(kind, what string, names ...string) string {
	h := sha256.New()
	for _, n := range names {
		_, _ = fmt.Fprintf(h, "%d %s ", len(n), n) // a hash does not fail
	}
	return kind + what + "-" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))
}

// load reads a JSON value.
func load[T any](ctx context.Context, s Store, key string) (v T, rev string, err error) {
	text, rev, err := s.Get(ctx, key)
	if err != nil {
		return v, "", err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, "", fmt.Errorf("oidc: the record of a %s: %w", key[:strings.IndexByte(key, '-')], err)
	}
	return v, rev, nil
}

func save(ctx context.Context, s Store, key string, v any, rev string, life time.Duration) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("oidc: %w", err)
	}
	return s.Put(ctx, key, text, rev, life)
}

// Records is a Store in Fanfare's channels, the same for several processes. The
// namespace oidc needs a rule that keeps messages for 30 days (Namespace,
// RuleAge); without one, refresh tokens and consents are forgotten after five
// minutes.
type Records struct{ r *qrlogin.Records }

// Namespace and RuleAge, in seconds, are those of the rule that Records want.
const (
	Namespace = "oidc"
	RuleAge   = int(longLife / time.Second)
)

// NewRecords makes a Store of ff, whose key has to be a secret one. key is 16
// bytes or more, the same for all processes.
func NewRecords(ff qrlogin.History, key []byte) (*Records, error) {
	r, err := qrlogin.NewRecords(ff, key, "fanfare oidc records v1")
	if err != nil {
		return nil, err
	}
	return &Records{r}, nil
}

// kept is a value with its own end, which may come before the channel's.
type kept struct {
	Ends  int64           `json:"ends"` // Unix, ms
	Value json.RawMessage `json:"value"`
}

// Get is Store's.
func (s *Records) Get(ctx context.Context, key string) ([]byte, string, error) {
	text, rev, err := s.r.Get(ctx, channelOf(key))
	if err != nil {
		return nil, "", err
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, "", fmt.Errorf("oidc: %w", err)
	}
	if time.Now().UnixMilli() >= k.Ends {
		return nil, rev, qrlogin.ErrNotFound
	}
	return k.Value, rev, nil
}

// Put is Store's.
func (s *Records) Put(ctx context.Context, key string, value []byte, rev string, life time.Duration) error {
	text, err := json.Marshal(kept{time.Now().Add(life).UnixMilli(), value})
	if err != nil {
		return fmt.Errorf("oidc: %w", err)
	}
	err = s.r.Put(ctx, channelOf(key), text, rev)
	if rev != "" || !errors.Is(err, qrlogin.ErrConflict) {
		return err
	}
	// One that is over may be there still.
	if _, old, gone := s.Get(ctx, key); errors.Is(gone, qrlogin.ErrNotFound) && old != "" {
		return s.r.Put(ctx, channelOf(key), text, old)
	}
	return err
}

func channelOf(key string) string {
	if rest, ok := strings.CutPrefix(key, long); ok {
		return Namespace + ":" + rest
	}
	return Namespace + "-" + key // another namespace, with the default rule
}

// Memory is a Store in this process: what it keeps ends with it. Safe for
// concurrent use; of maxMemory values at most, beyond which it answers qrlogin.ErrFull.
type Memory struct {
	mu sync.Mutex
	m  map[string]remembered
	n  int64
}

type remembered struct {
	value []byte
	rev   string
	ends  time.Time
}

const maxMemory = 50_000

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{m: map[string]remembered{}} }

// Get is Store's.
func (s *Memory) Get(_ context.Context, key string) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[key]
	if !ok || !time.Now().Before(v.ends) {
		return nil, "", qrlogin.ErrNotFound
	}
	return v.value, v.rev, nil
}

// Put is Store's.
func (s *Memory) Put(_ context.Context, key string, value []byte, rev string, life time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	old := s.m[key]
	if !now.Before(old.ends) {
		old = remembered{}
	}
	if old.rev != rev {
		return qrlogin.ErrConflict
	}
	if len(s.m) >= maxMemory {
		for k, v := range s.m {
			if !now.Before(v.ends) {
				delete(s.m, k)
			}
		}
		if len(s.m) >= maxMemory {
			return qrlogin.ErrFull
		}
	}
	s.n++
	s.m[key] = remembered{value, fmt.Sprint(s.n), now.Add(life)}
	return nil
}
