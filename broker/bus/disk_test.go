package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker/bus"
)

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
	free.Store(bus.DiskReserve + 1<<28)
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
	free.Store(bus.DiskReserve + 1<<28)
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
