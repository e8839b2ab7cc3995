package protocol

import (
	"encoding/json"
	"time"
)

// What webhooks tell of.
const (
	WebhookChannelOccupied  = "channel.occupied"  // a channel has its first subscriber
	WebhookChannelVacated   = "channel.vacated"   // it has lost its last one
	WebhookMemberJoined     = "member.joined"     // a user has entered a channel
	WebhookMemberLeft       = "member.left"       // that user has left it
	WebhookMessagePublished = "message.published" // in namespaces whose rule says "webhooks":true
	WebhookConnectionClosed = "connection.closed" // a client's connection has ended
	WebhookQuotaWarning     = "quota.warning"     // the account has used most or all of a quota
	WebhookTest             = "webhook.test"      // somebody tries the endpoint out; every endpoint gets it
)

// WebhookTypes are the types of events that an endpoint may ask for.
func WebhookTypes() []string {
	return []string{WebhookChannelOccupied, WebhookChannelVacated, WebhookMemberJoined, WebhookMemberLeft, WebhookMessagePublished, WebhookConnectionClosed, WebhookQuotaWarning}
}

// WebhookEvent is what happened in an app. Type is required; the members after
// Time become those of the body's data, where they are not empty.
type WebhookEvent struct {
	Type string
	Time time.Time // zero: now

	Channel    Channel         // all but connection.closed and quota.warning
	User       string          // member.*; connection.closed where the token named one
	Connection string          // connection.closed: the session's id, as in welcome
	Code       Code            // connection.closed: why the server ended it; "" where the client did
	Presence   json.RawMessage // member.*: the member's data
	Message    json.RawMessage // message.published: the message, as on every door

	Quota      string // quota.warning: connections, messages, bytes or stored
	Used, Most int64  // quota.warning
}

// Webhook is an endpoint of an app: where it is told of events.
type Webhook struct {
	ID             string     `json:"id" doc:"The endpoint's id, made by the server"`
	App            AppID      `json:"app" doc:"The app it belongs to"`
	URL            string     `json:"url" doc:"Where events are sent by POST"`
	Events         []string   `json:"events" nullable:"false" doc:"The types of events it gets"`
	Disabled       bool       `json:"disabled" doc:"Whether it gets nothing at present"`
	DisabledReason string     `json:"disabled_reason,omitempty" doc:"Why it is disabled, for people"`
	Created        time.Time  `json:"created" doc:"When it was made"`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"Until when the secret before the last rotation signs, too"`
	Waiting        int        `json:"waiting" doc:"Events that are queued for it, those that are to be tried again included"`
	Dropped        int        `json:"dropped" doc:"Events that were thrown away since the server started, because too many waited"`
	Secret         string     `json:"secret,omitempty" doc:"What signs the events, whsec_ and base64; only in the answer that makes it"`
}

// WebhookInput is what an endpoint is made of.
type WebhookInput struct {
	URL    string   `json:"url" maxLength:"2048" doc:"An https address that the internet reaches; no user, no fragment"`
	Events []string `json:"events,omitempty" doc:"Types of events; left out: all of them"`
}

// WebhookPatch changes an endpoint; nil members stay as they are.
type WebhookPatch struct {
	URL      *string   `json:"url,omitempty" maxLength:"2048" doc:"An https address that the internet reaches; no user, no fragment"`
	Events   *[]string `json:"events,omitempty" doc:"All types of events, in place of the present ones"`
	Disabled *bool     `json:"disabled,omitempty" doc:"true stops it and throws away what is queued; false lets it begin anew"`
}

// WebhookDelivery is one try to deliver one event to one endpoint.
type WebhookDelivery struct {
	ID      string     `json:"id" doc:"The try's id"`
	Event   string     `json:"event" doc:"The event's id: webhook-id, the same at each try"`
	Type    string     `json:"type" doc:"The event's type"`
	Time    time.Time  `json:"time" doc:"When it was tried"`
	Attempt int        `json:"attempt" doc:"The how manieth try it was, from 1; 0: a test or one that was sent again by hand"`
	OK      bool       `json:"ok" doc:"Whether the receiver took it"`
	Status  int        `json:"status,omitempty" doc:"The receiver's HTTP status; none where there was no answer"`
	Latency int64      `json:"latency_ms" doc:"How long it took, in milliseconds"`
	Error   string     `json:"error,omitempty" doc:"What went wrong, for people"`
	Answer  string     `json:"answer,omitempty" doc:"How the receiver's answer begins, where it was not taken"`
	Next    *time.Time `json:"next,omitempty" doc:"When it will be tried again"`
}
