package js_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/js"
	"github.com/fanfarehq/fanfare/sdk/js/internal/bundle"
)

func TestDistIsFresh(t *testing.T) {
	files, err := bundle.Build(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join("dist", f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f.Text) {
			t.Errorf("dist/%s is not what src builds: run go generate ./sdk/js", f.Name)
		}
	}
}

func TestEmbedded(t *testing.T) {
	for _, name := range []string{"dist/fanfare.js", "dist/fanfare.mjs"} {
		text, err := js.Dist.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte("/*! @fanfarehq/client ")) || !bytes.Contains(text[:200], []byte("Apache-2.0")) {
			t.Errorf("%s does not begin with its licence", name)
		}
		if n := bytes.Count(text, []byte("\n")); n < 500 {
			t.Errorf("%s has %d lines: it is not readable", name, n)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		part   string
		budget int // bytes, gzip
	}{{"index", 6 << 10}, {"stream", 2816}, {"early", 700}, {"history", 600}, {"occupancy", 700}, {"presence", 1600}} {
		text, err := bundle.Minified(".", c.part)
		if err != nil {
			t.Fatal(err)
		}
		n := compressed(t, text)
		t.Logf("%s: minified %d bytes, gzip %d bytes", c.part, len(text), n)
		if n > c.budget {
			t.Errorf("%s has %d bytes gzipped; %d is the most", c.part, n, c.budget)
		}
	}
	text, err := bundle.MinifiedWhole(".")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("all in one: minified %d bytes, gzip %d bytes; readable, as served, gzip %d bytes", len(text), compressed(t, text), compressed(t, read(t, "dist/fanfare.js")))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func compressed(t *testing.T, text []byte) int {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

func TestPackage(t *testing.T) {
	text := read(t, "package.json")
	var p map[string]any
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p["dependencies"] != nil {
		t.Errorf("the client has dependencies: %v", p["dependencies"])
	}
	found := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if !strings.HasPrefix(v, "./") {
				return
			}
			found++
			if _, err := os.Stat(v); err != nil {
				t.Errorf("package.json names %s: %v", v, err)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	for _, member := range []string{"exports", "main", "module", "types", "unpkg", "jsdelivr"} {
		walk(p[member])
	}
	if found < 10 {
		t.Errorf("package.json names %d files; want 10 and more", found)
	}
}
