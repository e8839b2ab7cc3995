package bench_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
)

// TestPlot draws what a run reports, alone and beside others.
func TestPlot(t *testing.T) {
	t.Parallel()
	url := startPeer(t, "plain", nil)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string]string{
		"a": "fanout --subscribers 3 --rate 200 --duration 50ms --warm 1ms",
		"l": "fanout --ladder --steps 2 --within 1m --subscribers 3 --rate 200 --duration 50ms --warm 1ms",
	} {
		sh := &shell{}
		if err := sh.run(t.Context(), append(strings.Fields(args), append(wireArgs("plain", url), "--json", "--svg", file(name+".svg"))...)...); err != nil {
			t.Fatalf("%v: %s", err, sh.out.String())
		}
		if err := os.WriteFile(file(name+".json"), sh.out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if svg := read(t, file(name+".svg")); !strings.Contains(svg, "<title>fan-out: ") || !strings.Contains(svg, "<circle") {
			t.Errorf("%s: the plot is %s", name, svg)
		}
	}
	a, l := file("a.json"), file("l.json")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"mine=" + a, a}, []string{">mine<", ">p99.9<", "Latency by share"}},
		{[]string{l, "other=" + l, "--title", "A & B"}, []string{">other<", "deliveries a second", "A &amp; B", `class="limit"`}},
		{[]string{"x=" + a, "--figure", "delivered_per_second"}, []string{">x<", "/s</text>"}},
		{[]string{"x=" + l, "--figure", "held_per_second"}, []string{">400/s</text>"}},
	} {
		if err := (&shell{}).run(t.Context(), append([]string{"plot", "--svg", file("p.svg")}, c.args...)...); err != nil {
			t.Errorf("plot %v: %v", c.args, err)
			continue
		}
		svg := read(t, file("p.svg"))
		for _, want := range c.want {
			if !strings.Contains(svg, want) {
				t.Errorf("plot %v: no %q in:\n%s", c.args, want, svg)
			}
		}
	}
	if err := os.WriteFile(file("bad.json"), []byte(`{"x":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{file("none.json"), "is no report"},
		{file("bad.json"), "is no report"},
		{a + " --figure nonsense", `no figure "nonsense"`},
	} {
		err := (&shell{}).run(t.Context(), append([]string{"plot", "--svg", file("p.svg")}, strings.Fields(c.args)...)...)
		if f, ok := errors.AsType[*bench.Failure](err); !ok || !f.Usage || f.Remedy == "" || !strings.Contains(f.Message, c.want) {
			t.Errorf("plot %s: %v, want %q", c.args, err, c.want)
		}
	}
	err := (&shell{}).run(t.Context(), "plot", a, "--svg", file("no/folder.svg"))
	if f, ok := errors.AsType[*bench.Failure](err); !ok || !strings.Contains(f.Message, "--svg") {
		t.Errorf("a file that cannot be written: %v", err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
