package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// output is embedded in each command that has something to show.
type output struct {
	JSON bool `name:"json" help:"Write JSON, for programs."`
}

// writeJSON writes v as indented JSON.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeTable writes rows below a head, in columns. Cells come from a server,
// so they are kept from steering the terminal.
func (c *console) writeTable(head []string, rows [][]string) error {
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = escapeControl(row[i])
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	w := bufio.NewWriter(c.Out)
	line := func(row []string, style string) {
		for len(row) > 0 && row[len(row)-1] == "" { // no spaces at the end
			row = row[:len(row)-1]
		}
		for i, cell := range row {
			pad := ""
			if i < len(row)-1 {
				pad = strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
			}
			if style != "" {
				cell = c.paint(style, cell)
			}
			w.WriteString(cell + pad)
		}
		w.WriteByte('\n')
	}
	line(head, bold)
	for _, row := range rows {
		line(row, "")
	}
	return w.Flush()
}

// writeFields writes one thing as lines `name  value`; pairs without a value
// are left out.
func (c *console) writeFields(pairs ...string) error {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], escapeControl(pairs[i+1]))
		}
	}
	return w.Flush()
}

// moment is a time in an answer: RFC 3339, or Unix seconds as in a JWT.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(text []byte) error {
	var seconds int64
	if err := json.Unmarshal(text, &seconds); err == nil {
		m.Time = time.Unix(seconds, 0)
		return nil
	}
	return json.Unmarshal(text, &m.Time)
}

// date is t in the reader's time zone, "" for no time.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// expiry is when something ends, and how far away that is.
func expiry(t time.Time, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if d := now.Sub(t); d >= 0 {
		return fmt.Sprintf("%s (over for %s)", date(t), about(d))
	}
	return fmt.Sprintf("%s (in %s)", date(t), about(t.Sub(now)))
}

// about is d in its largest unit.
func about(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
}

// span is a length of time on the command line: 90s, 15m, 24h, 30d.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	raw := string(text)
	if days, ok := strings.CutSuffix(raw, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days+";", "%d;", &n); err == nil && n > 0 && n <= 36500 {
			*s = span(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	} else if d, err := time.ParseDuration(raw); err == nil && d > 0 {
		*s = span(d)
		return nil
	}
	return fmt.Errorf("%q is no length of time; write 90s, 15m, 24h or 30d", raw)
}

// confirmation is embedded in each command that destroys something.
type confirmation struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// ask returns nil when the person agrees to what, or has done so with --yes.
// Where nobody sits at the terminal it does not wait for an answer.
func (a *confirmation) ask(con *console, what string) error {
	if a.Yes {
		return nil
	}
	if !isTerminal(con.In) {
		return &failure{Message: "not done: " + what, Remedy: "Add --yes when you mean it.", Usage: true}
	}
	fmt.Fprintf(con.Err, "%s Go on? [y/N] ", escapeControl(what))
	answer, _ := bufio.NewReader(con.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &failure{Message: "not done"}
}
