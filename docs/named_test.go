package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTestsExist: each test that a document names is there, and the threat
// model leaves out no threat, no flaw, and nothing that must or should be.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	named := map[string]string{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	mentioned := regexp.MustCompile("`(Test[A-Z0-9]\\w+)`")
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		isTest, isDocument := strings.HasSuffix(path, "_test.go"), filepath.Ext(path) == ".md"
		if !isTest && !isDocument {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if isTest {
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				there[m[1]] = true
			}
			return nil
		}
		for _, m := range mentioned.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range named {
		if !there[name] {
			t.Errorf("%s names %s, which is not there", path, name)
		}
	}
	if len(named) < 60 {
		t.Errorf("only %d tests are named: this test does not see them", len(named))
	}
	text, err := os.ReadFile("qrlogin-threats.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 4 {
			rows[strings.TrimSpace(cells[1])] = line
		}
	}
	for _, kind := range []struct {
		format string
		n      int
	}{{"T-%02d", 18}, {"M%d", 18}, {"S%d", 12}} {
		for i := range kind.n {
			id := fmt.Sprintf(kind.format, i+1)
			if row := rows[id]; !mentioned.MatchString(row) && id != "S8" { // S8 says why there is none
				t.Errorf("the threat model has no test for %s: %q", id, row)
			}
		}
	}
}
