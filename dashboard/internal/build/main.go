// Command build bundles the dashboard's source (src) into dist: TypeScript and
// CSS by esbuild, the rest as it is. The result is readable and its names
// never change, so that a diff of dist shows what changed. Run it by go
// generate in dashboard.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	files, err := bundle("src")
	if err != nil {
		log.Fatal(err)
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join("dist", name), body, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// bundle builds the source in dir, in memory: file name to content. The same
// source always gives the same bytes.
func bundle(dir string) (map[string][]byte, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:       root,
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: "main.ts", OutputPath: "app"}, {InputPath: "style.css", OutputPath: "app"}},
		Outdir:              "out",
		Bundle:              true,
		Format:              api.FormatESModule,
		Target:              api.ES2022,
		Charset:             api.CharsetUTF8,
		LegalComments:       api.LegalCommentsInline,
		// light-dark() and color-mix() are to reach browsers as they are.
		Supported: map[string]bool{"nesting": true},
		LogLevel:  api.LogLevelSilent,
	})
	var faults []error
	for _, m := range append(result.Errors, result.Warnings...) {
		if m.Location == nil {
			faults = append(faults, errors.New(m.Text))
			continue
		}
		faults = append(faults, fmt.Errorf("%s:%d: %s", m.Location.File, m.Location.Line, m.Text))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	files := map[string][]byte{}
	for _, out := range result.OutputFiles {
		files[filepath.Base(out.Path)] = out.Contents
	}
	for _, name := range []string{"index.html", "icon.svg"} {
		if files[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}
