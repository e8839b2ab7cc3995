package protocol

import "strings"

// Action is something a grant allows on a channel.
type Action string

// The actions.
const (
	Subscribe Action = "subscribe"
	Publish   Action = "publish"
	Presence  Action = "presence"
	History   Action = "history"
)

// Grants says what a key or a token may do. Each entry is a channel's exact
// name, or a prefix followed by '*'; "*" alone is every channel. The zero
// value allows nothing.
type Grants struct {
	Subscribe []string `json:"subscribe,omitempty" doc:"Channels it may subscribe to: exact names, or a prefix followed by *"`
	Publish   []string `json:"publish,omitempty" doc:"Channels it may publish to"`
	Presence  []string `json:"presence,omitempty" doc:"Channels whose members it may see and join"`
	History   []string `json:"history,omitempty" doc:"Channels whose past it may read"`
}

// AllGrants allows everything.
func AllGrants() Grants {
	all := []string{"*"}
	return Grants{Subscribe: all, Publish: all, Presence: all, History: all}
}

// Allows reports whether g allows a on ch.
func (g Grants) Allows(a Action, ch Channel) bool {
	for _, p := range g.list(a) {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			if strings.HasPrefix(string(ch), prefix) {
				return true
			}
		} else if p == string(ch) {
			return true
		}
	}
	return false
}

// Check returns an *Error unless every entry could name a channel and no list
// has more than 1,000 entries.
func (g Grants) Check() error {
	for _, a := range []Action{Subscribe, Publish, Presence, History} {
		list := g.list(a)
		if len(list) > 1000 {
			return Errorf(CodeBadRequest, "The grant %s has %d entries; 1000 is the most.", a, len(list))
		}
		for _, p := range list {
			if name := strings.TrimSuffix(p, "*"); name != "" || p == "" {
				if _, err := ParseChannel(name); err != nil {
					return Errorf(CodeBadRequest, "The grant %s has an entry that is no channel name or prefix: %q.", a, p)
				}
			}
		}
	}
	return nil
}

func (g Grants) list(a Action) []string {
	switch a {
	case Subscribe:
		return g.Subscribe
	case Publish:
		return g.Publish
	case Presence:
		return g.Presence
	case History:
		return g.History
	}
	return nil
}
