package bus_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/bus"
)

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
