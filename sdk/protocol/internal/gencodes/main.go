// Command gencodes writes the table of codes (codes.json) out as Go, as a
// TypeScript type and as the table in PROTOCOL.md. Run it by go generate in
// sdk/protocol.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"log"
	"os"
	"strings"
)

type row struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Close   int    `json:"close"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

func main() {
	raw, err := os.ReadFile("codes.json")
	if err != nil {
		log.Fatal(err)
	}
	var rows []row
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		log.Fatalf("codes.json: %v", err)
	}
	write("code_gen.go", goTable(rows))
	write("../js/src/codes.gen.ts", tsTable(rows))
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		log.Fatal(err)
	}
	const begin, end = "<!-- codes: begin -->\n", "<!-- codes: end -->"
	head, rest, ok1 := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		log.Fatal("PROTOCOL.md has no codes markers")
	}
	write("PROTOCOL.md", []byte(head+begin+mdTable(rows)+end+tail))
}

func write(name string, b []byte) {
	if err := os.WriteFile(name, b, 0o644); err != nil {
		log.Fatal(err)
	}
}

func goTable(rows []row) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated from codes.json by gencodes; DO NOT EDIT.\n\npackage protocol\n\n// The codes. See PROTOCOL.md, section 10.\nconst (\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "\tCode%s Code = %q\n", camel(r.Code), r.Code)
	}
	b.WriteString(")\n\n// Codes lists every code in the order of codes.json.\nfunc Codes() []Code {\n\treturn []Code{\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "\t\tCode%s,\n", camel(r.Code))
	}
	b.WriteString("\t}\n}\n\n// Info is the row of c in the table; false for a code that is not in it.\nfunc (c Code) Info() (Info, bool) {\n\tswitch c {\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "\tcase Code%s:\n\t\treturn Info{Status: %d, Close: %d, Message: %q, Remedy: %q}, true\n", camel(r.Code), r.Status, r.Close, r.Message, r.Remedy)
	}
	b.WriteString("\t}\n\treturn Info{}, false\n}\n")
	out, err := format.Source(b.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	return out
}

func tsTable(rows []row) []byte {
	var b bytes.Buffer
	b.WriteString("// Generated from sdk/protocol/codes.json by gencodes; do not edit.\n\n/** Every code a server may send. The remedy comes with the error itself. */\nexport type ErrorCode =\n")
	for i, r := range rows {
		end := "\n"
		if i == len(rows)-1 {
			end = ";\n"
		}
		fmt.Fprintf(&b, "  | %q%s", r.Code, end)
	}
	return b.Bytes()
}

func mdTable(rows []row) string {
	var b strings.Builder
	b.WriteString("| code | HTTP | close | message | remedy |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		cl := ""
		if r.Close != 0 {
			cl = fmt.Sprint(r.Close)
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s |\n", r.Code, r.Status, cl, r.Message, r.Remedy)
	}
	return b.String()
}

func camel(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "_") {
		switch part {
		case "json", "id", "url":
			b.WriteString(strings.ToUpper(part))
		default:
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
