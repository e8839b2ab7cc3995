package broker_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The house has floors, and imports point downward only: never up, never
// across. ARCHITECTURE.md draws the same picture in words; a room that is not
// here yet gets its line in both.
//
// A room is a folder with everything beneath it, except where a deeper line
// names a room of its own.
func plan() []room {
	return []room{
		{"cmd/fanfare", 9},
		{"cmd/qrlogin", 9},
		{"cmd/fanfare/bench", 8},
		{"cmd/fanfare/qraudit", 8},
		{"docs", 9},
		{"broker/brokertest", 8},
		{"broker", 7},
		{"broker/door/ws", 6},
		{"broker/door/sse", 6},
		{"broker/door/pusher", 6},
		{"broker/door/goeasy", 6},
		{"broker/api", 5},
		{"broker/session", 5},
		{"broker/webhook", 5},
		{"broker/hub", 4},
		{"broker/tenant", 4},
		{"broker/ledger", 4},
		{"broker/bus", 3},
		{"broker/stats", 3},
		{"sdk/qrlogin/oidc", 3},
		{"sdk/qrlogin", 2},
		{"dashboard", 1},
		{"sdk/go", 1},
		{"sdk/js", 1},
		{"sdk/protocol", 0},
	}
}

// libraries says in which rooms a library from outside may be imported. Each
// big one has a single room, so that changing it touches a single folder. A
// library that is not here is not wanted yet: add it with its room, and say
// why in the commit. Test files are free.
func libraries() map[string][]string {
	return map[string][]string{
		"github.com/nats-io":              {"broker/bus"},
		"github.com/synadia-io":           {"broker/bus"},
		"github.com/gofrs/flock":          {"broker/bus"},
		"github.com/coder/websocket":      {"broker/door/ws"},
		"github.com/labstack/echo":        {"broker/api"},
		"github.com/danielgtaylor/huma":   {"broker/api"},
		"github.com/klauspost/compress":   {"broker/api"},
		"github.com/golang-jwt/jwt":       {"broker/tenant"},
		"github.com/MicahParks":           {"broker/tenant"},
		"github.com/prometheus":           {"broker/stats"},
		"github.com/alecthomas/kong":      {"cmd/fanfare"},
		"github.com/goccy/go-yaml":        {"cmd/fanfare"},
		"golang.org/x/sys":                {"cmd/fanfare/bench"},
		"github.com/go-jose":              {"sdk/qrlogin/oidc"},
		"rsc.io/qr":                       {"sdk/qrlogin"},
		"github.com/alexedwards/argon2id": {"cmd/qrlogin"},
		"github.com/mileusna/useragent":   {"cmd/qrlogin"},
		"github.com/go-webauthn":          {"cmd/qrlogin"},
		"github.com/phuslu/iploc":         {"cmd/qrlogin"},                                       // the country of an address, with its table
		"github.com/evanw/esbuild":        {"dashboard", "sdk/js", "sdk/qrlogin", "cmd/qrlogin"}, // build programs only; no binary links it
	}
}

// standardOnly are the rooms that import the standard library and, of this
// module, only what stands beside them: an app that uses an SDK must not
// inherit our dependencies.
func standardOnly() map[string][]string {
	return map[string][]string{
		"sdk/protocol": nil,
		"sdk/go":       {"sdk/protocol"},
		"sdk/js":       nil,
		"dashboard":    nil,
	}
}

// TestHouse holds the rules of the house against all of its source.
func TestHouse(t *testing.T) {
	h, err := readHouse(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.sources) < 10 {
		t.Fatalf("only %d Go files found: the walk does not reach the house", len(h.sources))
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.check(h) {
				t.Error(fault)
			}
		})
	}
}

