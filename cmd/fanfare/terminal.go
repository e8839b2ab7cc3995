package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// The few styles that fanfare uses, as ANSI codes.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	amber = "33"
	cyan  = "36"
)

// isTerminal reports whether stream is a device that a person sits at.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device, too
	return err != nil || !os.SameFile(info, null)
}

// wantsColor follows https://no-color.org: colour on a terminal, unless
// NO_COLOR is set to anything or the terminal is a dumb one.
func wantsColor(out io.Writer, s *settings) bool {
	return isTerminal(out) && s.env["NO_COLOR"] == "" && s.env["TERM"] != "dumb"
}

// paint returns text in a style, or as it is where the console has no colour.
func (c *console) paint(style, text string) string {
	if !c.Color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// escapeControl writes control characters (but not those of JSON's own
// escapes, which are plain text already) as \u00xx: what came over the wire
// must not move the cursor or change the title of someone's terminal.
func escapeControl(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// steers reports a rune that moves something other than the text: controls,
// line separators, and the marks that turn the writing direction.
func steers(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
