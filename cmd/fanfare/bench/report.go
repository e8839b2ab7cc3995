package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Report is what a benchmark has to say; --json writes it as it is.
type Report struct {
	Bench   string    `json:"bench"`
	Wire    string    `json:"wire"`
	URL     string    `json:"url"`
	Started time.Time `json:"started"`
	Load    Figures   `json:"load"` // what was asked for
	Runs    []Run     `json:"runs"`
	OK      bool      `json:"ok"`
	Failed  []string  `json:"failed,omitempty"` // what was missing

	Summary Figures `json:"summary,omitempty"` // over all runs
	title   string
}

// Run is one measurement: figures, and how long messages took.
type Run struct {
	Name    string   `json:"name,omitempty"`
	Figures Figures  `json:"figures"`
	Latency *Latency `json:"latency,omitempty"`
	Failed  []string `json:"failed,omitempty"`
}

// Figures are named numbers in the order in which they are shown. In JSON they
// are an object; a name says its unit.
type Figures []Figure

// Figure is one of them. Label and Unit are for people.
type Figure struct {
	Name  string
	Value float64
	Label string
	Unit  string
}

// MarshalJSON keeps the order.
func (f Figures) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(v.Name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.WriteString(strconv.FormatFloat(v.Value, 'f', -1, 64))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (f *Figures) add(name string, value float64, label, unit string) {
	*f = append(*f, Figure{name, value, label, unit})
}

// addUsage adds what the server used between two readings, over a time in
// which it did n things of a kind.
func (f *Figures) addUsage(before, after usage, over time.Duration, n uint64, name, label string) {
	cpu := after.cpu - before.cpu
	if n > 0 && name != "" {
		f.add("cpu_us_per_"+name, hundredths(micros(cpu)/float64(n)), "server CPU per "+label, "µs")
	}
	f.add("cpu_seconds", cpu.Seconds(), "server CPU", "s")
	f.add("cpu_percent", round(100*cpu.Seconds()/over.Seconds()), "server CPU of one core", "%")
	f.add("rss_bytes", float64(after.rss), "server memory (RSS)", "B")
	f.add("peak_rss_bytes", float64(after.peak), "server memory, peak", "B")
}

// write shows the report and returns ErrFailed where it has failed.
func (r *Report) write(con *Console, asJSON bool) error {
	r.OK = len(r.Failed) == 0
	if r.Runs == nil {
		r.Runs = []Run{}
	}
	if asJSON {
		if err := con.WriteJSON(r); err != nil {
			return err
		}
	} else if err := r.writeText(con); err != nil {
		return err
	}
	if !r.OK {
		return ErrFailed
	}
	return nil
}

func (r *Report) writeText(con *Console) error {
	fmt.Fprintf(con.Out, "%s\n%s at %s\n\n", r.title, r.Wire, r.URL)
	var err error
	if len(r.Runs) == 1 {
		err = r.writeOne(con, r.Runs[0])
	} else if len(r.Runs) > 1 {
		err = r.writeMany(con)
	}
	if err != nil {
		return err
	}
	if len(r.Summary) > 0 {
		fmt.Fprintln(con.Out)
		for _, f := range r.Summary {
			fmt.Fprintf(con.Out, "%s: %s\n", f.Label, f.text())
		}
	}
	for _, why := range r.Failed {
		fmt.Fprintf(con.Out, "FAILED: %s\n", why)
	}
	return nil
}

func (r *Report) writeOne(con *Console, run Run) error {
	var rows [][]string
	for _, f := range run.Figures {
		rows = append(rows, []string{f.Label, f.text()})
	}
	if l := run.Latency; l != nil {
		for _, p := range l.points() {
			rows = append(rows, []string{"latency " + p.name, duration(p.µs)})
		}
	}
	return con.WriteTable([]string{"WHAT", "FIGURE"}, rows)
}

func (r *Report) writeMany(con *Console) error {
	head := []string{strings.ToUpper(r.Bench)}
	for _, f := range r.Runs[0].Figures {
		head = append(head, strings.ToUpper(f.Label))
	}
	head = append(head, "P50", "P99", "P99.9", "MAX", "")
	var rows [][]string
	for _, run := range r.Runs {
		row := []string{run.Name}
		for _, f := range run.Figures {
			row = append(row, f.text())
		}
		if l := run.Latency; l != nil {
			row = append(row, duration(l.P50), duration(l.P99), duration(l.P999), duration(l.Max))
		} else {
			row = append(row, "", "", "", "")
		}
		rows = append(rows, append(row, strings.Join(run.Failed, "; ")))
	}
	return con.WriteTable(head, rows)
}

type point struct {
	name string
	µs   float64
}

func (l *Latency) points() []point {
	return []point{{"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}, {"p99.9", l.P999}, {"max", l.Max}}
}

// text is the figure as people read it.
func (f Figure) text() string { return f.format(f.Value) }

// format is another value as people read this figure.
func (f Figure) format(v float64) string {
	switch f.Unit {
	case "B":
		return size(v)
	case "µs":
		return duration(v)
	case "":
		return number(v)
	case "/s":
		return number(v) + "/s"
	}
	return number(v) + " " + f.Unit
}

func size(b float64) string {
	switch {
	case b >= 1<<30:
		return fmt.Sprintf("%.2f GiB", b/(1<<30))
	case b >= 10<<20:
		return fmt.Sprintf("%.0f MiB", b/(1<<20))
	case b >= 1<<20:
		return fmt.Sprintf("%.1f MiB", b/(1<<20))
	case b >= 1<<10 || b <= -(1<<10):
		return fmt.Sprintf("%.1f KiB", b/(1<<10))
	}
	return fmt.Sprintf("%.0f B", b)
}

func duration(µs float64) string {
	switch {
	case µs >= 1e6:
		return fmt.Sprintf("%.2f s", µs/1e6)
	case µs >= 1e4:
		return fmt.Sprintf("%.1f ms", µs/1e3)
	case µs >= 1e3:
		return fmt.Sprintf("%.2f ms", µs/1e3)
	case µs >= 100:
		return fmt.Sprintf("%.0f µs", µs)
	}
	return fmt.Sprintf("%.1f µs", µs)
}

// number is n with thousands apart, and with what its size leaves of decimals.
func number(n float64) string {
	decimals := 0
	if n != float64(int64(n)) && n < 1000 && n > -1000 {
		decimals = 1
		if n < 10 && n > -10 {
			decimals = 2
		}
	}
	text := strconv.FormatFloat(n, 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}
