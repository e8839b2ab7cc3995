package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// progress is a line on a terminal that says what goes on; elsewhere it is
// silent.
type progress struct {
	w     io.Writer // nil: silent
	last  time.Time
	width int
}

func newProgress(con *Console) *progress {
	if !con.Terminal {
		return &progress{}
	}
	return &progress{w: con.Err}
}

// show says that done of all is reached, ten times a second at most.
func (p *progress) show(what string, done, all float64) {
	if p.w == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	const cells = 24
	full := 0
	if all > 0 {
		full = int(min(1, done/all) * cells)
	}
	line := fmt.Sprintf("%s%s  %s", strings.Repeat("█", full), strings.Repeat("░", cells-full), what)
	n := utf8.RuneCountInString(line)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-n)))
	p.width = n
}

// clear takes the line away.
func (p *progress) clear() {
	if p.w != nil && p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}
