package tenant

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Rule sets how the channels of a namespace behave. The namespace "chat" is
// that of "chat:1" and of "chat:eu:1"; "" is the whole app. For each setting
// the rule with the longest namespace that says something about it wins.
type Rule struct {
	Namespace          string `json:"namespace" doc:"Namespace without the last colon, as in chat for chat:1; empty is the whole app"`
	PublishFromClients *bool  `json:"publish_from_clients,omitempty" doc:"Whether clients that are granted it may publish; default true"`
	Echo               *bool  `json:"echo,omitempty" doc:"Whether a publisher gets its own messages too; default true"`

	// Ephemeral channels keep no past. A rule that has a History says that its
	// channels are durable, so it must not be Ephemeral too.
	Ephemeral *bool    `json:"ephemeral,omitempty" doc:"Whether channels keep nothing: no history, no resume, no ids remembered; default false"`
	History   *History `json:"history,omitempty" doc:"What a channel keeps; default 100 messages, 300 seconds"`

	Presence  *bool `json:"presence,omitempty" doc:"Whether there is presence, for those who are granted it; default true"`
	Occupancy *bool `json:"occupancy,omitempty" doc:"Whether subscribers are told how many they are; default false"`
	Webhooks  *bool `json:"webhooks,omitempty" doc:"Whether the app's webhooks are told of messages; default false"`
}

// History is what a channel keeps: its last messages, each for its time.
type History struct {
	Messages int `json:"messages" minimum:"1" maximum:"10000" doc:"How many messages a channel keeps"`
	Age      int `json:"age" minimum:"1" maximum:"2592000" doc:"For how many seconds a message is kept"`
}

// Bounds of rules, and what a channel keeps that no rule speaks of (PROTOCOL.md,
// clause 4.6).
const (
	maxRules        = 100       // of an app
	maxMessages     = 10_000    // of a history
	maxAge          = 2_592_000 // of a history, in seconds
	defaultMessages = 100
	defaultAge      = 5 * time.Minute
	cacheAge        = 30 * time.Minute // least, of a cache channel where Pusher's clients are let in
)

