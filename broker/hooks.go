package broker

import (
	"context"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/ledger"
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

// openLedger makes the room that writes down what apps use.
func (b *Broker) openLedger(ctx context.Context) (*ledger.Ledger, error) {
	store, err := b.bus.Bucket(ctx, "usage", bus.BucketOptions{Relaxed: true, Listed: true})
	if err != nil {
		return nil, err
	}
	var peers ledger.Peers
	if b.config.Cluster != nil {
		peers = b.bus.Peers()
	}
	return ledger.New(ctx, ledger.Options{
		Store: store, Stats: b.stats, Log: b.log, Stored: b.bus.Stored, Warn: b.warn, Peers: peers,
		Apps: func(account protocol.AccountID) (ids []protocol.AppID) {
			for _, a := range b.tenants.Apps(account) {
				ids = append(ids, a.ID)
			}
			return ids
		},
	})
}

// warn tells the log, and the webhooks of all of an account's apps, how much
// of a quota is used.
func (b *Broker) warn(account protocol.AccountID, u stats.Use, percent int) {
	b.log.Warn("an account has used most of a quota", "account", account, "quota", u.Quota, "used", u.Used, "most", u.Most, "percent", percent)
	for _, a := range b.tenants.Apps(account) {
		b.hooks.Emit(a.ID, protocol.WebhookEvent{Type: protocol.WebhookQuotaWarning, Quota: u.Quota, Used: u.Used, Most: u.Most})
	}
}

// published tells webhooks of a message where its namespace's rule says so.
func (b *Broker) published(app protocol.AppID, ch protocol.Channel, message func() []byte) {
	if b.hooks.Wants(app, protocol.WebhookMessagePublished) && b.tenants.Webhooks(app, ch) {
		b.hooks.Emit(app, protocol.WebhookEvent{Type: protocol.WebhookMessagePublished, Channel: ch, Message: message()})
	}
}
