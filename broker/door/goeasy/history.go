package goeasy

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	historyDefault = 10
	historyMost    = 100
	historyPages   = 10 // that are read for one call
)

// span is the argument of history.
type span struct {
	Channel string `json:"channel"`
	Start   int64  `json:"start"` // Unix milliseconds, as End; 0: unsaid
	End     int64  `json:"end"`
	Limit   int    `json:"limit"`
	Access  string `json:"accessToken"`
}

// told is a message of the past.
type told struct {
	Time    int64  `json:"time"`
	Content string `json:"content"`
}

func (s *speaker) history(body json.RawMessage) (any, error) {
	var q span
	if err := read(body, &q); err != nil {
		return nil, err
	}
	ch, err := channelOf(q.Channel)
	if err != nil {
		return nil, err
	}
	if err := s.door.mayUse(&s.client, ch, q.Access, false); err != nil && !s.sess.Subscribed(ch) {
		return nil, err
	}
	return s.door.past(s.sess.Context(), s.sess.Who(), ch, &q)
}

// past is the newest messages of a span of time, the oldest first.
func (d *Door) past(ctx context.Context, who *tenant.Principal, ch protocol.Channel, q *span) (any, error) {
	switch {
	case q.Limit < 0 || q.Limit > historyMost:
		return nil, badCall("The limit is %d; it must be from 1 to %d.", q.Limit, historyMost)
	case q.Start < 0 || q.End < 0 || q.End > 0 && q.End < q.Start:
		return nil, badCall("The start and the end are no span of time, in milliseconds.")
	case q.Limit == 0:
		q.Limit = historyDefault
	}
	ask := hub.HistoryQuery{Channel: ch, Limit: q.Limit, Newest: true}
	if q.Start > 0 {
		ask.Since = time.UnixMilli(q.Start)
	}
	if q.End > 0 {
		ask.Limit = 1000
	}
	var found []told // the newest first
	for range historyPages {
		page, err := d.o.Hub.History(ctx, who, ask)
		if err != nil {
			return nil, err
		}
		for _, f := range slices.Backward(page.Frames) {
			var m protocol.Message
			if json.Unmarshal(f.Line, &m) == nil && (q.End == 0 || m.Time <= q.End) && m.Time >= q.Start && len(found) < q.Limit {
				found = append(found, told{m.Time, content(m.Data)})
			}
		}
		if page.Next == "" || len(found) == q.Limit {
			break
		}
		ask.Before = page.Next
	}
	slices.Reverse(found)
	return map[string]any{"messages": append([]told{}, found...)}, nil
}
