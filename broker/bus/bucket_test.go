package bus_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// has wants key to have val, or not to be there where val is "".
func has(t *testing.T, k *bus.Bucket, key, val string) bus.Entry {
	t.Helper()
	e, err := k.Get(t.Context(), key)
	if val == "" {
		if !errors.Is(err, bus.ErrNotFound) {
			t.Fatalf("Get %s: %q, %v; want ErrNotFound", key, e.Value, err)
		}
		return e
	}
	if err != nil || string(e.Value) != val || e.Key != key || e.Deleted {
		t.Fatalf("Get %s: %+v, %v; want %q", key, e, err, val)
	}
	return e
}

func create(t *testing.T, k *bus.Bucket, key, val string, ttl time.Duration) uint64 {
	t.Helper()
	rev, err := k.Create(t.Context(), key, []byte(val), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func conflict(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("%s: %v; want ErrConflict", what, err)
	}
}

func TestBucketLife(t *testing.T) {
	k := bucket(t, open(t, t.TempDir()), bus.BucketOptions{})
	ctx := t.Context()
	has(t, k, "a", "")
	r1 := create(t, k, "a", "1", 0)
	if e := has(t, k, "a", "1"); e.Revision != r1 {
		t.Fatalf("revision %d, want %d", e.Revision, r1)
	}
	_, err := k.Create(ctx, "a", nil, 0)
	conflict(t, "Create of what exists", err)
	r2, err := k.Update(ctx, "a", []byte("2"), r1, 0)
	if err != nil || r2 <= r1 {
		t.Fatalf("Update: %d after %d, %v", r2, r1, err)
	}
	_, err = k.Update(ctx, "a", nil, r1, 0)
	conflict(t, "Update from an old revision", err)
	_, err = k.Update(ctx, "a", nil, 0, 0)
	conflict(t, "Update from no revision", err)
	_, err = k.Update(ctx, "none", nil, 0, 0)
	conflict(t, "Update of no key from no revision", err)
	_, err = k.Update(ctx, "none", nil, 7, 0)
	conflict(t, "Update of no key", err)
	conflict(t, "Delete at an old revision", k.Delete(ctx, "a", r1))
	has(t, k, "a", "2")
	if err := k.Delete(ctx, "a", r2); err != nil {
		t.Fatal(err)
	}
	has(t, k, "a", "")
	conflict(t, "Delete twice", k.Delete(ctx, "a", r2))
	if err := k.Delete(ctx, "a", 0); err != nil {
		t.Fatalf("Delete of nothing: %v", err)
	}
	create(t, k, "a", "3", 0) // over the note of the deletion
	has(t, k, "a", "3")
	if err := k.Delete(ctx, "a", 0); err != nil {
		t.Fatal(err)
	}
	has(t, k, "a", "")
}

func TestKeysAreChecked(t *testing.T) {
	b := open(t, t.TempDir())
	k := bucket(t, b, bus.BucketOptions{})
	ctx := t.Context()
	for _, key := range []string{"", ".", "a.", ".a", "a..b", "*", "a.>", "a b", "a\r\n", "é", "a/b", "a@b", "\x00", strings.Repeat("a", 257)} {
		if _, err := k.Create(ctx, key, nil, 0); err == nil {
			t.Errorf("Create took the key %q", key)
		}
		if _, err := k.Get(ctx, key); err == nil || errors.Is(err, bus.ErrNotFound) {
			t.Errorf("Get of the key %q: %v", key, err)
		}
		if err := k.Delete(ctx, key, 0); err == nil {
			t.Errorf("Delete took the key %q", key)
		}
		if err := k.Apply(ctx, []bus.Change{{Key: key}}); err == nil {
			t.Errorf("Apply took the key %q", key)
		}
	}
	for _, key := range []string{"a", "a.b-c_d=E9", strings.Repeat("a", 256)} {
		create(t, k, key, "v", 0)
		has(t, k, key, "v")
	}
	for _, name := range []string{"", "a.b", "*", "a b"} {
		if _, err := b.Bucket(ctx, name, bus.BucketOptions{}); err == nil {
			t.Errorf("a bucket of the name %q", name)
		}
	}
	if _, err := k.Create(ctx, "large", make([]byte, bus.MaxBody+1), 0); err == nil {
		t.Error("Create took a value over MaxBody")
	}
}

func TestOneOfManyWins(t *testing.T) {
	k := bucket(t, open(t, t.TempDir()), bus.BucketOptions{})
	create(t, k, "gone", "x", 0)
	if err := k.Delete(t.Context(), "gone", 0); err != nil {
		t.Fatal(err)
	}
	rev := create(t, k, "old", "x", 0)
	for name, try := range map[string]func(i int) error{
		"Create": func(i int) error {
			_, err := k.Create(t.Context(), "new", fmt.Append(nil, i), 0)
			return err
		},
		"Create after Delete": func(i int) error {
			_, err := k.Create(t.Context(), "gone", fmt.Append(nil, i), 0)
			return err
		},
		"Update": func(i int) error {
			_, err := k.Update(t.Context(), "old", fmt.Append(nil, i), rev, 0)
			return err
		},
		"Apply": func(i int) error {
			return k.Apply(t.Context(), []bus.Change{{Key: "one", Value: fmt.Append(nil, i)}, {Key: "two", Value: fmt.Append(nil, i)}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					if err := try(i); err == nil {
						won.Add(1)
					} else if !errors.Is(err, bus.ErrConflict) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := won.Load(); n != 1 {
				t.Fatalf("%d winners of 100", n)
			}
		})
	}
	one, two := has(t, k, "one", get(t, k, "one")), has(t, k, "two", get(t, k, "two"))
	if string(one.Value) != string(two.Value) {
		t.Fatalf("two halves of two batches: %s, %s", one.Value, two.Value)
	}
}

func get(t *testing.T, k *bus.Bucket, key string) string {
	t.Helper()
	e, err := k.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value)
}

func TestReopenKeepsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	k := bucket(t, b, bus.BucketOptions{})
	rev := create(t, k, "a", "1", 0)
	create(t, k, "gone", "1", 0)
	if err := k.Delete(t.Context(), "gone", 0); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	k = bucket(t, open(t, dir), bus.BucketOptions{})
	if e := has(t, k, "a", "1"); e.Revision != rev {
		t.Errorf("revision %d, was %d", e.Revision, rev)
	}
	has(t, k, "gone", "")
	if _, err := k.Update(t.Context(), "a", []byte("2"), rev, 0); err != nil {
		t.Error(err)
	}
}

func BenchmarkBucketCreate(b *testing.B) {
	k := bucket(b, open(b, b.TempDir()), bus.BucketOptions{})
	val := make([]byte, 256)
	var n int
	for b.Loop() {
		n++
		if _, err := k.Create(b.Context(), fmt.Sprintf("k%d", n), val, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBucketGet(b *testing.B) {
	k := bucket(b, open(b, b.TempDir()), bus.BucketOptions{})
	if _, err := k.Create(b.Context(), "k", make([]byte, 256), 0); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Get(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}
