package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// pastOf is what history shows as JSON: the data, and where each is.
func pastOf(t *testing.T, out string) (data []string, at []protocol.Position) {
	t.Helper()
	for line := range strings.Lines(out) {
		var m protocol.Message
		fromJSON(t, line, &m)
		data, at = append(data, string(m.Data)), append(at, m.Position)
	}
	return data, at
}

// claims: 9.12
func TestHistory(t *testing.T) {
	s := serve(t)
	s.ok(t, "app", "update", "demo", "--rules", `[{"namespace":"log","history":{"messages":1000,"age":60}},{"namespace":"tmp","ephemeral":true}]`)
	if out := s.ok(t, "app", "show", "demo"); !strings.Contains(out, `{"namespace":"log","history":{"messages":1000,"age":60}}`) {
		t.Errorf("the app is shown as\n%s", out)
	}
	if out := s.ok(t, "history", "log:1"); out != "" {
		t.Errorf("nothing was published, and history shows %s", out)
	}
	var lines strings.Builder
	for i := range 250 { // more than two requests bring
		fmt.Fprintln(&lines, i)
	}
	s.stdin = strings.NewReader(lines.String())
	s.ok(t, "pub", "log:1", "-")
	s.stdin = nil
	all, at := pastOf(t, s.ok(t, "history", "log:1", "--limit", "1000", "--json"))
	if strings.Join(all, "\n")+"\n" != lines.String() {
		t.Fatalf("of 250 messages there are %d: %q", len(all), all)
	}
	if data, _ := pastOf(t, s.ok(t, "history", "log:1", "--json")); len(data) != 100 || data[0] != "150" || data[99] != "249" {
		t.Errorf("the default shows %d messages, %q", len(data), data)
	}
	if data, _ := pastOf(t, s.ok(t, "history", "log:1", "--json", "--after", string(at[39]))); len(data) != 100 || data[0] != "40" {
		t.Errorf("after the fortieth there are %d messages, %q", len(data), data)
	}
	r := s.run(t, "history", "log:1", "--json", "--after", string(at[39]), "--limit", "150")
	if data, _ := pastOf(t, r.out); len(data) != 150 || data[149] != "189" || !strings.Contains(r.stderr, "there is more: --after "+string(at[189])) {
		t.Errorf("%d messages, and stderr says %q", len(data), r.stderr)
	}
	if r = s.run(t, "history", "log:1", "--after", string(at[247])); r.stderr != "" || strings.Count(r.out, "\n") != 2 {
		t.Errorf("the end shows %q, and stderr says %q", r.out, r.stderr)
	}
	r = s.run(t, "history", "log:1", "--after", "anotherlife:1")
	if r.status != 0 || !strings.Contains(r.stderr, "are missing: the position is of another life") {
		t.Errorf("a position of another life: %+v", r)
	}
	s.ok(t, "pub", "tmp:1", "1")
	if r = s.run(t, "history", "tmp:1"); r.out != "" || !strings.Contains(r.stderr, "keeps nothing") {
		t.Errorf("an ephemeral channel: %+v", r)
	}
	s.fails(t, 2, "--limit", "history", "log:1", "--limit", "0")
	s.fails(t, 1, "[position_invalid]", "history", "log:1", "--after", "x")
	s.fails(t, 1, "[channel_invalid]", "history", "")
}

// TestHistoryShowsPeople: one line a message, and nothing in it steers the
// terminal.
func TestHistoryShowsPeople(t *testing.T) {
	s := serve(t)
	s.ok(t, "pub", "a", "\u202eevil\u009b", "--event", "greet", "--id", "one")
	if said := s.ok(t, "pub", "a", "again", "--id", "one"); !strings.HasPrefix(said, "published before, and not again, one to a at ") {
		t.Errorf("a duplicate is told as %q", said)
	}
	out := s.ok(t, "history", "a")
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  \S+:\d+  greet  "\\u202eevil\\u009b"\n$`).MatchString(out) {
		t.Errorf("the line is %q", out)
	}
}
