package bench

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// chart is a plot as SVG: lines over an axis, or bars. It is readable on light
// and on dark paper, and tells its figures to screen readers.
type chart struct {
	title  string
	x      string   // what the horizontal axis is, for lines
	ticks  []tick   // of the horizontal axis, for lines
	lines  []series // values are microseconds, on a logarithmic axis
	limit  float64  // a line across at this value; 0: none
	bars   []bar    // instead of lines
	format func(float64) string
}

// series is a line: points by place on the horizontal axis, 0 to 1.
type series struct {
	name   string
	points []place
}

type place struct{ x, value float64 }

type tick struct {
	x    float64
	text string
}

type bar struct {
	name  string
	value float64
}

// What the chart is drawn on, in pixels.
const (
	chartWidth = 720
	plotLeft   = 84
	plotRight  = 700
	plotTop    = 84
	plotHeight = 260
	barHeight  = 34
	barLeft    = 190
	colours    = 6
)

// chartStyle has each colour twice: with enough contrast on white, and on
// almost black.
const chartStyle = `
svg{font:13px system-ui,sans-serif}.paper{fill:#fff}text{fill:#333}.title{font-size:16px;font-weight:600}.grid{stroke:#ddd}.limit{stroke:#c8283c;stroke-dasharray:5 4}
.s0{--c:#2f5fd0}.s1{--c:#c2600a}.s2{--c:#1f8a5b}.s3{--c:#8a45c9}.s4{--c:#b0264f}.s5{--c:#5f6b76}
.line{fill:none;stroke:var(--c);stroke-width:2.5}.mark{fill:var(--c)}
@media (prefers-color-scheme:dark){.paper{fill:#15181c}text{fill:#d5d9de}.grid{stroke:#363b42}.limit{stroke:#ff7d8a}
.s0{--c:#7ea6ff}.s1{--c:#ffa657}.s2{--c:#5fd0a0}.s3{--c:#c79bff}.s4{--c:#ff8fae}.s5{--c:#a5b1bd}}
`

// svg draws the chart.
func (c *chart) svg() []byte {
	height := plotTop + plotHeight + 60
	if c.bars != nil {
		height = 56 + len(c.bars)*barHeight + 16
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n<style>%s</style>\n", html.EscapeString(c.title), html.EscapeString(c.describe()), chartStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n"+`<text class="title" x="16" y="30">%s</text>`+"\n", chartWidth, height, html.EscapeString(c.title))
	if c.bars != nil {
		c.drawBars(&b)
	} else {
		c.drawLines(&b)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// describe tells the figures in words.
func (c *chart) describe() string {
	var parts []string
	for _, v := range c.bars {
		parts = append(parts, v.name+": "+c.format(v.value))
	}
	for _, s := range c.lines {
		var points []string
		for i, p := range s.points {
			at := fmt.Sprint(i + 1)
			for _, t := range c.ticks {
				if t.x == p.x {
					at = t.text
				}
			}
			points = append(points, at+" "+c.format(p.value))
		}
		parts = append(parts, s.name+": "+strings.Join(points, ", "))
	}
	return strings.Join(parts, "; ")
}

func (c *chart) drawBars(b *bytes.Buffer) {
	most := 0.0
	for _, v := range c.bars {
		most = max(most, v.value)
	}
	const room = plotRight - barLeft - 90
	for i, v := range c.bars {
		y := 56 + i*barHeight
		width := 0.0
		if most > 0 {
			width = max(0, v.value/most*room)
		}
		fmt.Fprintf(b, `<g class="s%d"><text x="%d" y="%d" text-anchor="end">%s</text>`, i%colours, barLeft-10, y+18, html.EscapeString(v.name))
		fmt.Fprintf(b, `<rect class="mark" x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text x="%.1f" y="%d">%s</text></g>`+"\n",
			barLeft, y, width, barHeight-10, barLeft+width+8, y+18, html.EscapeString(c.format(v.value)))
	}
}

// span is the powers of ten around all values.
func (c *chart) span() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	see := func(v float64) {
		low, high = min(low, math.Floor(math.Log10(max(v, 1)))), max(high, math.Ceil(math.Log10(max(v, 1))))
	}
	for _, s := range c.lines {
		for _, p := range s.points {
			see(p.value)
		}
	}
	if c.limit > 0 {
		see(c.limit)
	}
	if math.IsInf(low, 0) {
		return 0, 1
	}
	return low, max(high, low+1)
}

func (c *chart) drawLines(b *bytes.Buffer) {
	low, high := c.span()
	x := func(at float64) float64 { return plotLeft + at*(plotRight-plotLeft-10) }
	y := func(v float64) float64 {
		return plotTop + plotHeight*(1-(math.Log10(max(v, 1))-low)/(high-low))
	}
	for d := low; d <= high; d++ {
		v := math.Pow(10, d)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, plotRight, y(v), y(v), plotLeft-8, y(v)+4, html.EscapeString(c.format(v)))
	}
	for _, t := range c.ticks {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(t.x), plotTop+plotHeight+20, html.EscapeString(t.text))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotRight)/2, plotTop+plotHeight+44, html.EscapeString(c.x))
	if c.limit > 0 {
		fmt.Fprintf(b, `<line class="limit" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", plotLeft, plotRight, y(c.limit), y(c.limit))
	}
	legend := 16.0
	for i, s := range c.lines {
		fmt.Fprintf(b, `<g class="s%d"><rect class="mark" x="%.0f" y="46" width="14" height="10" rx="2"/><text x="%.0f" y="56">%s</text>`, i%colours, legend, legend+20, html.EscapeString(s.name))
		legend += 44 + 7.5*float64(len([]rune(s.name)))
		var points []string
		for _, p := range s.points {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(p.x), y(p.value)))
		}
		fmt.Fprintf(b, `<polyline class="line" points="%s"/>`, strings.Join(points, " "))
		for _, p := range s.points {
			fmt.Fprintf(b, `<circle class="mark" cx="%.1f" cy="%.1f" r="3.5"/>`, x(p.x), y(p.value))
		}
		b.WriteString("</g>\n")
	}
}