// TestHouseRulesCanFail holds each rule against a small house that breaks it,
// and all rules against one that breaks none.
func TestHouseRulesCanFail(t *testing.T) {
	used := map[string]bool{}
	for _, ex := range badExamples() {
		used[ex.rule] = true
		t.Run(ex.rule+"/"+ex.want, func(t *testing.T) {
			files := fstest.MapFS{}
			for path, text := range ex.files {
				files[path] = &fstest.MapFile{Data: []byte(text)}
			}
			h, err := readHouse(files)
			if err != nil {
				t.Fatal(err)
			}
			faults := ruleNamed(t, ex.rule).check(h)
			if ex.want != "" && !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, ex.want) }) {
				t.Errorf("no fault says %q; got %q", ex.want, faults)
			}
			for _, f := range faults {
				if ex.not != "" && strings.Contains(f, ex.not) {
					t.Errorf("the fault %q is none", f)
				}
			}
		})
	}
	for _, r := range rules() {
		if !used[r.name] {
			t.Errorf("the rule %q has no bad example: nobody knows whether it can fail", r.name)
		}
	}
}

func TestHouseRulesLetGoodHousesBe(t *testing.T) {
	good := fstest.MapFS{
		"go.mod":               {Data: []byte("module m\n\ngo 1.26.0\n")},
		"sdk/protocol/p.go":    {Data: []byte("// Package protocol is words.\npackage protocol\n\nimport \"errors\"\n\n// ErrGone says so.\nvar ErrGone = errors.New(\"gone\")\n\n// Name is a name.\ntype Name string\n")},
		"broker/bus/bus.go":    {Data: []byte("// Package bus carries.\npackage bus\n\nimport (\n\t\"regexp\"\n\n\t\"github.com/nats-io/nats.go\"\n\t\"github.com/fanfarehq/fanfare/sdk/protocol\"\n)\n\nvar word = regexp.MustCompile(\"a\")\n\nvar _ interface{ A() } = (*Bus)(nil)\n\n// Bus is a bus.\ntype Bus struct{ c *nats.Conn; n protocol.Name }\n\n// A does.\nfunc (*Bus) A() {}\n")},
		"broker/hub/h_test.go": {Data: []byte("package hub_test\n\nimport (\n\t\"testing\"\n\t\"testing/synctest\"\n\t\"time\"\n\n\t\"github.com/coder/websocket\"\n)\n\nfunc TestA(t *testing.T) { _ = websocket.Accept; synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }\n")},
		"bench/go.mod":         {Data: []byte("module m/bench\n\nreplace m => ../\n")},
		"bench/main.go":        {Data: []byte("package main\n\nimport _ \"example.org/peer\"\n")},
		"cmd/fanfare/main.go":  {Data: []byte("// Command fanfare is the binary.\npackage main\n\nimport \"os\"\n\nfunc main() { os.Exit(1) }\n")},
	}
	h, err := readHouse(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		for _, fault := range r.check(h) {
			t.Errorf("%s: %s", r.name, fault)
		}
	}
}

func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	for _, r := range rules() {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("there is no rule %q", name)
	return rule{}
}

// badExample is a small house, the rule that it breaks, a part of the fault
// that the rule must find in it, and a part that no fault may have.
type badExample struct {
	rule  string
	files map[string]string
	want  string
	not   string
}

