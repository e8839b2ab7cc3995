package qrlogin_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// TestElementIsSmall bundles <fanfare-qr-login> with all that it imports, as an
// app's own bundler would.
func TestElementIsSmall(t *testing.T) {
	g := newRig(t)
	english := g.client().want(200, "GET", "/qr/assets/lang/en.js", nil).Body.String()
	var texts struct {
		El map[string]string `json:"el"`
	}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimPrefix(english, "export default "), ";\n")), &texts); err != nil {
		t.Fatal(err)
	}
	only, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	contents := "export default " + string(only)
	r := api.Build(api.BuildOptions{
		EntryPoints: []string{"ui/fanfare-qr-login.js"}, Bundle: true, Format: api.FormatESModule, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		Plugins: []api.Plugin{{Name: "lang", Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: `lang/en\.js$`}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: "en", Namespace: "lang"}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: "lang"}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
				return api.OnLoadResult{Contents: &contents}, nil
			})
		}}},
	})
	if len(r.Errors) > 0 || len(r.OutputFiles) != 1 {
		t.Fatalf("%v", r.Errors)
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if _, err := w.Write(r.OutputFiles[0].Contents); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d gzip", len(r.OutputFiles[0].Contents), z.Len())
	if z.Len() >= 10_000 {
		t.Errorf("<fanfare-qr-login> is %d bytes, gzip: less than 10,000 is promised", z.Len())
	}
	if regexp.MustCompile(`from\s*"[^."]`).Match(r.OutputFiles[0].Contents) {
		t.Error("it imports something from outside")
	}
}

// TestLanguagesAreWhole: each has all texts of English, with the same places.
func TestLanguagesAreWhole(t *testing.T) {
	files, err := filepath.Glob("ui/lang/*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("%v, %v", files, err)
	}
	read := func(path string) (m map[string]string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return m
	}
	place := regexp.MustCompile(`\{\w+\}`)
	places := func(s string) []string { found := place.FindAllString(s, -1); slices.Sort(found); return found }
	english := read("ui/lang/en.json")
	for _, path := range files {
		other := read(path)
		for key, text := range english {
			if other[key] == "" || !slices.Equal(places(other[key]), places(text)) {
				t.Errorf("%s: %s is %q, in English %q", path, key, other[key], text)
			}
		}
		if len(other) != len(english) {
			t.Errorf("%s has %d texts, English %d", path, len(other), len(english))
		}
		if rtl := other["dir"] == "rtl"; rtl != strings.HasSuffix(path, "ar.json") {
			t.Errorf("%s runs %s", path, other["dir"])
		}
	}
	// All that the scripts and pages ask for is there.
	asked := regexp.MustCompile(`\{\{-? ?(?:if )?t "([a-z]+\.[a-z_0-9]+)"|(?:text|#face\.text)\("([a-z_0-9]+)"`)
	sources, err := filepath.Glob("ui/*.*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		group := "el."
		if strings.HasSuffix(path, "phone.js") {
			group = "ph."
		}
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			key := m[1]
			if key == "" {
				key = group + m[2]
			}
			if n++; english[key] == "" {
				t.Errorf("%s asks for %s, which is not there", path, key)
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d texts are asked for: this test does not see them", n)
	}
}

func TestLanguageOfPages(t *testing.T) {
	g := newRig(t)
	for header, want := range map[string]string{
		"": "en", "de-CH,de;q=0.9,en;q=0.8": "de", "pt,es;q=0.5,fr;q=0.7": "fr", "ar": "ar", "zh-Hant-TW": "zh", "tlh": "en", "es;q=0,en": "en", "de;q=x": "en",
	} {
		c := g.client()
		c.header.Set("Accept-Language", header)
		html := c.want(200, "GET", "/qr/login", nil).Body.String()
		if !strings.Contains(html, `<html lang="`+want+`"`) || strings.Contains(html, `dir="rtl"`) != (want == "ar") {
			t.Errorf("%q: %.80s", header, html)
		}
	}
}
