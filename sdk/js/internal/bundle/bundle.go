// Package bundle builds the JavaScript SDK with esbuild: the same bytes for
// the same sources, on every machine, without Node. It keeps no state; its
// functions may be called concurrently.
package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// File is one built file.
type File struct {
	Name string // fanfare.mjs
	Text []byte
}

// Build builds the SDK in folder dir (the one with package.json and src) and
// returns the files of its dist, readable, in a fixed order.
func Build(dir string) ([]File, error) {
	var files []File
	for _, f := range []struct {
		name, entry string
		format      api.Format
	}{
		{"fanfare.js", "global.ts", api.FormatIIFE},
		{"fanfare.mjs", "index.ts", api.FormatESModule},
		{"fanfare.cjs", "index.ts", api.FormatCommonJS},
	} {
		text, err := build(dir, f.entry, f.format, false)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", f.name, err)
		}
		files = append(files, File{f.name, text})
	}
	return files, nil
}

// Minified builds the ES module as an app's own bundler would make it small.
func Minified(dir string) ([]byte, error) {
	return build(dir, "index.ts", api.FormatESModule, true)
}

func build(dir, entry string, format api.Format, minify bool) ([]byte, error) {
	version, err := packageVersion(dir)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := api.Build(api.BuildOptions{
		AbsWorkingDir:     root,
		EntryPoints:       []string{filepath.Join("src", entry)},
		Bundle:            true,
		Format:            format,
		Charset:           api.CharsetUTF8,
		Define:            map[string]string{"VERSION": fmt.Sprintf("%q", version)},
		Banner:            map[string]string{"js": "/*! @fanfarehq/client " + version + " | Apache-2.0 | https://github.com/fanfarehq/fanfare */"},
		MinifyWhitespace:  minify,
		MinifySyntax:      minify,
		MinifyIdentifiers: minify,
		Tsconfig:          filepath.Join(root, "tsconfig.json"),
		// The first with private methods and sound optional chaining, which all of this is written with.
		Engines: []api.Engine{
			{Name: api.EngineChrome, Version: "91"},
			{Name: api.EngineFirefox, Version: "90"},
			{Name: api.EngineSafari, Version: "15"},
			{Name: api.EngineNode, Version: "18"},
		},
	})
	var errs []error
	for _, m := range append(r.Errors, r.Warnings...) {
		errs = append(errs, errors.New(strings.TrimSpace(m.Text)))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r.OutputFiles[0].Contents, nil
}

func packageVersion(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return "", fmt.Errorf("package.json: %w", err)
	}
	return p.Version, nil
}
