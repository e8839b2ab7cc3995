package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elements reads an SVG, which has to be well-formed, and returns what it has
// of a kind: each element's attributes.
func elements(t interface {
	Fatalf(string, ...any)
}, svg []byte, kind string) (list []map[string]string) {
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == kind {
			m := map[string]string{}
			for _, a := range e.Attr {
				m[a.Name.Local] = a.Value
			}
			list = append(list, m)
		}
	}
}

// TestLinesStayInside: whatever is drawn stays on the paper, each value where
// it belongs: more is higher.
func TestLinesStayInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &chart{title: "a <b> & c", x: "x", format: duration, limit: rapid.SampledFrom([]float64{0, 100_000}).Draw(t, "limit")}
		for range rapid.IntRange(1, 8).Draw(t, "lines") {
			s := series{name: rapid.StringMatching(`[a-z <&"]{0,9}`).Draw(t, "name")}
			for i := range rapid.IntRange(0, 6).Draw(t, "points") {
				s.points = append(s.points, place{float64(i) / 6, rapid.Float64Range(0, 1e9).Draw(t, "value")})
			}
			c.lines = append(c.lines, s)
		}
		circles := elements(t, c.svg(), "circle")
		n := 0
		for _, s := range c.lines {
			for i, p := range s.points {
				x, _ := strconv.ParseFloat(circles[n]["cx"], 64)
				y, _ := strconv.ParseFloat(circles[n]["cy"], 64)
				if x < plotLeft || x > plotRight || y < plotTop-1 || y > plotTop+plotHeight+1 || math.IsNaN(y) {
					t.Fatalf("%v is drawn at %v, %v", p, x, y)
				}
				if before := n - 1; i > 0 {
					was, _ := strconv.ParseFloat(circles[before]["cy"], 64)
					if p.value > s.points[i-1].value && y > was+0.1 {
						t.Fatalf("%v is drawn below %v", p, s.points[i-1])
					}
				}
				n++
			}
		}
		if n != len(circles) {
			t.Fatalf("%d points are drawn, want %d", len(circles), n)
		}
	})
}

func TestBars(t *testing.T) {
	c := &chart{title: "CPU", format: duration, bars: []bar{{"a", 10}, {"b", 20}, {"<none>", 0}, {"less", -5}}}
	svg := c.svg()
	rects := elements(t, svg, "rect")[1:] // the first is the paper
	a, _ := strconv.ParseFloat(rects[0]["width"], 64)
	b, _ := strconv.ParseFloat(rects[1]["width"], 64)
	if len(rects) != 4 || a*2 != b || rects[2]["width"] != "0.0" || rects[3]["width"] != "0.0" {
		t.Errorf("the bars are %v", rects)
	}
	for _, want := range []string{"<desc>a: 10.0 µs; b: 20.0 µs; &lt;none&gt;: 0.0 µs", "prefers-color-scheme:dark", `role="img"`} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("no %q in:\n%s", want, svg)
		}
	}
}

func TestFigureText(t *testing.T) {
	for _, c := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"B", 512, "512 B"}, {"B", 10_240, "10.0 KiB"}, {"B", 1.5 * (1 << 20), "1.5 MiB"}, {"B", 100 << 20, "100 MiB"}, {"B", 3 << 30, "3.00 GiB"}, {"B", -2048, "-2.0 KiB"},
		{"µs", 9.34, "9.3 µs"}, {"µs", 250, "250 µs"}, {"µs", 1500, "1.50 ms"}, {"µs", 25_000, "25.0 ms"}, {"µs", 2_500_000, "2.50 s"},
		{"/s", 146_700, "146,700/s"}, {"", 1_234_567, "1,234,567"}, {"", -1000, "-1,000"}, {"%", 62.5, "62.5 %"}, {"", 0.6, "0.60"}, {"s", 12.34, "12.3 s"},
	} {
		if got := (Figure{Value: c.value, Unit: c.unit}).text(); got != c.want {
			t.Errorf("%v %q is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
