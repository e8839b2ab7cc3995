package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/cmd/fanfare/qraudit"
)

// qrCmd are the commands for sign-in by QR code.
type qrCmd struct {
	Audit qrAuditCmd `cmd:"" help:"Try a deployment of sdk/qrlogin from outside."`
}

type qrAuditCmd struct {
	URL       string        `arg:"" name:"url" help:"The site, like https://id.example.com; a path names one more page to look at."`
	Elsewhere string        `placeholder:"URL" help:"Another site of the same installation: its codes must be unknown here."`
	Only      []string      `placeholder:"CHECK" help:"Do these checks alone, by id."`
	Limits    bool          `help:"Also use up the rates of this address: nobody can sign in from it for a minute or two, nor the test account by a typed code for ten."`
	Pace      time.Duration `default:"100ms" placeholder:"TIME" help:"How long from one request to the next. Default: 100ms."`
	output
}

// The Cookie headers of test accounts are secrets: the environment has them,
// since other users of a machine see its command lines.
const phoneEnv, otherEnv = "FANFARE_QR_PHONE", "FANFARE_QR_OTHER_PHONE"

// Help is part of kong.HelpProvider.
func (qrAuditCmd) Help() string {
	return examples("fanfare qr audit https://id.example.com", "FANFARE_QR_PHONE='__Host-session=…' fanfare qr audit https://id.example.com/login",
		"fanfare qr audit https://id.example.com --json | jq '.findings[] | select(.verdict == \"fail\")'") + `

It sends a few hundred requests at most, one after the other, and waits where the site says so. What a signed-in phone does
is tried only with $` + phoneEnv + `, the Cookie header of a test account (copy it from a browser's developer tools), and
$` + otherEnv + `, that of a second one. The first account is signed in once more, by a code.

Exit status 1 means that something failed. What a check needs and does not have is told as not tried.`
}

// Run audits.
func (c *qrAuditCmd) Run(ctx context.Context, con *console) error {
	progress := !c.JSON && isTerminal(con.Err)
	r, err := qraudit.Run(ctx, qraudit.Options{
		URL: c.URL, Phone: con.Settings.env[phoneEnv], Other: con.Settings.env[otherEnv], Elsewhere: c.Elsewhere, Limits: c.Limits,
		Only: c.Only, Pace: cmp.Or(c.Pace, -1),
		OnStart: func(_, title string) {
			if progress {
				fmt.Fprintf(con.Err, "\r\x1b[K… %s", title)
			}
		},
		OnFinding: func(f qraudit.Finding) {
			if progress {
				fmt.Fprint(con.Err, "\r\x1b[K")
			}
			if !c.JSON {
				con.showAudit(f)
			}
		},
	})
	if errors.Is(err, qraudit.ErrNotOurs) {
		return &failure{Message: err.Error(), Remedy: "Give the site's origin, under which /qr/login is, and look whether it runs.", Err: err}
	}
	if err != nil && ctx.Err() == nil {
		return &failure{Message: err.Error(), Remedy: "See fanfare qr audit --help.", Usage: true, Err: err}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(con.Out, r)
	} else {
		_, err = fmt.Fprintf(con.Out, "\n%d passed, %d failed, %d not tried; %d requests in %.0f s.\n",
			r.Count(qraudit.Pass), r.Count(qraudit.Fail), r.Count(qraudit.NotTried), r.Requests, r.Seconds)
	}
	if err == nil && !r.OK {
		return errQuiet
	}
	return err
}

// showAudit writes a finding, what was found on a line below it, and its remedy
// on another.
func (c *console) showAudit(f qraudit.Finding) {
	mark, style := "✓", green
	switch f.Verdict {
	case qraudit.Fail:
		mark, style = "✗", red
	case qraudit.NotTried:
		mark, style = "–", dim
	}
	fmt.Fprintf(c.Out, "%s %-18s  %s (%s)\n", c.paint(style, mark), f.ID, f.Title, strings.Join(f.Against, ", "))
	below := func(text string) {
		if text != "" {
			fmt.Fprintf(c.Out, "  %-18s  %s\n", "", oneLine(text))
		}
	}
	switch f.Verdict {
	case qraudit.Pass:
	case qraudit.NotTried:
		below("not tried: " + f.Detail)
	case qraudit.Fail:
		below(f.Detail)
		below("→ " + f.Remedy)
	}
}
