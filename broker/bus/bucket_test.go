package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestApplyIsAllOrNothing(t *testing.T) {
	k := bucket(t, open(t, t.TempDir()), bus.BucketOptions{})
	ctx := t.Context()
	ra, rb := create(t, k, "a", "a1", 0), create(t, k, "b", "b1", 0)
	conflict(t, "one of three is old", k.Apply(ctx, []bus.Change{
		{Key: "new", Value: []byte("n")}, {Key: "a", Value: []byte("a2"), Revision: ra}, {Key: "b", Revision: rb + 9, Delete: true},
	}))
	has(t, k, "new", "")
	has(t, k, "a", "a1")
	has(t, k, "b", "b1")
	conflict(t, "one of two exists", k.Apply(ctx, []bus.Change{{Key: "new", Value: []byte("n")}, {Key: "a", Value: []byte("a2")}}))
	has(t, k, "new", "")
	if err := k.Apply(ctx, []bus.Change{
		{Key: "new", Value: []byte("n")}, {Key: "a", Value: []byte("a2"), Revision: ra}, {Key: "b", Revision: rb, Delete: true},
	}); err != nil {
		t.Fatal(err)
	}
	has(t, k, "new", "n")
	has(t, k, "a", "a2")
	has(t, k, "b", "")
	// b is the note of a deletion now, which "must not exist" looks through.
	if err := k.Apply(ctx, []bus.Change{{Key: "b", Value: []byte("b2")}, {Key: "a", Delete: true}, {Key: "never", Delete: true}}); err != nil {
		t.Fatal(err)
	}
	has(t, k, "b", "b2")
	has(t, k, "a", "")
	if err := k.Apply(ctx, []bus.Change{{Key: "one", Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	has(t, k, "one", "1")
	if err := k.Apply(ctx, nil); err != nil {
		t.Errorf("no changes: %v", err)
	}
	if err := k.Apply(ctx, []bus.Change{{Key: "x"}, {Key: "x"}}); err == nil {
		t.Error("one key twice was taken")
	}
	many := make([]bus.Change, 1001)
	for i := range many {
		many[i].Key = fmt.Sprintf("m%d", i)
	}
	if err := k.Apply(ctx, many); err == nil {
		t.Error("1001 changes were taken")
	}
	if err := k.Apply(ctx, many[:1000]); err != nil {
		t.Errorf("1000 changes: %v", err)
	}
}

// inBubble runs f with a bus whose server lives in fake time.
func inBubble(t *testing.T, f func(t *testing.T, b *bus.Bus)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.Open(context.Background(), bus.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, b)
	})
}

func TestEntriesExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bus.Bus) {
		k := bucket(t, b, bus.BucketOptions{})
		rev := create(t, k, "short", "v", 30*time.Second)
		create(t, k, "fraction", "v", 1500*time.Millisecond)
		create(t, k, "long", "v", time.Hour)
		create(t, k, "ever", "v", 0)
		time.Sleep(1600 * time.Millisecond)
		has(t, k, "fraction", "v") // rounded up to 2 s
		time.Sleep(20 * time.Second)
		has(t, k, "fraction", "")
		rev, err := k.Update(t.Context(), "short", []byte("w"), rev, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second) // past the first value's time, within the second's
		has(t, k, "short", "w")
		time.Sleep(15 * time.Second)
		has(t, k, "short", "") // Update kept a time to live
		_, err = k.Update(t.Context(), "short", nil, rev, 0)
		conflict(t, "Update of an expired key", err)
		create(t, k, "short", "x", 5*time.Second)
		time.Sleep(6500 * time.Millisecond) // gone, and its note may be there or not
		create(t, k, "short", "y", 0)
		e := has(t, k, "long", "v")
		if _, err := k.Update(t.Context(), "long", []byte("v2"), e.Revision, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		has(t, k, "long", "v2") // Update without one ended it
		has(t, k, "ever", "v")
		has(t, k, "short", "y")
	})
}

