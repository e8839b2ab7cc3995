package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

type codeRow struct {
	Code            protocol.Code
	Status, Close   int
	Message, Remedy string
}

func codeRows(t *testing.T) []codeRow {
	t.Helper()
	raw, err := os.ReadFile("codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []codeRow
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// The Go code, the document and the TypeScript type say what codes.json says.
//
// claims: 6.3
func TestCodesAgree(t *testing.T) {
	want := codeRows(t)

	var inGo []codeRow
	for _, c := range protocol.Codes() {
		info, ok := c.Info()
		if !ok {
			t.Errorf("%s is in Codes and has no Info", c)
		}
		inGo = append(inGo, codeRow{c, info.Status, info.Close, info.Message, info.Remedy})
	}
	if diff := cmp.Diff(want, inGo); diff != "" {
		t.Errorf("code_gen.go differs (run go generate): %s", diff)
	}

	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var inDoc []codeRow
	line := regexp.MustCompile("^\\| `([a-z_]+)` \\| (\\d+) \\| (\\d*) \\| (.*) \\| (.*) \\|$")
	_, table, _ := strings.Cut(string(doc), "<!-- codes: begin -->")
	for l := range strings.Lines(table) {
		m := line.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil {
			continue
		}
		status, _ := strconv.Atoi(m[2])
		cl, _ := strconv.Atoi(m[3])
		inDoc = append(inDoc, codeRow{protocol.Code(m[1]), status, cl, m[4], m[5]})
	}
	if diff := cmp.Diff(want, inDoc); diff != "" {
		t.Errorf("PROTOCOL.md differs (run go generate): %s", diff)
	}

	ts, err := os.ReadFile("../js/src/codes.gen.ts")
	if err != nil {
		t.Fatal(err)
	}
	_, union, _ := strings.Cut(string(ts), "export type ErrorCode =")
	var inTS, codes []string
	for _, m := range regexp.MustCompile(`\| "([^"]+)"`).FindAllStringSubmatch(union, -1) {
		inTS = append(inTS, m[1])
	}
	for _, r := range want {
		codes = append(codes, string(r.Code))
	}
	if diff := cmp.Diff(codes, inTS); diff != "" {
		t.Errorf("codes.gen.ts differs (run go generate): %s", diff)
	}
}

func TestCodesAreSound(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	codes, closes := map[protocol.Code]bool{}, map[int]protocol.Code{}
	for _, r := range codeRows(t) {
		if !name.MatchString(string(r.Code)) || codes[r.Code] {
			t.Errorf("%q is no code or is there twice", r.Code)
		}
		codes[r.Code] = true
		if r.Status < 400 || r.Status > 599 {
			t.Errorf("%s: HTTP status %d", r.Code, r.Status)
		}
		if !strings.HasSuffix(r.Message, ".") || !strings.HasSuffix(r.Remedy, ".") || strings.ContainsAny(r.Message+r.Remedy, "|\n") {
			t.Errorf("%s: message and remedy must be sentences that fit into a table", r.Code)
		}
		if r.Close == 0 {
			continue
		}
		if r.Close < 4000 || r.Close > 4499 {
			t.Errorf("%s: close code %d is outside 4000-4499", r.Code, r.Close)
		}
		if other, ok := closes[r.Close]; ok {
			t.Errorf("%s and %s share close code %d", r.Code, other, r.Close)
		}
		closes[r.Close] = r.Code
	}
}

func TestError(t *testing.T) {
	base := protocol.NewError(protocol.CodePublishRate)
	e := base.On("orders").At(3).After(2 * time.Second)
	want := &protocol.Error{
		Code: "publish_rate", Message: base.Message, Remedy: base.Remedy,
		Channel: "orders", Index: 3, RetryAfter: 2 * time.Second,
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	if base.Channel != "" || base.Index != -1 || base.RetryAfter != 0 {
		t.Errorf("On, At and After changed the error they were called on: %+v", base)
	}
	if e.Status() != 429 || e.CloseCode() != 4000 {
		t.Errorf("got status %d and close code %d, want 429 and that of internal", e.Status(), e.CloseCode())
	}
	wrapped := fmt.Errorf("publish: %w", e)
	if !errors.Is(wrapped, protocol.NewError(protocol.CodePublishRate)) || errors.Is(wrapped, protocol.NewError(protocol.CodeInternal)) {
		t.Error("errors.Is must compare codes")
	}
	if got := protocol.AsError(wrapped); got != e {
		t.Errorf("AsError found %v", got)
	}
}

// What is not in the table never leaves a server as it is.
func TestErrorOfUnknownThings(t *testing.T) {
	if got := protocol.AsError(errors.New("nats: secret detail")); got.Code != protocol.CodeInternal || strings.Contains(got.Error(), "secret") {
		t.Errorf("got %v", got)
	}
	if protocol.AsError(nil) != nil {
		t.Error("nil is no error")
	}
	if got := protocol.NewError("no_such_code"); got.Code != protocol.CodeInternal || got.Message == "" {
		t.Errorf("got %+v", got)
	}
	if _, ok := protocol.Code("no_such_code").Info(); ok {
		t.Error("an unknown code has an Info")
	}
}
