package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDistIsFresh builds the dashboard in memory and compares it with what is
// committed.
func TestDistIsFresh(t *testing.T) {
	want, err := bundle("../../src")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	entries, err := os.ReadDir("../../dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if got[e.Name()], err = os.ReadFile(filepath.Join("../../dist", e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name := range want {
		if diff := cmp.Diff(string(want[name]), string(got[name])); diff != "" {
			t.Errorf("dist/%s is not what src builds: run go generate ./dashboard (-src +dist):\n%.2000s", name, diff)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("dist/%s is built by nothing: remove it", name)
		}
	}
}

// TestBundleTellsWhereItFails shows that a fault in the source is an error
// with its place, and not an empty file.
func TestBundleTellsWhereItFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.ts"), []byte("let x = ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "style.css"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle(dir); err == nil || len(err.Error()) < len("main.ts:1") || err.Error()[:9] != "main.ts:1" {
		t.Fatalf("got %v; want an error that begins with main.ts:1", err)
	}
}
