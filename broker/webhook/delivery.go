package webhook

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	deliveryPrefix = "dlv_"
	maxManual      = 2 // tests and re-sends of one endpoint at a time
)

// note puts a try into the endpoint's log, with the event, so that it can be
// sent again. It returns the try with its id.
func (w *Webhooks) note(ctx context.Context, e *endpoint, p parcel, d protocol.WebhookDelivery, body []byte) (protocol.WebhookDelivery, error) {
	p.Delivery = &d
	seq, err := w.journal.Append(ctx, e.id, p.wrap(body))
	if err == nil {
		d.ID = deliveryPrefix + strconv.FormatUint(seq, 36)
	}
	return d, err
}

// Deliveries are the last tries of an endpoint, the newest first.
func (w *Webhooks) Deliveries(ctx context.Context, app protocol.AppID, id string) ([]protocol.WebhookDelivery, error) {
	e, _, err := w.get(app, id)
	if err != nil {
		return nil, err
	}
	all, err := w.journal.Last(ctx, e.id)
	if err != nil {
		return nil, stored(err)
	}
	out := make([]protocol.WebhookDelivery, 0, len(all))
	for _, r := range all {
		p, _, err := unwrap(r.Value)
		if err != nil || p.Delivery == nil {
			continue // of another version
		}
		p.Delivery.ID = deliveryPrefix + strconv.FormatUint(r.Seq, 36)
		out = append(out, *p.Delivery)
	}
	return out, nil
}

// Resend sends the event of a logged try again, once and at once, also to an
// endpoint that is disabled. It returns that try. Nothing follows from it.
func (w *Webhooks) Resend(ctx context.Context, app protocol.AppID, id, delivery string) (protocol.WebhookDelivery, error) {
	e, r, err := w.get(app, id)
	if err != nil {
		return protocol.WebhookDelivery{}, err
	}
	text, ok := strings.CutPrefix(delivery, deliveryPrefix)
	seq, err := strconv.ParseUint(text, 36, 64)
	if !ok || err != nil || seq == 0 {
		return protocol.WebhookDelivery{}, protocol.NewError(protocol.CodeDeliveryNotFound)
	}
	entry, err := w.journal.Get(ctx, e.id, seq)
	if errors.Is(err, bus.ErrNotFound) {
		return protocol.WebhookDelivery{}, protocol.NewError(protocol.CodeDeliveryNotFound)
	}
	if err != nil {
		return protocol.WebhookDelivery{}, stored(err)
	}
	p, body, err := unwrap(entry.Value)
	if err != nil {
		return protocol.WebhookDelivery{}, protocol.NewError(protocol.CodeDeliveryNotFound)
	}
	return w.byHand(ctx, e, r, parcel{ID: p.ID, Type: p.Type}, body)
}

// Test sends an event of type webhook.test, once and at once, also to an
// endpoint that is disabled. It returns that try. Nothing follows from it.
func (w *Webhooks) Test(ctx context.Context, app protocol.AppID, id string) (protocol.WebhookDelivery, error) {
	e, r, err := w.get(app, id)
	if err != nil {
		return protocol.WebhookDelivery{}, err
	}
	body, err := encode(app, Event{Type: protocol.WebhookTest, Time: time.Now()})
	if err != nil {
		return protocol.WebhookDelivery{}, err
	}
	return w.byHand(ctx, e, r, parcel{ID: newEventID(), Type: protocol.WebhookTest}, body)
}

func (w *Webhooks) byHand(ctx context.Context, e *endpoint, r *record, p parcel, body []byte) (protocol.WebhookDelivery, error) {
	defer e.manual.Add(-1)
	if e.manual.Add(1) > maxManual {
		return protocol.WebhookDelivery{}, protocol.Errorf(protocol.CodeUnavailable, "%d tries by hand are under way to this webhook.", maxManual).After(time.Second)
	}
	d, _ := w.try(ctx, r, p, body)
	if ctx.Err() != nil { // whoever asked has gone
		return d, stored(ctx.Err())
	}
	d, err := w.note(ctx, e, p, d, body)
	if err != nil {
		return d, stored(err)
	}
	return d, nil
}
