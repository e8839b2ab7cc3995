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
		// All in one, for pages.
		{"fanfare.js", "global.ts", api.FormatIIFE},
		{"fanfare.mjs", "whole.ts", api.FormatESModule},
		// In parts, for bundlers.
		{"index.mjs", "index.ts", api.FormatESModule},
		{"stream.mjs", "stream.ts", api.FormatESModule},
		{"early.mjs", "early.ts", api.FormatESModule},
		{"history.mjs", "history.ts", api.FormatESModule},
		{"occupancy.mjs", "occupancy.ts", api.FormatESModule},
		{"presence.mjs", "presence.ts", api.FormatESModule},
		// For require.
		{"fanfare.cjs", "index.ts", api.FormatCommonJS},
		{"early.cjs", "early.ts", api.FormatCommonJS},
		{"history.cjs", "history.ts", api.FormatCommonJS},
		{"occupancy.cjs", "occupancy.ts", api.FormatCommonJS},
		{"presence.cjs", "presence.ts", api.FormatCommonJS},
	} {
		text, err := build(dir, f.entry, f.format, f.name == "index.mjs", false)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", f.name, err)
		}
		files = append(files, File{f.name, text})
	}
	return files, nil
}

// Minified builds one of the parts (index, stream, early, history, occupancy, presence) as an app's own
// bundler would make it small.
func Minified(dir, part string) ([]byte, error) {
	return build(dir, part+".ts", api.FormatESModule, true, true)
}

// MinifiedWhole builds the script for pages as small as it can be.
func MinifiedWhole(dir string) ([]byte, error) {
	return build(dir, "global.ts", api.FormatIIFE, false, true)
}

// apart leaves what is imported at run time in its own file.
func apart() api.Plugin {
	return api.Plugin{Name: "apart", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `\.ts$`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Kind != api.ResolveJSDynamicImport {
				return api.OnResolveResult{}, nil
			}
			return api.OnResolveResult{Path: strings.TrimSuffix(a.Path, ".ts") + ".mjs", External: true}, nil
		})
	}}
}

func build(dir, entry string, format api.Format, parts, minify bool) ([]byte, error) {
	version, err := packageVersion(dir)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var plugins []api.Plugin
	if parts {
		plugins = append(plugins, apart())
	}
	r := api.Build(api.BuildOptions{
		Plugins:           plugins,
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
