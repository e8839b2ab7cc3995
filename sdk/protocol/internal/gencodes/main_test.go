package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// What go generate would write is what is committed.
func TestGeneratedFilesAreFresh(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var rows []row
	if err := json.Unmarshal(read("../../codes.json"), &rows); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read("../../code_gen.go"), goTable(rows)) {
		t.Error("code_gen.go is stale: run go generate ./sdk/protocol")
	}
	if !bytes.Equal(read("../../../js/src/codes.gen.ts"), tsTable(rows)) {
		t.Error("sdk/js/src/codes.gen.ts is stale: run go generate ./sdk/protocol")
	}
	_, rest, _ := strings.Cut(string(read("../../PROTOCOL.md")), "<!-- codes: begin -->\n")
	table, _, ok := strings.Cut(rest, "<!-- codes: end -->")
	if !ok || table != mdTable(rows) {
		t.Error("the table in PROTOCOL.md is stale: run go generate ./sdk/protocol")
	}
}
