package webhook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	writeTries = 5               // how often a change is put on top of somebody else's
	readBack   = 5 * time.Second // how long a writer waits for the watch to bring a write
	dropTime   = 10 * time.Second
)

// slotKey is where an app's endpoint is kept. There are as many slots as an
// app may have endpoints, so that two who make one at once cannot make one too
// many.
func slotKey(app protocol.AppID, slot int) string { return string(app) + "." + strconv.Itoa(slot) }

func (w *Webhooks) get(app protocol.AppID, id string) (*endpoint, *record, error) {
	if e := w.view.find(id); e != nil && e.app == app {
		if r := e.record.Load(); r != nil {
			return e, r, nil
		}
	}
	return nil, nil, protocol.NewError(protocol.CodeWebhookNotFound)
}

// List are the app's endpoints.
func (w *Webhooks) List(app protocol.AppID) []protocol.Webhook {
	out := []protocol.Webhook{}
	for _, e := range w.view.of(app) {
		if r := e.record.Load(); r != nil {
			out = append(out, e.public(r))
		}
	}
	return out
}

// Create makes an endpoint; the answer has its secret. Errors: bad_request,
// url_not_allowed, webhook_limit.
func (w *Webhooks) Create(ctx context.Context, app protocol.AppID, in protocol.WebhookInput) (protocol.Webhook, error) {
	if len(in.Events) == 0 {
		in.Events = protocol.WebhookTypes()
	}
	if err := w.guard.checkURL(in.URL); err != nil {
		return protocol.Webhook{}, err
	}
	secret := newSecret()
	r := &record{ID: "whk_" + rand.Text()[:16], App: app, URL: in.URL, Events: in.Events, Created: time.Now().UTC().Truncate(time.Millisecond)}
	r.Secrets = []sealed{{Sealed: seal(w.aead, r.ID, secret)}}
	val, err := r.encode()
	if err != nil {
		return protocol.Webhook{}, err
	}
	for slot := range MaxPerApp {
		rev, err := w.records.Create(ctx, slotKey(app, slot), val, 0)
		if errors.Is(err, bus.ErrConflict) {
			continue
		}
		if err != nil {
			return protocol.Webhook{}, stored(err)
		}
		w.log.Info("webhook created", "app", app, "webhook", r.ID)
		return w.answer(ctx, app, r.ID, rev, secret)
	}
	return protocol.Webhook{}, protocol.NewError(protocol.CodeWebhookLimit)
}

// encode checks the record's events and puts them into their order, before it
// is written.
func (r *record) encode() ([]byte, error) {
	known := protocol.WebhookTypes()
	for _, e := range r.Events {
		if !slices.Contains(known, e) {
			return nil, protocol.Errorf(protocol.CodeBadRequest, "%q is no type of event; there are %q.", e, known)
		}
	}
	if len(r.Events) == 0 {
		return nil, protocol.Errorf(protocol.CodeBadRequest, "The webhook asks for no events at all; disable it instead.")
	}
	r.Events = slices.Compact(slices.Sorted(slices.Values(r.Events)))
	val, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return val, nil
}

// answer waits for a write to be seen, and is the endpoint then.
func (w *Webhooks) answer(ctx context.Context, app protocol.AppID, id string, rev uint64, secret []byte) (protocol.Webhook, error) {
	if err := w.view.until(ctx, w.view.seen(rev)); err != nil {
		return protocol.Webhook{}, err
	}
	e, r, err := w.get(app, id)
	if err != nil {
		return protocol.Webhook{}, err
	}
	out := e.public(r)
	if secret != nil {
		out.Secret = secretText(secret)
	}
	return out, nil
}

// change puts fn on top of the record. When somebody else changes it at the
// same time, it is put on top of that.
func (w *Webhooks) change(ctx context.Context, app protocol.AppID, id string, fn func(*record) error) (rev uint64, err error) {
	for range writeTries {
		e, r, err := w.get(app, id)
		if err != nil {
			return 0, err
		}
		c := *r
		c.Events, c.Secrets = slices.Clone(r.Events), slices.Clone(r.Secrets)
		if err := fn(&c); err != nil {
			return 0, err
		}
		val, err := c.encode()
		if err != nil {
			return 0, err
		}
		rev, err := w.records.Update(ctx, r.key, val, r.rev, 0)
		if errors.Is(err, bus.ErrConflict) {
			if err := w.view.until(ctx, func() bool { return e.record.Load() != r }); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, stored(err)
		}
		if err := w.view.until(ctx, w.view.seen(rev)); err != nil {
			return 0, err
		}
		if c.Disabled && !r.Disabled {
			w.clear(ctx, e)
		}
		return rev, nil
	}
	return 0, protocol.NewError(protocol.CodeConflict)
}