func badExamples() []badExample {
	const mod = `"github.com/fanfarehq/fanfare/`
	one := func(path, text string) map[string]string { return map[string]string{path: text} }
	return []badExample{
		{"floors", one("broker/bus/a.go", "package bus\nimport _ "+mod+"broker/hub\"\n"), "broker/bus (floor 3) imports broker/hub (floor 4)", ""},
		{"floors", one("broker/hub/a.go", "package hub\nimport _ "+mod+"broker/tenant\"\n"), "across", ""},
		{"floors", one("sdk/qrlogin/a.go", "package qrlogin\nimport _ "+mod+"broker/bus\"\n"), "imports broker/bus", ""},
		{"floors", one("broker/attic/deep/a.go", "package deep\n"), "is in no room", ""},
		{"floors", one("shed/a.go", "package shed\n"), "is in no room", ""},
		{"floors", one("broker/hub/a_test.go", "package hub_test\nimport _ "+mod+"broker/brokertest\"\n"), "", "brokertest"},
		{"libraries", one("broker/hub/a.go", "package hub\nimport _ \"github.com/nats-io/nats.go\"\n"), "only in broker/bus", ""},
		{"libraries", one("broker/hub/a.go", "package hub\nimport _ \"example.org/new\"\n"), "is on no list", ""},
		{"libraries", one("broker/api/a.go", "package api\nimport _ \"github.com/labstack/echo/v4\"\nimport _ \"github.com/labstack/echonomy\"\n"), "echonomy is on no list", "echo/v4"},
		{"standard library", one("sdk/go/a.go", "package fanfare\nimport _ \"github.com/nats-io/nats.go\"\n"), "sdk/go", ""},
		{"standard library", one("sdk/go/a.go", "package fanfare\nimport _ "+mod+"sdk/js\"\n"), "sdk/js", ""},
		{"no init", one("broker/hub/a.go", "package hub\nfunc init() {}\n"), "init", ""},
		{"no globals", one("broker/hub/a.go", "package hub\nvar cache = map[string]int{}\nvar errX = errors.New(``)\n"), "cache", "errX"},
		{"no globals", one("broker/hub/a.go", "package hub\nvar errors_ error\nvar n int\n"), "variable n", ""},
		{"only cmd ends", one("broker/hub/a.go", "package hub\nimport \"os\"\nfunc f() { os.Exit(1) }\n"), "os.Exit", ""},
		{"only cmd ends", one("broker/hub/a.go", "package hub\nimport \"log\"\nfunc f() { log.Fatalf(``) }\n"), "log.Fatalf", ""},
		{"narrow interfaces", one("broker/hub/a.go", "package hub\ntype a interface { A(); B(); C() }\ntype Wide interface { a; D(); E(); F() }\n"), "Wide has 6 methods", "a has"},
		{"package comments", one("broker/hub/a.go", "package hub\n"), "Package hub", ""},
		{"package comments", one("cmd/fanfare/a.go", "// Package main is it.\npackage main\n"), "Command fanfare", ""},
		{"exported comments", one("broker/hub/a.go", "package hub\ntype Hub struct{}\nfunc (h *Hub) Run() {}\nfunc New() {}\n"), "type Hub", ""},
		{"exported comments", one("broker/hub/a.go", "package hub\ntype hub struct{}\nfunc (h *hub) Run() {}\nfunc New() {}\n"), "New", "Run"},
		{"honest tests", one("broker/hub/a_test.go", "package hub\nfunc TestA(t *testing.T) { t.Skip() }\n"), "t.Skip", ""},
		{"honest tests", one("broker/hub/a_test.go", "package hub\nfunc TestA(t *testing.T) { time.Sleep(1) }\n"), "time.Sleep", ""},
		{"honest tests", one("broker/hub/a_test.go", "package hub\nfunc in(f func()) { synctest.Test(nil, f) }\nfunc TestA() { in(func() { time.Sleep(1) }) }\n"), "", "time.Sleep"},
		{"sizes", one("broker/hub/a.go", "package hub\n"+strings.Repeat("\n", 450)), "451 lines", ""},
		{"sizes", one("broker/hub/a.go", "package hub\nfunc f() {\n"+strings.Repeat("\n", 99)+"}\n"), "f has 101 lines", ""},
		{"sizes", one("dashboard/src/a.ts", strings.Repeat("\n", 451)), "451 lines", ""},
		{"package names", one("broker/util/a.go", "package util\n"), "util", ""},
		{"no replace", one("go.mod", "module m\n\nreplace a => b\n"), "replace", ""},
		{"no replace", one("go.mod", "module m\n\nreplace (\n\ta => b\n)\n"), "replace", ""},
	}
}
