package bus_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// TestPowerCut takes a running bus's folder as a power cut would leave it at
// the worst: of the files with messages only what was synced before a publish
// was answered, and the machine has booted since. With SyncAlways all that was
// answered is there; without it nothing of it need be, but nobody is told that
// he has missed nothing.
func TestPowerCut(t *testing.T) {
	for _, always := range []bool{true, false} {
		t.Run(fmt.Sprintf("always=%v", always), func(t *testing.T) {
			const n = 200
			dir := t.TempDir()
			b, err := bus.Open(t.Context(), bus.Options{Dir: dir, SyncAlways: always})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			var mu sync.Mutex
			synced := map[string]int64{}
			bus.OnSync(b, func(file string, bytes int64) {
				mu.Lock()
				defer mu.Unlock()
				synced[file] = max(synced[file], bytes)
			})
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					for j := range n / 4 {
						if _, err := b.Publish(t.Context(), durable("a", fmt.Sprint(i*n+j))); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			last := store(t, b, durable("a", `"the last one"`))

			mu.Lock()
			after := copyCut(t, dir, synced)
			mu.Unlock()
			c, err := bus.Open(t.Context(), bus.Options{Dir: after, SyncAlways: always})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			next := store(t, c, durable("a", `"of after"`))
			if again := epochPart(t, last) == epochPart(t, next); again != always {
				t.Errorf("at %s, then at %s: the same epoch %v, want %v", last, next, again, always)
			}
			page := read(t, c, bus.Query{Channel: "a", After: last})
			switch {
			case always && (page.Gap != "" || data(t, page.Packets...) != `"of after"`):
				t.Errorf("behind the last one: gap %q, %s", page.Gap, data(t, page.Packets...))
			case !always && page.Gap != bus.GapEpoch:
				t.Errorf("who had the last one is told %q", page.Gap)
			}
			kept := read(t, c, bus.Query{Channel: "a"})
			if always && len(kept.Packets) != keep().Messages {
				t.Errorf("%d messages are left", len(kept.Packets))
			}
			if !always && strings.Contains(data(t, kept.Packets...), "the last one") {
				t.Error("nothing was lost: this tests nothing")
			}
		})
	}
}

// copyCut copies the folder dir. Of the files with messages only as much is
// left as synced says.
func copyCut(t *testing.T, dir string, synced map[string]int64) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		part, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, part)
		messages := strings.Contains(path, string(filepath.Separator)+"H") && strings.Contains(path, "msgs")
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular(), messages && filepath.Ext(path) != ".blk": // its index, which was never synced
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if messages {
			text = text[:min(int64(len(text)), synced[path])]
		}
		if part == "lives" {
			text = []byte(cutPower(string(text)))
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
