package bus_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
)

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
