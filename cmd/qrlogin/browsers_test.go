package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// TestBrowsersOutliveTheProgram: whatever happens to known browsers, a fresh
// start knows the same ones, and the file does not grow with every sign-in.
func TestBrowsersOutliveTheProgram(t *testing.T) {
	dir := t.TempDir()
	b, err := openBrowsers(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := func(user string, n int) qrlogin.Hash { return qrlogin.HashOf(fmt.Sprint(user, n)) }
	last := map[string]int{}
	remember := func(user string, ask bool) {
		n := last[user] + 1
		k := qrlogin.Known{Browser: key(user, n), Before: key(user, n-1), User: qrlogin.User{ID: user}, Label: "Chrome", Ask: ask, Seen: time.Now()}
		if err := b.Remember(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		last[user] = n
	}
	for range 3 * spareLines {
		remember("ada", true) // the same browser, again and again
	}
	for range maxBrowsers + 7 {
		last["bob"]++ // a new one each time
		remember("bob", false)
	}
	remember("eve", true)
	if err := b.forget("eve"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "browsers.log")
	text, err := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); err != nil || n > 2*(maxBrowsers+1)+spareLines+2 {
		t.Errorf("%d lines, %v", n, err)
	}
	// The machine stops in the middle of a line.
	if err := os.WriteFile(path, append(text, `{"browser":{"Bro`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openBrowsers(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, it := range map[string]*browsers{"before": b, "after a start": again} {
		if n := len(it.of("bob")); n != maxBrowsers || len(it.of("ada")) != 1 || len(it.of("eve")) != 0 {
			t.Errorf("%s: %d browsers of bob, %d of ada, %d of eve", name, n, len(it.of("ada")), len(it.of("eve")))
		}
		if newest := it.of("bob")[0]; !newest.Browser.Equal(key("bob", last["bob"])) {
			t.Errorf("%s: the newest is not first", name)
		}
		if k, ok, err := it.Asker(t.Context(), key("ada", last["ada"])); !ok || err != nil || k.User.ID != "ada" {
			t.Errorf("%s: ada's browser may not ask: %v", name, err)
		}
		for what, h := range map[string]qrlogin.Hash{"an old cookie": key("ada", 1), "one that may not": key("bob", last["bob"]), "one that was forgotten": key("eve", 1)} {
			if k, ok, _ := it.Asker(t.Context(), h); ok {
				t.Errorf("%s: %s asks %s", name, what, k.User.ID)
			}
		}
		if _, ok, _ := it.Known(t.Context(), "eve", key("bob", last["bob"])); ok {
			t.Errorf("%s: eve has bob's browser", name)
		}
		if len(it.owners) != it.live || it.live != maxBrowsers+1 {
			t.Errorf("%s: %d browsers, of %d owners", name, it.live, len(it.owners))
		}
	}
	if err := os.WriteFile(path, []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openBrowsers(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}
