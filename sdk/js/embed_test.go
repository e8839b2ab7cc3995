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

const budget = 6 << 10 // bytes, gzip

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
	small, err := bundle.Minified(".")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(small); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("minified: %d bytes, gzip: %d bytes", len(small), b.Len())
	if b.Len() > budget {
		t.Errorf("the client has %d bytes gzipped; %d is the most", b.Len(), budget)
	}
}

func TestPackage(t *testing.T) {
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
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
