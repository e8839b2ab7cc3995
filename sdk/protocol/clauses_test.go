package protocol_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestClauses holds the document and the tests together: each numbered clause
// of PROTOCOL.md is claimed by a test somewhere in the repository, and no test
// claims a clause that is not there. A claim is a comment line of its own in a
// *_test.go file or in a file under sdk/js/test: two slashes, the word claims
// with a colon, and the clauses' numbers with spaces between.
func TestClauses(t *testing.T) {
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	clauses := map[string]string{} // number → how it begins
	var order []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*(\d+\.\d+)\*\* (.*)$`).FindAllStringSubmatch(string(doc), -1) {
		if clauses[m[1]] != "" {
			t.Errorf("PROTOCOL.md has clause %s twice", m[1])
		}
		clauses[m[1]] = m[2]
		order = append(order, m[1])
	}
	if len(order) < 50 {
		t.Fatalf("found %d clauses in PROTOCOL.md; its form has changed", len(order))
	}
	claimed := map[string]bool{}
	for where, numbers := range claims(t) {
		if len(numbers) == 0 {
			t.Errorf("%s: a claims line without clauses", where)
		}
		for _, n := range numbers {
			if _, ok := clauses[n]; !ok {
				t.Errorf("%s claims %q, which is no clause of PROTOCOL.md", where, n)
			}
			claimed[n] = true
		}
	}
	for _, n := range order {
		if !claimed[n] {
			t.Errorf("no test claims clause %s: %.80s…", n, clauses[n])
		}
	}
}

// claims finds the claims lines of the module: where each stands, and what it
// names.
func claims(t *testing.T) map[string][]string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above this folder")
		}
		root = filepath.Dir(root)
	}
	line := regexp.MustCompile(`(?m)^\s*(?://|\*)\s*claims:(.*)$`)
	found := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if !strings.HasSuffix(rel, "_test.go") && !strings.HasPrefix(rel, "sdk/js/test/") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range line.FindAllSubmatchIndex(src, -1) {
			where := rel + ":" + lineNumber(src, m[2])
			found[where] = slices.Collect(strings.FieldsSeq(strings.NewReplacer(",", " ", "*/", " ").Replace(string(src[m[2]:m[3]]))))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lineNumber is the line of src's byte at offset, from 1.
func lineNumber(src []byte, offset int) string {
	return strconv.Itoa(1 + bytes.Count(src[:offset], []byte("\n")))
}
