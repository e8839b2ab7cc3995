package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine is what the figures were taken on.
type machine struct {
	date, cpu, kernel, golang, commit, peers, how string
}

func readMachine(ctx context.Context, l *lab, rounds int, o options) (machine, error) {
	m := machine{date: time.Now().UTC().Format("2006-01-02"), golang: runtime.Version(), cpu: fmt.Sprintf("%d cores", runtime.NumCPU())}
	say := func(dir, name string, args ...string) string {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		out, _ := cmd.Output() // what is unknown is left out
		return strings.TrimSpace(string(out))
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.cpu = strings.TrimSpace(value) + ", " + m.cpu
				break
			}
		}
	}
	m.kernel = "Linux " + say(l.root, "uname", "-r")
	m.commit = say(l.root, "git", "rev-parse", "--short", "HEAD")
	bench := filepath.Join(l.root, "bench")
	for _, module := range []string{"github.com/centrifugal/centrifuge", "github.com/coder/websocket"} {
		m.peers += say(bench, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", module) + ", "
	}
	m.peers = strings.TrimSuffix(m.peers+l.nginx, ", ")
	m.how = fmt.Sprintf("%d rounds, the servers in turn, server and load together on the cores %s", rounds, o.cpus)
	m.how += "; load average before: " + l.load
	if o.quick {
		m.how += "; QUICK: the figures are worth little"
	}
	return m, nil
}

// columns are all servers, in the order in which they first appear.
func (s *suite) columns() (names []string) {
	for _, t := range s.tests {
		for _, v := range t.servers {
			if !slices.Contains(names, v.name) {
				names = append(names, v.name)
			}
		}
	}
	return names
}

