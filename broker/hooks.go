package broker

import (
	"context"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// openWebhooks makes the room of webhooks. A power cut takes none of its
// endpoints, nor what is queued.
func (b *Broker) openWebhooks(ctx context.Context, key [32]byte, counters *stats.Stats) (*webhook.Webhooks, error) {
	records, err := b.bus.Bucket(ctx, "webhooks", bus.BucketOptions{})
	if err != nil {
		return nil, err
	}
	queue, err := b.bus.Queue(ctx, "webhooks", bus.QueueOptions{})
	if err != nil {
		return nil, err
	}
	journal, err := b.bus.Journal(ctx, "webhooks", bus.JournalOptions{Entries: webhook.KeepTries, MaxAge: webhook.KeepTriesFor, MaxBytes: webhook.KeepTriesBytes})
	if err != nil {
		return nil, err
	}
	return webhook.New(ctx, webhook.Options{
		Records: records, Queue: queue, Log: journal, MasterKey: key, Stats: counters,
		Shared: b.config.Cluster != nil, AllowPrivate: b.config.WebhooksPrivate, Logger: b.log,
	})
}

// published tells webhooks of a message where its namespace's rule says so.
func (b *Broker) published(app protocol.AppID, ch protocol.Channel, message func() []byte) {
	if b.hooks.Wants(app, protocol.WebhookMessagePublished) && b.tenants.Webhooks(app, ch) {
		b.hooks.Emit(app, protocol.WebhookEvent{Type: protocol.WebhookMessagePublished, Channel: ch, Message: message()})
	}
}
