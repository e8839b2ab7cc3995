package tenant

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Rule sets how the channels of a namespace behave. The namespace "chat" is
// that of "chat:1" and of "chat:eu:1"; "" is the whole app. For each setting
// the rule with the longest namespace that says something about it wins.
type Rule struct {
	Namespace          string `json:"namespace" doc:"Namespace without the last colon, as in chat for chat:1; empty is the whole app"`
	PublishFromClients *bool  `json:"publish_from_clients,omitempty" doc:"Whether clients that are granted it may publish; default true"`
	Echo               *bool  `json:"echo,omitempty" doc:"Whether a publisher gets its own messages too; default true"`
}

// maxRules is the most rules of an app.
const maxRules = 100

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
	}
	return nil
}

// longestFirst is a copy of rules in the order in which they are asked.
func longestFirst(rules []Rule) []Rule {
	out := slices.Clone(rules)
	slices.SortStableFunc(out, func(a, b Rule) int { return cmp.Compare(len(b.Namespace), len(a.Namespace)) })
	return out
}

// setting is what sorted rules say about ch; true where they say nothing.
func setting(sorted []Rule, ch protocol.Channel, of func(*Rule) *bool) bool {
	ns := ch.Namespace()
	for i := range sorted {
		if v := of(&sorted[i]); v != nil && within(ns, sorted[i].Namespace) {
			return *v
		}
	}
	return true
}

// within reports whether namespace ns is rule's or below it.
func within(ns, rule string) bool {
	rest, ok := strings.CutPrefix(ns, rule)
	return ok && (rule == "" || rest == "" || rest[0] == ':')
}
