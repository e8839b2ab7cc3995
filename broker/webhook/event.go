package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Event is what happened in an app.
type Event = protocol.WebhookEvent

// Bounds of what waits in memory on its way into the queue. Beyond them events
// are thrown away, logged and counted: Emit must not block.
const (
	maxPending      = 8192
	maxPendingBytes = 64 << 20
	pushAtOnce      = 256
	pushPause       = time.Second // after the queue did not take anything
)

// pending is an event on its way into the queue.
type pending struct {
	app   protocol.AppID
	event Event
	bytes int64
}

// Wants reports whether an endpoint of the app asks for events of that type.
// It costs a look into a map: ask before making an event that is dear.
func (w *Webhooks) Wants(app protocol.AppID, event string) bool {
	for _, e := range w.view.of(app) {
		if e.wants(event) {
			return true
		}
	}
	return false
}

// Emit tells the app's endpoints of an event. It never blocks and never fails:
// where events come faster than the disk takes them for long, they are thrown
// away and counted (Lost). e's JSON members must be valid and stay unchanged.
// An event of message.published is the caller's to leave out where the
// namespace's rule does.
func (w *Webhooks) Emit(app protocol.AppID, e Event) {
	if !w.Wants(app, e.Type) {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	p := pending{app, e, int64(len(e.Message)+len(e.Presence)) + 512}
	if w.bytes.Add(p.bytes) > maxPendingBytes {
		w.lose(p)
		return
	}
	select {
	case w.in <- p:
	default:
		w.lose(p)
	}
}

func (w *Webhooks) lose(p pending) {
	w.bytes.Add(-p.bytes)
	w.stats.WebhookEvent(stats.WebhookThrownAway)
	if n := w.lost.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th …
		w.log.Error("webhook events come faster than they can be stored, and are thrown away", "app", p.app, "lost", n)
	}
}

// Lost counts the events that Emit has thrown away.
func (w *Webhooks) Lost() uint64 { return w.lost.Load() }

// handOver brings what Emit took into the queue, until ctx ends and then all
// that is left, for as long as last allows.
func (w *Webhooks) handOver(ctx, last context.Context) {
	for {
		select {
		case p := <-w.in:
			w.push(last, p)
		case <-ctx.Done():
			for {
				select {
				case p := <-w.in:
					w.push(last, p)
				default:
					return
				}
			}
		}
	}
}

// push puts first, and what has come since, into the queue. It tries until
// that works or ctx ends.
func (w *Webhooks) push(ctx context.Context, first pending) {
	all := append(make([]pending, 0, pushAtOnce), first)
	for len(all) < pushAtOnce && len(w.in) > 0 {
		all = append(all, <-w.in)
	}
	jobs, bytes := make([]bus.Job, 0, len(all)), int64(0)
	for _, p := range all {
		bytes += p.bytes
		more, err := w.jobs(p)
		if err != nil {
			w.log.Error("a webhook event cannot be written", "app", p.app, "error", err)
		}
		jobs = append(jobs, more...)
	}
	defer w.bytes.Add(-bytes)
	for said := false; len(jobs) > 0; said = true {
		err := w.queue.Push(ctx, jobs...)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			w.log.Error("webhook events were lost at the stop", "events", len(all), "error", err)
			return
		}
		if !said {
			w.log.Error("webhook events wait in memory, because they cannot be stored", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pushPause):
		}
	}
}

// jobs is the event as it is queued, once for each endpoint.
func (w *Webhooks) jobs(p pending) (out []bus.Job, err error) {
	var body []byte
	id := newEventID()
	for _, e := range w.view.of(p.app) {
		if !e.wants(p.event.Type) {
			continue
		}
		if int(e.waiting.Load()) >= w.maxWaiting {
			w.stats.WebhookEvent(stats.WebhookThrownAway)
			if n := e.dropped.Add(1); n&(n-1) == 0 {
				w.log.Warn("too many events wait for a webhook; new ones are thrown away", "app", p.app, "webhook", e.id, "dropped", n)
			}
			continue
		}
		if body == nil {
			if body, err = encode(p.app, p.event); err != nil {
				return nil, err
			}
			body = parcel{ID: id, Type: p.event.Type}.wrap(body)
		}
		e.waiting.Add(1)
		out = append(out, bus.Job{Lane: e.id, ID: id, Body: body})
	}
	return out, nil
}

func newEventID() string { return "evt_" + rand.Text() }

// eventData is the data of the body.
type eventData struct {
	App        protocol.AppID   `json:"app"`
	Channel    protocol.Channel `json:"channel,omitempty"`
	User       string           `json:"user,omitempty"`
	Connection string           `json:"connection,omitempty"`
	Code       protocol.Code    `json:"code,omitempty"`
	Presence   json.RawMessage  `json:"presence,omitempty"`
	Message    json.RawMessage  `json:"message,omitempty"`
	Quota      string           `json:"quota,omitempty"`
	Used       int64            `json:"used,omitempty"`
	Most       int64            `json:"most,omitempty"`
}

// encode is the body that is sent, the same bytes at each try.
func encode(app protocol.AppID, e Event) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Type      string    `json:"type"`
		Timestamp string    `json:"timestamp"`
		Data      eventData `json:"data"`
	}{e.Type, e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), eventData{app, e.Channel, e.User, e.Connection, e.Code, e.Presence, e.Message, e.Quota, e.Used, e.Most}})
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parcel is what stands before the body in a job and in the log: one line.
type parcel struct {
	ID       string                    `json:"id"`
	Type     string                    `json:"type"`
	Delivery *protocol.WebhookDelivery `json:"delivery,omitempty"` // in the log
}

func (p parcel) wrap(body []byte) []byte {
	head, err := json.Marshal(p)
	if err != nil { // a struct of strings, numbers and times always marshals
		head = []byte("{}")
	}
	return append(append(head, '\n'), body...)
}

var errParcel = errors.New("this is no event")

func unwrap(text []byte) (p parcel, body []byte, err error) {
	head, body, ok := bytes.Cut(text, []byte("\n"))
	if !ok || json.Unmarshal(head, &p) != nil || p.ID == "" {
		return p, nil, errParcel
	}
	return p, body, nil
}