// checkRules returns a bad_request unless the rules can be kept.
func checkRules(rules []Rule) error {
	if len(rules) > maxRules {
		return badRequest("There are %d rules; %d is the most.", len(rules), maxRules)
	}
	seen := make(map[string]bool, len(rules))
	for _, r := range rules {
		if r.Namespace != "" {
			if _, err := protocol.ParseChannel(r.Namespace); err != nil || strings.HasSuffix(r.Namespace, ":") {
				return badRequest("The rule's namespace %q is not valid: it is a channel name's part before the last colon, as in chat for chat:1.", r.Namespace)
			}
		}
		if seen[r.Namespace] {
			return badRequest("There are two rules for the namespace %q.", r.Namespace)
		}
		seen[r.Namespace] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

// check returns a bad_request unless what r says of the past can be kept.
func (r *Rule) check() error {
	h := r.History
	switch {
	case h == nil:
		return nil
	case r.Ephemeral != nil && *r.Ephemeral:
		return badRequest("The rule for the namespace %q is ephemeral and has a history; it can be only one of both.", r.Namespace)
	case h.Messages < 1 || h.Messages > maxMessages:
		return badRequest("The rule for the namespace %q has history.messages %d; it must be from 1 to %d.", r.Namespace, h.Messages, maxMessages)
	case h.Age < 1 || h.Age > maxAge:
		return badRequest("The rule for the namespace %q has history.age %d; it must be from 1 to %d seconds.", r.Namespace, h.Age, maxAge)
	}
	return nil
}

// clone is a copy that shares nothing with r.
func (r Rule) clone() Rule {
	for _, set := range []**bool{&r.PublishFromClients, &r.Echo, &r.Ephemeral, &r.Presence, &r.Occupancy, &r.Webhooks} {
		if *set != nil {
			*set = new(**set)
		}
	}
	if r.History != nil {
		r.History = new(*r.History)
	}
	return r
}

// longestFirst is a copy of rules in the order in which they are asked.
func longestFirst(rules []Rule) []Rule {
	out := slices.Clone(rules)
	slices.SortStableFunc(out, func(a, b Rule) int { return cmp.Compare(len(b.Namespace), len(a.Namespace)) })
	return out
}

// setting is what sorted rules say about ch; otherwise where they say nothing.
func setting(sorted []Rule, ch protocol.Channel, otherwise bool, of func(*Rule) *bool) bool {
	ns := ch.Namespace()
	for i := range sorted {
		if v := of(&sorted[i]); v != nil && within(ns, sorted[i].Namespace) {
			return *v
		}
	}
	return otherwise
}

// kept is how many messages ch keeps and for how long; 0 where it is
// ephemeral. A rule with a history is durable, whatever wider rules say.
func kept(sorted []Rule, ch protocol.Channel) (messages int, age time.Duration) {
	ns, durable := ch.Namespace(), false
	for i := range sorted {
		r := &sorted[i]
		if r.Ephemeral == nil && r.History == nil || !within(ns, r.Namespace) {
			continue
		}
		if !durable && r.Ephemeral != nil && *r.Ephemeral {
			return 0, 0
		}
		durable = true
		if r.History != nil {
			return r.History.Messages, time.Duration(r.History.Age) * time.Second
		}
	}
	return defaultMessages, defaultAge
}

// within reports whether namespace ns is rule's or below it.
func within(ns, rule string) bool {
	rest, ok := strings.CutPrefix(ns, rule)
	return ok && (rule == "" || rest == "" || rest[0] == ':')
}

// Keep is how many messages ch keeps and for how long: 100 and 5 minutes where
// no rule says otherwise. 0 is an ephemeral channel, and one of no app.
func (p *Principal) Keep(ch protocol.Channel) (messages int, age time.Duration) {
	return p.app.keep(ch)
}

// Echo reports whether a publisher on ch gets its own messages too.
func (p *Principal) Echo(ch protocol.Channel) bool {
	return p.app.setting(ch, true, func(r *Rule) *bool { return r.Echo })
}

// Presence reports whether ch has presence, for those who are granted it.
func (p *Principal) Presence(ch protocol.Channel) bool {
	return p.app.setting(ch, true, func(r *Rule) *bool { return r.Presence })
}

// Occupancy reports whether ch's subscribers are told how many they are.
func (p *Principal) Occupancy(ch protocol.Channel) bool {
	return p.app.setting(ch, false, func(r *Rule) *bool { return r.Occupancy })
}

// Webhooks reports whether the app's webhooks are told of ch's messages.
func (p *Principal) Webhooks(ch protocol.Channel) bool {
	return p.app.setting(ch, false, func(r *Rule) *bool { return r.Webhooks })
}

// Keep is Principal.Keep for callers that act for nobody; 0 where there is no
// such app.
func (t *Tenants) Keep(app protocol.AppID, ch protocol.Channel) (messages int, age time.Duration) {
	return t.view.findApp(app).keep(ch)
}

// Webhooks is Principal.Webhooks for callers that act for nobody.
func (t *Tenants) Webhooks(app protocol.AppID, ch protocol.Channel) bool {
	return t.view.findApp(app).setting(ch, false, func(r *Rule) *bool { return r.Webhooks })
}

// keep is what ch keeps; 0 where app is nil or deleted.
func (app *appState) keep(ch protocol.Channel) (messages int, age time.Duration) {
	if app != nil {
		if r := app.record.Load(); r != nil {
			messages, age = kept(r.sorted, ch)
			if r.Doors.Pusher && messages > 0 && age < cacheAge && isCache(ch) {
				age = cacheAge
			}
			return messages, age
		}
	}
	return 0, 0
}

// setting is what the app's rules say about ch now; otherwise where they say
// nothing, or app is nil or deleted.
func (app *appState) setting(ch protocol.Channel, otherwise bool, of func(*Rule) *bool) bool {
	if app != nil {
		if r := app.record.Load(); r != nil {
			return setting(r.sorted, ch, otherwise, of)
		}
	}
	return otherwise
}
