package ledger

import (
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// By is how long the periods are that usage is told for. All are in UTC.
type By string

// The lengths, with how long what was counted is kept.
const (
	Minute By = "minute" // two days
	Hour   By = "hour"   // three months
	Day    By = "day"    // three years
	Month  By = "month"  // for ever
)

// grain is one length of periods: how its sheets are named and kept.
type grain struct {
	by     By
	letter string
	group  string // of time: sheets are listed together
	slot   string // of time: the period in its group
	keep   time.Duration
	usual  int // periods of an answer where nobody says how many
	most   int // periods of an answer
}

func grains() [4]grain {
	const day = 24 * time.Hour
	return [4]grain{
		{Minute, "m", "2006010215", "04", 2 * day, 60, 24 * 60},
		{Hour, "h", "20060102", "15", 92 * day, 24, 31 * 24},
		{Day, "d", "200601", "02", 3 * 366 * day, 30, 366},
		{Month, "M", "2006", "01", 0, 12, 120},
	}
}

func grainOf(by By) (grain, error) {
	for _, g := range grains() {
		if g.by == by {
			return g, nil
		}
	}
	return grain{}, protocol.Errorf(protocol.CodeBadRequest, `The parameter "by" must be minute, hour, day or month.`)
}

// start is the beginning of the period that t is in.
func (g grain) start(t time.Time) time.Time {
	t = t.UTC()
	switch g.by {
	case Minute:
		return t.Truncate(time.Minute)
	case Hour:
		return t.Truncate(time.Hour)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// step is the beginning of the period n later; t begins one.
func (g grain) step(t time.Time, n int) time.Time {
	switch g.by {
	case Minute:
		return t.Add(time.Duration(n) * time.Minute)
	case Hour:
		return t.Add(time.Duration(n) * time.Hour)
	case Day:
		return t.AddDate(0, 0, n)
	}
	return t.AddDate(0, n, 0)
}
