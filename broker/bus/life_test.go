package bus_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestEpochAfterLoss opens a folder again after its note of how far the
// streams had come was changed as an accident would.
func TestEpochAfterLoss(t *testing.T) {
	for _, c := range []struct {
		name  string
		sync  bool // every message
		edit  func(lives string) string
		fresh bool // another epoch
	}{
		{"a clean end", false, func(s string) string { return s }, false},
		{"a crash", false, func(s string) string { return strings.Replace(s, `"clean":true`, `"clean":false`, 1) }, false},
		{"a power cut", false, cutPower, true},
		{"a power cut where every message is synced", true, cutPower, false},
		{"a stream that had been farther", false, func(s string) string { return regexp.MustCompile(`"last":\d+`).ReplaceAllString(s, `"last":99`) }, true},
		{"no note", false, func(string) string { return "" }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			o := bus.Options{Dir: t.TempDir(), SyncAlways: c.sync}
			b, err := bus.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			first := store(t, b, durable("a", "1"))
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(o.Dir, "lives")
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(c.edit(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}

			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if b, err = bus.Open(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			second := store(t, b, durable("a", "2"))
			page := read(t, b, bus.Query{Channel: "a", After: first})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if got := epochPart(t, first) != epochPart(t, second); got != c.fresh {
				t.Errorf("%s, then %s: another epoch %v, want %v", first, second, got, c.fresh)
			}
			if lost := strings.Contains(log.String(), "messages were lost"); lost != c.fresh {
				t.Errorf("the log tells of a loss: %v, want %v\n%s", lost, c.fresh, &log)
			}
			if c.fresh && page.Gap != bus.GapEpoch || !c.fresh && page.Gap != "" {
				t.Errorf("who was at %s is told %q", first, page.Gap)
			}
		})
	}
}

func cutPower(s string) string {
	s = regexp.MustCompile(`"boot":"[^"]*"`).ReplaceAllString(s, `"boot":"another"`)
	return strings.Replace(s, `"clean":true`, `"clean":false`, 1)
}

func epochPart(t *testing.T, p protocol.Position) string {
	t.Helper()
	epoch, _, err := p.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}
