package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

type doctorCmd struct {
	Listen  string        `setting:"listen" default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"The address that the server would listen on."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"How long all checks may take. Default: 10s."`
	Quiet   bool          `short:"q" help:"Write nothing; the exit status says it."`
	keyed
	output
}

// Help is part of kong.HelpProvider.
func (doctorCmd) Help() string {
	return examples("fanfare doctor", "fanfare doctor --url https://push.example.com", "fanfare doctor --quiet || echo look at it")
}

// What a check found.
const (
	statusOK   = "ok"
	statusWarn = "warn" // works, but look at it
	statusFail = "fail" // exit status 1
	statusSkip = "skip" // could not be checked, for a reason that is told elsewhere
)

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

func ok(format string, args ...any) finding {
	return finding{Status: statusOK, Detail: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) finding {
	return finding{Status: statusSkip, Detail: fmt.Sprintf(format, args...)}
}

func warn(detail, remedy string) finding {
	return finding{Status: statusWarn, Detail: detail, Remedy: remedy}
}
func fail(detail, remedy string) finding {
	return finding{Status: statusFail, Detail: detail, Remedy: remedy}
}

// patient is what the checks look at. The server's answers are filled in by
// the check of the server, which later ones build on.
type patient struct {
	con    *console
	cmd    *doctorCmd
	data   string
	rest   *rest // without a credential
	isHere bool  // the data folder exists
	up     *reply
}

// Run does all checks, in an order in which each can say what the next needs.
func (c *doctorCmd) Run(ctx context.Context, con *console, all *cli) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := newREST(c.URL, "")
	if err != nil {
		return err
	}
	p := &patient{con: con, cmd: c, data: all.Data, rest: r}
	checks := []struct {
		name string
		do   func(*patient, context.Context) finding
	}{
		{"data folder", (*patient).folder},
		{"secrets", (*patient).secrets},
		{"disk", (*patient).disk},
		{"server", (*patient).server},
		{"lock", (*patient).lock},
		{"address", (*patient).address},
		{"ready", (*patient).ready},
		{"version", (*patient).version},
		{"clock", (*patient).clock},
		{"message", (*patient).message},
		{"durability", (*patient).durability},
		{"cluster", (*patient).cluster},
	}
	var found []finding
	failed := false
	for _, check := range checks {
		f := check.do(p, ctx)
		f.Check = check.name
		failed = failed || f.Status == statusFail
		found = append(found, f)
		if !c.JSON && !c.Quiet {
			p.show(f)
		}
	}
	if c.JSON && !c.Quiet {
		if err := writeJSON(con.Out, map[string]any{"ok": !failed, "checks": found}); err != nil {
			return err
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}

// show writes a finding, and its remedy on a line of its own.
func (p *patient) show(f finding) {
	mark, style := "✓", green
	switch f.Status {
	case statusWarn:
		mark, style = "!", amber
	case statusFail:
		mark, style = "✗", red
	case statusSkip:
		mark, style = "–", dim
	}
	fmt.Fprintf(p.con.Out, "%s %-11s  %s\n", p.con.paint(style, mark), f.Check, oneLine(f.Detail))
	if f.Remedy != "" {
		fmt.Fprintf(p.con.Out, "  %s  → %s\n", strings.Repeat(" ", 11), oneLine(f.Remedy))
	}
}