// markdown is the section of docs/benchmarks.md: targets, all figures, machine.
func (s *suite) markdown(m machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken on %s at commit %s: %s; %s; %s. Peers: %s.\n%s.\n", m.date, m.commit, m.cpu, m.kernel, m.golang, m.peers, m.how)
	b.WriteString("\n### What we set out to reach\n\n| | ours | theirs | ratio | target | |\n|---|---|---|---|---|---|\n")
	for _, t := range s.tests {
		for _, c := range t.claims {
			b.WriteString(s.claimLine(t, c))
		}
	}
	names := s.columns()
	b.WriteString("\n### All figures\n\nThe middle of the rounds, and in parentheses the least and the most. `fanfare` is durable, which is its default, with history on disk;\n`ephemeral` keeps nothing, as `centrifuge`, `nchan` and `floor` (coder/websocket and nothing else) do; `centrifuge, history` keeps it in memory.\n\n| |")
	for _, n := range names {
		b.WriteString(" " + n + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(names)) + "\n")
	for _, t := range s.tests {
		b.WriteString("| " + t.title + " |")
		for _, n := range names {
			b.WriteString(" " + t.cell(n) + " |")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cell is what a server got: the middle, and the span where there are several.
func (t *test) cell(server string) string {
	v, ok := t.middle(server)
	if !ok {
		if why, failed := t.failed[server]; failed {
			return "failed: " + strings.ReplaceAll(why, "|", "/")
		}
		return ""
	}
	text := format(v, t.unit)
	if list := t.got[server]; len(list) > 1 {
		text += fmt.Sprintf(" (%s–%s)", format(slices.Min(list), ""), format(slices.Max(list), ""))
	}
	if t.failed[server] != "" {
		text += ", once failed"
	}
	return text
}

// claimLine holds what we reached against what we wanted.
func (s *suite) claimLine(t *test, c claim) string {
	mine, ok := t.middle(c.ours)
	other, of := c.theirs, t
	if name, test, elsewhere := strings.Cut(c.theirs, "@"); elsewhere {
		other = name
		for _, x := range s.tests {
			if x.name == test {
				of = x
			}
		}
		if of == t {
			return "" // that test was left out
		}
	}
	title := t.title
	if c.ours == durably && c.theirs != "" {
		title += "; durable, against history in memory"
	}
	want := "≤ "
	if t.more {
		want = "≥ "
	}
	line := func(theirs, ratio, target string, reached bool) string {
		verdict := "missed"
		if reached {
			verdict = "reached"
		}
		return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", title, format(mine, t.unit), theirs, ratio, target, verdict)
	}
	if other == "" {
		if !ok {
			return fmt.Sprintf("| %s | failed | | | %s%s | missed |\n", title, want, format(c.factor, t.unit))
		}
		return line("", "", want+format(c.factor, t.unit), mine <= c.factor != t.more)
	}
	value, their := of.middle(other)
	if !their || !ok || value == 0 {
		if slices.Contains(s.without, other) {
			return ""
		}
		return fmt.Sprintf("| %s | %s | %s | | %s%.2f × %s | not measured |\n", title, t.cell(c.ours), of.cell(other), want, c.factor, other)
	}
	ratio := mine / value
	reached := ratio <= c.factor
	if t.more {
		reached = ratio >= c.factor
	}
	if of != t {
		other = "our own, one by one"
	}
	return line(format(value, t.unit), fmt.Sprintf("%.2f", ratio), fmt.Sprintf("%s%.2f × %s", want, c.factor, other), reached)
}

func format(v float64, unit string) string {
	text := fmt.Sprintf("%.1f", v)
	switch {
	case unit == "µs" && v >= 10_000:
		text, unit = fmt.Sprintf("%.1f", v/1000), "ms"
	case v >= 1000:
		text = thousands(fmt.Sprintf("%.0f", v))
	}
	if unit == "/s" {
		return text + unit
	}
	return strings.TrimSpace(text + " " + unit)
}

// thousands sets commas into digits.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// The marks between which docs/benchmarks.md is written.
const (
	sectionBegin = "<!-- make bench writes from here -->\n"
	sectionEnd   = "<!-- to here -->"
)

// replaceSection puts text between the marks in a file.
func replaceSection(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(old), sectionBegin)
	_, after, ok2 := strings.Cut(rest, sectionEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has not the lines %q and %q", file, strings.TrimSpace(sectionBegin), sectionEnd)
	}
	return os.WriteFile(file, []byte(before+sectionBegin+"\n"+text+"\n"+sectionEnd+after), 0o644)
}

// plot draws the pictures of docs/benchmarks.md and returns the lines that
// show them.
func (s *suite) plot(ctx context.Context, l *lab) (string, error) {
	var shown strings.Builder
	for _, p := range []struct{ test, file, title, figure string }{
		{"cpu", "bench-cpu.svg", "Server CPU per delivered message, 1,000 subscribers × 40/s", "cpu_us_per_delivered"},
		{"rate1000", "bench-rate.svg", "99 % of messages within, by deliveries a second, 1,000 subscribers", ""},
		{"half", "bench-latency.svg", "Latency at half of centrifuge's highest rate, 1,000 subscribers", ""},
		{s.idle(), "bench-memory.svg", "Memory per idle connection", "rss_bytes_per_connection"},
	} {
		args := []string{"bench", "plot", "--svg", filepath.Join(l.root, "docs", p.file), "--title", p.title}
		if p.figure != "" {
			args = append(args, "--figure", p.figure)
		}
		found := false
		for _, t := range s.tests {
			if t.name != p.test {
				continue
			}
			for _, v := range t.servers {
				if file := t.reports[v.name]; file != "" {
					args, found = append(args, v.name+"="+file), true
				}
			}
		}
		if !found {
			continue
		}
		if out, err := exec.CommandContext(ctx, filepath.Join(l.work, "fanfare"), args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("plot %s: %w\n%s", p.file, err, out)
		}
		fmt.Fprintf(&shown, "\n![%s](%s)\n", p.title, p.file)
	}
	return shown.String(), nil
}

// idle is the first test of idle connections.
func (s *suite) idle() string {
	for _, t := range s.tests {
		if strings.HasPrefix(t.name, "idle") {
			return t.name
		}
	}
	return ""
}
