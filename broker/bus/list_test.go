package bus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func TestListAndPut(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	k := bucket(t, b, bus.BucketOptions{Listed: true, Relaxed: true})
	ctx := t.Context()
	var changes []bus.Change
	for i := range 700 { // more than one batch
		changes = append(changes, bus.Change{Key: fmt.Sprintf("a.%d", i), Value: fmt.Append(nil, i)})
	}
	put := func(changes ...bus.Change) {
		t.Helper()
		if err := k.Put(ctx, changes); err != nil {
			t.Fatal(err)
		}
	}
	put(changes...)
	put(bus.Change{Key: "ab.1", Value: []byte("other")}, bus.Change{Key: "b.x.y", Value: []byte("deep")}, bus.Change{Key: "a.0", Value: []byte("again")})
	put()
	got, err := k.List(ctx, "a")
	if err != nil || len(got) != 700 {
		t.Fatalf("%d entries, %v; want 700", len(got), err)
	}
	if last := got[699]; last.Key != "a.0" || string(last.Value) != "again" {
		t.Errorf("the last written is %s %q", last.Key, last.Value)
	}
	if got, err := k.List(ctx, "b"); err != nil || len(got) != 1 || got[0].Key != "b.x.y" {
		t.Errorf("under b: %v, %v", got, err)
	}
	if got, err := k.List(ctx, "c"); err != nil || len(got) != 0 {
		t.Errorf("under c: %v, %v", got, err)
	}
	if err := k.Delete(ctx, "a.7", 0); err != nil {
		t.Fatal(err)
	}
	if got, err := k.List(ctx, "a"); err != nil || len(got) != 699 {
		t.Errorf("%d entries after a deletion, %v; want 699", len(got), err)
	}
	for _, bad := range [][]bus.Change{{{Key: "a b"}}, {{Key: "a", Revision: 1}}, {{Key: "a", Delete: true}}, make([]bus.Change, 1001)} {
		if err := k.Put(ctx, bad); err == nil {
			t.Errorf("Put took %d changes, the first %+v", len(bad), bad[0])
		}
	}
	if _, err := k.List(ctx, "a.>"); err == nil {
		t.Error("List took a wildcard")
	}
}

func TestStored(t *testing.T) {
	b := open(t, t.TempDir())
	ctx := t.Context()
	keep := bus.Keep{Messages: 3, Age: time.Minute}
	long := bus.Keep{Messages: 1000, Age: time.Hour}
	for i := range 5 {
		for _, p := range []bus.Packet{
			{App: "one", Channel: "a", Keep: keep}, {App: "one", Channel: protocol.Channel(fmt.Sprint("b", i)), Keep: long},
			{App: "two", Channel: "a", Keep: keep}, {App: "one", Channel: "gone", Keep: bus.Keep{}},
		} {
			p.Body = []byte(`{"channel":"x"}`)
			if _, err := b.PublishAll(ctx, []bus.Packet{p}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for app, want := range map[protocol.AppID]int64{"one": 10, "two": 5, "three": 0, "on": 0} {
		if n, err := b.Stored(ctx, app); err != nil || n != want {
			t.Errorf("%s keeps %d, %v; want %d", app, n, err, want)
		}
	}
	if _, err := b.Stored(ctx, "o*"); err == nil {
		t.Error("a wildcard was taken for an app")
	}
}