// In real time, since the server reckons age by its access clock, which is
// outside every bubble.
func TestMaxAge(t *testing.T) {
	const age = time.Second
	k := bucket(t, open(t, t.TempDir()), bus.BucketOptions{MaxAge: age})
	gone := make(chan string, 10)
	stop, err := k.Watch(func(e bus.Entry) {
		if e.Deleted {
			gone <- e.Key
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	start := time.Now()
	create(t, k, "a", "v", 0)
	create(t, k, "b", "v", time.Hour)
	for range 2 {
		select {
		case <-gone:
		case <-time.After(soon):
			t.Fatal("an entry outlived the bucket's MaxAge")
		}
	}
	if took := time.Since(start); took < age {
		t.Errorf("gone after %v, before MaxAge", took)
	}
	has(t, k, "a", "")
	has(t, k, "b", "")
}

func TestApplyTTLAndNotesGoAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bus.Bus) {
		k := bucket(t, b, bus.BucketOptions{})
		if err := k.Apply(t.Context(), []bus.Change{{Key: "t", Value: []byte("v"), TTL: 5 * time.Second}, {Key: "u", Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
		if err := k.Delete(t.Context(), "u", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		has(t, k, "t", "")
		time.Sleep(10 * time.Minute)
		var seen []bus.Entry
		stop, err := k.Watch(func(e bus.Entry) { seen = append(seen, e) })
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if len(seen) != 0 {
			t.Errorf("still in the bucket: %+v", seen)
		}
	})
}

func TestWatchTellsWhatIsThereThenWhatChanges(t *testing.T) {
	b := open(t, t.TempDir())
	k := bucket(t, b, bus.BucketOptions{})
	empty, err := k.Watch(func(bus.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	empty()
	for i := range 300 {
		create(t, k, fmt.Sprintf("k%03d", i), "v", 0)
	}
	changes := make(chan bus.Entry, 1000)
	stop, err := k.Watch(func(e bus.Entry) { changes <- e })
	if err != nil {
		t.Fatal(err)
	}
	if n := len(changes); n != 300 { // before Watch returned
		t.Fatalf("%d entries at the start, want 300", n)
	}
	for i := range 300 {
		if e := <-changes; e.Key != fmt.Sprintf("k%03d", i) || string(e.Value) != "v" {
			t.Fatalf("entry %d: %+v", i, e)
		}
	}
	rev := create(t, k, "new", "1", 0)
	if err := k.Apply(t.Context(), []bus.Change{{Key: "new", Value: []byte("2"), Revision: rev}, {Key: "k000", Delete: true}}); err != nil {
		t.Fatal(err)
	}
	var got []bus.Entry
	for range 3 {
		select {
		case e := <-changes:
			got = append(got, e)
		case <-time.After(soon):
			t.Fatalf("only %+v came", got)
		}
	}
	want := []bus.Entry{
		{Key: "new", Value: []byte("1"), Revision: rev},
		{Key: "new", Value: []byte("2"), Revision: rev + 1},
		{Key: "k000", Revision: rev + 2, Deleted: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	stop()
	create(t, k, "after", "1", 0)
	stop()
	if len(changes) != 0 {
		t.Fatalf("after stop: %+v", <-changes)
	}
}

func TestWatchTellsExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bus.Bus) {
		k := bucket(t, b, bus.BucketOptions{})
		changes := make(chan bus.Entry, 10)
		stop, err := k.Watch(func(e bus.Entry) { changes <- e })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		create(t, k, "a", "v", time.Minute)
		if e := <-changes; e.Deleted || e.Key != "a" {
			t.Fatalf("%+v", e)
		}
		start := time.Now()
		e := <-changes
		if took := time.Since(start); !e.Deleted || e.Key != "a" || e.Value != nil || took < 59*time.Second || took > 63*time.Second {
			t.Fatalf("%+v after %v", e, took)
		}
	})
}

// A stop in the middle of a flood of changes must not hang: the watcher under
// it may be waiting to hand over an entry.
func TestWatchStopsUnderLoad(t *testing.T) {
	k := bucket(t, open(t, t.TempDir()), bus.BucketOptions{})
	for i := range 1000 {
		if i%100 == 0 {
			changes := make([]bus.Change, 100)
			for n := range changes {
				changes[n].Key = fmt.Sprintf("k%d", i+n)
			}
			if err := k.Apply(t.Context(), changes); err != nil {
				t.Fatal(err)
			}
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				stop, err := k.Watch(func(bus.Entry) {})
				if err != nil {
					t.Error(err)
					return
				}
				stop()
			}
		})
	}
	for i := range 200 {
		create(t, k, fmt.Sprintf("new%d", i), "v", 0)
	}
	wg.Wait()
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

func TestDiskFullAtStart(t *testing.T) {
	dir := t.TempDir()
	// A real ENOSPC without a full disk: the probe is written to /dev/full.
	if err := os.Symlink("/dev/full", filepath.Join(dir, "probe.tmp")); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Open(t.Context(), bus.Options{Dir: dir})
	checkRefused(t, err, dir)
	if !errors.Is(err, bus.ErrDiskFull) {
		t.Fatalf("Open: %v; want ErrDiskFull", err)
	}
	open(t, dir) // the failed start left no lock
}

func TestDiskFullWhileRunning(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	dir := t.TempDir()
	o := bus.Options{Dir: dir}
	b, err := bus.OpenWithFree(t.Context(), o, func(string) (uint64, error) { return free.Load(), nil })
	if err != nil {
		t.Fatal(err)
	}
	k := bucket(t, b, bus.BucketOptions{})
	rev := create(t, k, "a", "1", 0)
	free.Store(bus.DiskReserve - 1)
	for what, try := range map[string]func() error{
		"Create": func() error { _, err := k.Create(t.Context(), "b", nil, 0); return err },
		"Update": func() error { _, err := k.Update(t.Context(), "a", nil, rev, 0); return err },
		"Delete": func() error { return k.Delete(t.Context(), "a", 0) },
		"Apply":  func() error { return k.Apply(t.Context(), []bus.Change{{Key: "b"}}) },
	} {
		if err := try(); !errors.Is(err, bus.ErrDiskFull) {
			t.Errorf("%s: %v; want ErrDiskFull", what, err)
		}
	}
	has(t, k, "a", "1")
	publish(t, b, packet("app0000001", "c", "1")) // needs no disk
	free.Store(1 << 40)
	create(t, k, "b", "1", 0) // and nothing had to be restarted
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(0)
	_, err = bus.OpenWithFree(t.Context(), o, func(string) (uint64, error) { return free.Load(), nil })
	checkRefused(t, err, dir)
	if !errors.Is(err, bus.ErrDiskFull) {
		t.Fatalf("Open: %v; want ErrDiskFull", err)
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
