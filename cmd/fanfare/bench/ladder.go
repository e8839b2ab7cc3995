package bench

// ladder finds the highest rate that a server holds: it doubles the rate until
// one is not held, and then halves the distance between the highest that was
// and the lowest that was not, until they are close together.
type ladder struct {
	rate   float64 // the one to try
	least  float64 // below it none is tried
	most   int     // steps
	held   float64 // the highest that was held, 0: none yet
	failed float64 // the lowest that was not, 0: none yet
	steps  int     // that were tried
}

// ladderClose is the ratio at which held and failed are close together.
const ladderClose = 1.06

// next takes what became of l.rate and says whether there is another to try.
func (l *ladder) next(held bool) bool {
	l.steps++
	if held {
		l.held = max(l.held, l.rate)
	} else if l.failed == 0 || l.rate < l.failed {
		l.failed = l.rate
	}
	switch {
	case l.steps >= l.most:
		return false
	case l.failed == 0:
		l.rate *= 2
	case l.held == 0:
		l.rate /= 2
		return l.rate >= l.least
	case l.failed/l.held <= ladderClose:
		return false
	default:
		l.rate = (l.held + l.failed) / 2
	}
	return true
}
