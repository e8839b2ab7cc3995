package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

type plotCmd struct {
	Reports []string `arg:"" name:"[name=]file" help:"Reports that a benchmark wrote with --json; what stands before = names one." complete:"file"`
	SVG     string   `name:"svg" required:"" placeholder:"FILE" complete:"file" help:"Where to write the plot."`
	Figure  string   `placeholder:"NAME" help:"Draw bars of one figure, as cpu_us_per_delivered. Default: lines of the latencies."`
	Title   string   `placeholder:"TEXT" help:"The plot's title."`
}

// Help is part of kong.HelpProvider.
func (plotCmd) Help() string {
	return `Examples:

    fanfare bench fanout --json > before.json
    fanfare bench plot before.json after.json --svg latency.svg
    fanfare bench plot ours=a.json theirs=b.json --figure cpu_us_per_delivered --svg cpu.svg`
}

// Run draws reports together.
func (c *plotCmd) Run() error {
	var names []string
	var list []*Report
	for _, arg := range c.Reports {
		name, file, named := strings.Cut(arg, "=")
		if !named {
			file, name = arg, strings.TrimSuffix(arg, ".json")
		}
		text, err := os.ReadFile(file)
		var r Report
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil || r.Bench == "" {
			return &Failure{Message: file + " is no report of a benchmark", Remedy: "Write one with fanfare bench … --json.", Usage: true, Err: err}
		}
		names, list = append(names, name), append(list, &r)
	}
	var drawn *chart
	if c.Figure != "" {
		var err error
		if drawn, err = barsOf(c.Figure, names, list); err != nil {
			return err
		}
	} else if drawn = linesOf(names, list); drawn == nil {
		return &Failure{Message: "these reports have no latencies to draw", Remedy: "Draw one of their figures: --figure.", Usage: true}
	}
	if c.Title != "" {
		drawn.title = c.Title
	}
	return writeSVG(c.SVG, drawn)
}

func writeSVG(file string, c *chart) error {
	if err := os.WriteFile(file, c.svg(), 0o644); err != nil {
		return &Failure{Message: "--svg: " + err.Error(), Remedy: "Name a file that this user can write.", Usage: true, Err: err}
	}
	return nil
}

// barsOf draws one figure of each report's last run, or of its summary.
func barsOf(figure string, names []string, list []*Report) (*chart, error) {
	c := &chart{title: figure, format: Figure{Unit: unitOf(figure)}.format}
	for i, r := range list {
		all := r.Summary
		if n := len(r.Runs); n > 0 {
			all = append(slices.Clone(all), r.Runs[n-1].Figures...)
		}
		at := slices.IndexFunc(all, func(f Figure) bool { return f.Name == figure })
		if at < 0 {
			return nil, &Failure{Message: fmt.Sprintf("the report %s has no figure %q", names[i], figure), Remedy: "Its figures are in the JSON.", Usage: true}
		}
		c.bars = append(c.bars, bar{names[i], all[at].Value})
	}
	return c, nil
}

// unitOf is the unit that a figure's name says.
func unitOf(figure string) string {
	switch {
	case strings.Contains(figure, "_us"):
		return "µs"
	case strings.Contains(figure, "bytes"):
		return "B"
	case strings.Contains(figure, "per_second"):
		return "/s"
	}
	return ""
}

// linesOf draws how latency grows: with the rate where a report is a ladder,
// else with the share of messages. It returns nil where there is none.
func linesOf(names []string, list []*Report) *chart {
	if slices.ContainsFunc(list, func(r *Report) bool { return len(r.Runs) > 1 && r.isLadder() }) {
		return ladderLines(names, list)
	}
	c := &chart{title: "Latency by share of messages", x: "share of messages within", format: duration}
	for i, r := range list {
		for _, run := range r.Runs {
			if run.Latency == nil {
				continue
			}
			s := series{name: names[i]}
			if len(r.Runs) > 1 {
				s.name = strings.TrimPrefix(names[i]+" "+run.Name, " ")
			}
			points := run.Latency.points()
			for j, p := range points {
				at := float64(j) / float64(len(points)-1)
				s.points = append(s.points, place{at, p.µs})
				if len(c.lines) == 0 {
					c.ticks = append(c.ticks, tick{at, p.name})
				}
			}
			c.lines = append(c.lines, s)
		}
	}
	if len(c.lines) == 0 {
		return nil
	}
	return c
}

// isLadder reports runs that differ in their rates.
func (r *Report) isLadder() bool {
	return slices.ContainsFunc(r.Summary, func(f Figure) bool { return f.Name == "held_per_second" })
}

// ladderLines draws p99 by deliveries a second.
func ladderLines(names []string, list []*Report) *chart {
	c := &chart{title: "99 % of messages within, by deliveries a second", x: "deliveries a second", format: duration}
	most := 1.0
	for i, r := range list {
		s := series{name: names[i]}
		for _, run := range r.Runs {
			at := slices.IndexFunc(run.Figures, func(f Figure) bool { return f.Name == "delivered_per_second" })
			if at < 0 || run.Latency == nil {
				continue
			}
			s.points = append(s.points, place{run.Figures[at].Value, run.Latency.P99})
			most = max(most, run.Figures[at].Value)
		}
		slices.SortFunc(s.points, func(a, b place) int { return cmp.Compare(a.x, b.x) })
		c.lines = append(c.lines, s)
		for _, f := range r.Load {
			if f.Name == "within_us" {
				c.limit = f.Value
			}
		}
	}
	for _, s := range c.lines {
		for i := range s.points {
			s.points[i].x /= most
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	for v := 0.0; v <= most; v += step {
		c.ticks = append(c.ticks, tick{v / most, number(v)})
	}
	return c
}

// UnmarshalJSON reads what MarshalJSON wrote, for plots: the order and the
// labels are lost.
func (f *Figures) UnmarshalJSON(text []byte) error {
	var m map[string]float64
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*f = nil
	for name, v := range m {
		f.add(name, v, "", "")
	}
	return nil
}
