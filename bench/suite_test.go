package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filled is a suite of two tests with figures.
func filled() *suite {
	return &suite{tests: []*test{
		{name: "cpu", title: "CPU", unit: "µs", servers: []server{ours(), theirs(), nchan()}, failed: map[string]string{"nchan": "2 of 9 messages are missing"},
			got:    map[string][]float64{plain: {9, 8, 10}, "centrifuge": {16, 15, 15.5}},
			claims: []claim{{plain, "centrifuge", 0.65}, {plain, "nchan", 1.05}, {plain, "", 5}}},
		{name: "rate", title: "rate", unit: "/s", more: true, servers: []server{ours(), theirs()},
			got:    map[string][]float64{plain: {160_000}, "centrifuge": {80_000, 100_000}},
			claims: []claim{{plain, "centrifuge", 1.6}, {plain, plain + "@cpu", 1}, {plain, "", 100_000}}},
	}}
}

func TestMarkdown(t *testing.T) {
	text := filled().markdown(machine{date: "2026-01-02", peers: "p"})
	for _, want := range []string{
		"Taken on 2026-01-02",
		"| CPU | 9.0 µs | 15.5 µs | 0.58 | ≤ 0.65 × centrifuge | reached |",
		"| CPU | 9.0 µs (8.0–10.0) | failed: 2 of 9 messages are missing | | ≤ 1.05 × nchan | not measured |",
		"| CPU | 9.0 µs |  |  | ≤ 5.0 µs | missed |",
		"| rate | 160,000/s | 90,000/s | 1.78 | ≥ 1.60 × centrifuge | reached |",
		"| rate | 160,000/s |  |  | ≥ 100,000/s | reached |",
		"| | fanfare, ephemeral | centrifuge | nchan |",
		"| rate | 160,000/s | 90,000/s (80,000–100,000) |  |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestChoose(t *testing.T) {
	s := newSuite(false)
	if err := s.choose("cpu,batch", []string{"nchan", "floor"}); err != nil {
		t.Fatal(err)
	}
	if len(s.tests) != 2 || len(s.tests[0].servers) != 4 {
		t.Errorf("%d tests, the first of %d servers", len(s.tests), len(s.tests[0].servers))
	}
	if text := s.markdown(machine{}); strings.Contains(text, "nchan |") && strings.Contains(text, "1.05 × nchan") {
		t.Errorf("what was left out is claimed:\n%s", text)
	}
	if err := newSuite(true).choose("nonsense", nil); err == nil {
		t.Error("no error for a measurement that is not there")
	}
}

// TestHalf: the rate is half of what centrifuge held.
func TestHalf(t *testing.T) {
	s := newSuite(false)
	for _, x := range s.tests {
		if x.name == "rate1000" {
			x.got["centrifuge"] = []float64{60_000, 90_000, 80_000}
		}
	}
	for _, x := range s.tests {
		if x.half == "" {
			continue
		}
		args, err := s.argsOf(x)
		if err != nil || !strings.HasSuffix(strings.Join(args, " "), "--rate 40.0") || !strings.HasSuffix(x.title, ", 40/s") {
			t.Errorf("%v, %q, %v", args, x.title, err)
		}
	}
}

func TestReplaceSection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.md")
	if err := os.WriteFile(file, []byte("# A\n"+sectionBegin+"old"+sectionEnd+"\nend\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := replaceSection(file, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if want := "# A\n" + sectionBegin + "\nnew\n\n" + sectionEnd + "\nend\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.WriteFile(file, []byte("# A\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if replaceSection(file, "new") == nil {
		t.Error("no error for a file without the marks")
	}
}

// TestDocsHaveTheSection: the page that a whole run writes can be written.
func TestDocsHaveTheSection(t *testing.T) {
	text, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil || !strings.Contains(string(text), sectionBegin) || !strings.Contains(string(text), sectionEnd) {
		t.Errorf("docs/benchmarks.md has no section to write, %v", err)
	}
}
