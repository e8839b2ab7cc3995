package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Query is a row of periods. The zero times are the last ones, up to now.
type Query struct {
	By   By
	From time.Time // the first period has it
	To   time.Time // behind the last one
}

// Period is what was used in one period.
type Period struct {
	Start time.Time
	Count
}

// span is the first period of q, and how many there are.
func (l *Ledger) span(q Query) (g grain, from time.Time, n int, err error) {
	if g, err = grainOf(q.By); err != nil {
		return g, from, 0, err
	}
	to := g.step(g.start(l.o.Clock()), 1)
	if !q.To.IsZero() {
		if to = g.start(q.To); to.Before(q.To) {
			to = g.step(to, 1)
		}
	}
	from = g.step(to, -g.usual)
	if !q.From.IsZero() {
		from = g.start(q.From)
	}
	for t := from; t.Before(to); t = g.step(t, 1) {
		if n++; n > g.most {
			return g, from, 0, protocol.Errorf(protocol.CodeBadRequest, "From %s to %s are more than %d periods by %s, which is the most.", from.Format(time.RFC3339), to.Format(time.RFC3339), g.most, g.by)
		}
	}
	if n == 0 {
		return g, from, 0, protocol.Errorf(protocol.CodeBadRequest, `The parameter "from" is not before "to".`)
	}
	return g, from, n, nil
}

// OfApp is what an app used, period by period, those without anything too. It
// is exact for this node, and for others as of a second ago.
func (l *Ledger) OfApp(ctx context.Context, app protocol.AppID, q Query) ([]Period, error) {
	return l.of(ctx, string(app), q)
}

// OfAccount is what all of an account's apps used, those included that are
// gone. Its most connections are those at one time.
func (l *Ledger) OfAccount(ctx context.Context, account protocol.AccountID, q Query) ([]Period, error) {
	return l.of(ctx, "@"+string(account), q)
}

func (l *Ledger) of(ctx context.Context, id string, q Query) ([]Period, error) {
	g, from, n, err := l.span(q)
	if err != nil {
		return nil, err
	}
	out := make([]Period, n)
	at := make(map[time.Time]int, n)
	for i := range out {
		out[i].Start = g.step(from, i)
		at[out[i].Start] = i
	}
	if err := l.Flush(ctx); err != nil {
		return nil, unread(err)
	}
	err = l.groups(g, from, n, func(t time.Time) error {
		return l.each(ctx, g, t, partOf(id), func(start time.Time, _, of string, c Count) {
			if i, in := at[start]; in && of == id {
				out[i].Count = out[i].plus(c)
			}
		})
	})
	if err != nil {
		return nil, unread(err)
	}
	return out, nil
}

// All is what everybody used in q as a whole.
func (l *Ledger) All(ctx context.Context, q Query) (accounts map[protocol.AccountID]Count, apps map[protocol.AppID]Count, err error) {
	g, from, n, err := l.span(q)
	if err != nil {
		return nil, nil, err
	}
	if err := l.Flush(ctx); err != nil {
		return nil, nil, unread(err)
	}
	accounts, apps = map[protocol.AccountID]Count{}, map[protocol.AppID]Count{}
	to := g.step(from, n)
	err = l.groups(g, from, n, func(t time.Time) error {
		for part := range parts {
			err := l.each(ctx, g, t, part, func(start time.Time, _, id string, c Count) {
				if start.Before(from) || !start.Before(to) {
					return
				}
				if id[0] == '@' {
					accounts[protocol.AccountID(id[1:])] = accounts[protocol.AccountID(id[1:])].plus(c)
				} else {
					apps[protocol.AppID(id)] = apps[protocol.AppID(id)].plus(c)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, unread(err)
	}
	return accounts, apps, nil
}

// groups calls fn with a time in each group that the n periods from from on
// are in.
func (l *Ledger) groups(g grain, from time.Time, n int, fn func(time.Time) error) error {
	last := ""
	for i := range n {
		t := g.step(from, i)
		if name := t.Format(g.group); name != last {
			last = name
			if err := fn(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// each reads the sheets of a part that are in the same group as t.
func (l *Ledger) each(ctx context.Context, g grain, t time.Time, part int, fn func(start time.Time, process, id string, c Count)) error {
	entries, err := l.o.Store.List(ctx, prefix(g, t, part))
	if err != nil {
		return err
	}
	for _, e := range entries {
		start, process, err := readKey(g, e.Key)
		if err != nil {
			return err
		}
		var rows map[string]Count
		if err := json.Unmarshal(e.Value, &rows); err != nil {
			return fmt.Errorf("ledger: the sheet %s: %w", e.Key, err)
		}
		for id, c := range rows {
			if id != "" {
				fn(start, process, id, c)
			}
		}
	}
	return nil
}
