// Command build writes dist from src. Run it by `go generate` in sdk/js; the
// type declarations are made by `npm run types`.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fanfarehq/fanfare/sdk/js/internal/bundle"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := bundle.Build(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, "dist", f.Name), f.Text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
