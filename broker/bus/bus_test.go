package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// The server's access clock must run outside every synctest bubble: started
// inside one, it would keep the bubble from ever becoming idle. It shows real
// time there, so that MaxAge means nothing in a bubble; times to live do.
func TestMain(m *testing.M) {
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left after all buses were closed:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// open opens a bus over dir and closes it with the test.
func open(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(context.Background(), bus.Options{Dir: dir, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func bucket(t testing.TB, b *bus.Bus, o bus.BucketOptions) *bus.Bucket {
	t.Helper()
	k, err := b.Bucket(context.Background(), "things", o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func packet(app protocol.AppID, ch protocol.Channel, data string) bus.Packet {
	m := protocol.Message{Channel: ch, ID: "m1", Time: 1, Data: []byte(data)}
	return bus.Packet{App: app, Channel: ch, Body: m.AppendBody(nil)}
}

func TestOpenMakesThePrivateFolderAndIsReady(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	b := open(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("folder: %v, %v; want mode 0700", info, err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	mode, err := os.ReadFile(filepath.Join(dir, "mode"))
	if err != nil || string(mode) != "standalone\n" {
		t.Fatalf("mode file: %q, %v", mode, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("Ready after Close: %v", err)
	}
}

func TestSecondOpenIsLocked(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := bus.Open(t.Context(), bus.Options{Dir: dir})
	checkRefused(t, err, dir)
	if !errors.Is(err, bus.ErrLocked) {
		t.Fatalf("second Open: %v; want ErrLocked", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // free again
}

// checkRefused wants one line that names the folder.
func checkRefused(t *testing.T, err error, dir string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %q; want one line that names %s", err, dir)
	}
}

func TestOpenRefusesWhatIsNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := bus.Open(t.Context(), bus.Options{Dir: dir})
		checkRefused(t, err, dir)
	}
	if _, err := bus.Open(t.Context(), bus.Options{}); err == nil {
		t.Fatal("Open without a folder succeeded")
	}
}

func TestOpenRefusesAFolderOfAnotherMode(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mode"), []byte("cluster\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Open(t.Context(), bus.Options{Dir: dir})
	checkRefused(t, err, dir)
}

func TestOpenRefusesABrokenStore(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "nats"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nats", "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Open(t.Context(), bus.Options{Dir: dir})
	checkRefused(t, err, dir)
	if err := os.Remove(filepath.Join(dir, "nats", "jetstream")); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // the failed start left no lock
}

func TestAnEndedContextOpensNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bus.Open(ctx, bus.Options{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Open: %v", err)
	}
}

func TestCloseEndsFeedsAndWatches(t *testing.T) {
	b := open(t, t.TempDir())
	k := bucket(t, b, bus.BucketOptions{})
	stopFeed, err := b.Feed(func(bus.Packet) {})
	if err != nil {
		t.Fatal(err)
	}
	stopWatch, err := k.Watch(func(bus.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	stopFeed() // both have ended; stopping again neither hangs nor fails
	stopWatch()
	if _, err := b.Feed(func(bus.Packet) {}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Feed after Close: %v", err)
	}
	if _, err := k.Watch(func(bus.Entry) {}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Watch after Close: %v", err)
	}
	if _, err := b.Publish(t.Context(), packet("app", "c", "1")); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Publish after Close: %v", err)
	}
	if _, err := k.Create(t.Context(), "k", nil, 0); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Create after Close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func BenchmarkOpenEmptyFolder(b *testing.B) {
	for b.Loop() {
		x, err := bus.Open(b.Context(), bus.Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// soon is how long tests wait for what must happen.
const soon = 20 * time.Second
