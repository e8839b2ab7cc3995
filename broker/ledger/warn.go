package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// The parts of a quota, in per cent, at which its account is warned.
const (
	warnAt = 80
	overAt = 100
)

// warnedFor is how long it is remembered that an account was warned.
const warnedFor = 32 * 24 * time.Hour

// warn looks at all quotas: publishers are told of those that are nearly used
// up, and Warn once.
func (l *Ledger) warn(ctx context.Context) {
	for id, m := range l.o.Stats.EachAccount {
		var notes []string
		for _, u := range m.Uses() {
			if u.Percent() < warnAt {
				continue
			}
			notes = append(notes, fmt.Sprintf("%s %d%%", u.Quota, u.Percent()))
			level := warnAt
			if u.Percent() >= overAt {
				level = overAt
			}
			l.tell(ctx, id, u, level)
		}
		m.Warn(strings.Join(notes, ", "))
	}
}

// tell warns an account, unless somebody did: this process, an earlier one, or
// another node.
func (l *Ledger) tell(ctx context.Context, id protocol.AccountID, u stats.Use, percent int) {
	period := l.o.Clock().UTC().Format("200601")
	if u.Quota == "connections" || u.Quota == "stored" {
		period = l.o.Clock().UTC().Format("20060102")
	}
	key := fmt.Sprintf("w.%s.%s.%s.%d", period, id, u.Quota, percent)
	if l.warned[key] {
		return
	}
	_, err := l.o.Store.Create(ctx, key, nil, warnedFor)
	switch {
	case err == nil:
		l.o.Warn(id, u, percent)
	case !errors.Is(err, bus.ErrConflict):
		l.trouble(ctx, "a warning cannot be noted, and will be given later", err)
		return
	}
	l.warned[key] = true
}