// clear throws away what is queued for an endpoint that gets nothing any more.
// Where that fails the jobs go one by one, when they come.
func (w *Webhooks) clear(ctx context.Context, e *endpoint) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	if err := w.queue.Drop(ctx, e.id); err != nil {
		w.log.Warn("the events of a webhook cannot be thrown away", "app", e.app, "webhook", e.id, "error", err)
		return
	}
	e.waiting.Store(0)
	e.lane.clear()
}

// Update changes an endpoint. Disabling it throws away what is queued.
func (w *Webhooks) Update(ctx context.Context, app protocol.AppID, id string, p protocol.WebhookPatch) (protocol.Webhook, error) {
	rev, err := w.change(ctx, app, id, func(r *record) error {
		if p.URL != nil {
			if err := w.guard.checkURL(*p.URL); err != nil {
				return err
			}
			r.URL = *p.URL
		}
		if p.Events != nil {
			r.Events = *p.Events
		}
		if p.Disabled != nil && *p.Disabled != r.Disabled {
			r.Disabled, r.Reason = *p.Disabled, ""
			if r.Disabled {
				r.Reason = "It was disabled by hand."
			}
		}
		return nil
	})
	if err != nil {
		return protocol.Webhook{}, err
	}
	return w.answer(ctx, app, id, rev, nil)
}

// Rotate gives an endpoint a new secret, which is in the answer. The old one
// signs, too, for grace; one that is older than that ends.
func (w *Webhooks) Rotate(ctx context.Context, app protocol.AppID, id string, grace time.Duration) (protocol.Webhook, error) {
	secret := newSecret()
	rev, err := w.change(ctx, app, id, func(r *record) error {
		old := r.Secrets[:1]
		r.Secrets = []sealed{{Sealed: seal(w.aead, r.ID, secret)}}
		if grace > 0 {
			until := time.Now().Add(grace).UTC().Truncate(time.Millisecond)
			r.Secrets = append(r.Secrets, sealed{Sealed: old[0].Sealed, Until: &until})
		}
		return nil
	})
	if err != nil {
		return protocol.Webhook{}, err
	}
	w.log.Info("webhook's secret rotated", "app", app, "webhook", id)
	return w.answer(ctx, app, id, rev, secret)
}

// Delete deletes an endpoint, what is queued for it and its log.
func (w *Webhooks) Delete(ctx context.Context, app protocol.AppID, id string) error {
	for range writeTries {
		e, r, err := w.get(app, id)
		if err != nil {
			return err
		}
		err = w.records.Delete(ctx, r.key, r.rev)
		if err != nil && !errors.Is(err, bus.ErrConflict) {
			return stored(err)
		}
		if err := w.view.until(ctx, func() bool { return e.record.Load() != r }); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		w.clear(ctx, e)
		if err := w.journal.Drop(ctx, id); err != nil { // it grows old by itself
			w.log.Warn("a deleted webhook's log cannot be thrown away", "app", app, "webhook", id, "error", err)
		}
		w.log.Info("webhook deleted", "app", app, "webhook", id)
		return nil
	}
	return protocol.NewError(protocol.CodeConflict)
}

// Forget deletes all endpoints of an app that is being deleted.
func (w *Webhooks) Forget(ctx context.Context, app protocol.AppID) error {
	for _, e := range w.view.of(app) {
		if err := w.Delete(ctx, app, e.id); err != nil && !errors.Is(err, protocol.NewError(protocol.CodeWebhookNotFound)) {
			return err
		}
	}
	return nil
}

// seen is whether the watch has brought a revision.
func (v *view) seen(rev uint64) func() bool { return func() bool { return v.last >= rev } }

// until waits until cond, which is called with mu held, is true.
func (v *view) until(ctx context.Context, cond func() bool) error {
	late := time.NewTimer(readBack)
	defer late.Stop()
	for {
		v.mu.RLock()
		ok, news := cond(), v.news
		v.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return stored(ctx.Err())
		case <-late.C:
			return stored(errors.New("the write was made, but the watch did not bring it in time"))
		}
	}
}

// stored turns an error of the bus into one for people; the cause stays in the
// chain for logs.
func stored(err error) error {
	code := protocol.CodeUnavailable
	switch {
	case errors.Is(err, bus.ErrDiskFull):
		code = protocol.CodeDiskFull
	case errors.Is(err, bus.ErrConflict):
		code = protocol.CodeConflict
	}
	return fmt.Errorf("webhook: %w: %w", protocol.NewError(code), err)
}
