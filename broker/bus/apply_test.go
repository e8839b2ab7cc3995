package bus_test

import (
	"fmt"
	"testing"

	"github.com/fanfarehq/fanfare/broker/bus"
)

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
