package tenant

import (
	"regexp"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Door is a protocol of somebody else's clients.
type Door string

// The doors that an app may open.
const (
	DoorPusher Door = "pusher" // Pusher Channels, protocol 7, and its HTTP API
	DoorGoEasy Door = "goeasy" // GoEasy, pubsub
)

// Doors are those that an app has open.
type Doors struct {
	Pusher bool `json:"pusher,omitempty" doc:"Whether clients and servers made for Pusher Channels are let in"`
	GoEasy bool `json:"goeasy,omitempty" doc:"Whether clients and servers made for GoEasy are let in"`
}

// DoorsPatch opens and closes doors; nil members stay as they are.
type DoorsPatch struct {
	Pusher *bool `json:"pusher,omitempty" doc:"Whether clients and servers made for Pusher Channels are let in"`
	GoEasy *bool `json:"goeasy,omitempty" doc:"Whether clients and servers made for GoEasy are let in"`
}

func (p *DoorsPatch) on(d Doors) Doors {
	if p.Pusher != nil {
		d.Pusher = *p.Pusher
	}
	if p.GoEasy != nil {
		d.GoEasy = *p.GoEasy
	}
	return d
}

// open reports whether a door is.
func (d Doors) open(door Door) bool {
	return door == DoorPusher && d.Pusher || door == DoorGoEasy && d.GoEasy
}

// Role is what one key of a DoorKey is for.
type Role string

// The roles of keys. A secret is none: it is never looked up.
const (
	RoleAppID     Role = "app_id"    // Pusher: the app in the HTTP API's addresses; it opens nothing
	RoleKey       Role = "key"       // Pusher: public
	RoleCommon    Role = "common"    // GoEasy: clients that subscribe and publish, and servers
	RoleSubscribe Role = "subscribe" // GoEasy: clients that subscribe
	RoleRest      Role = "rest"      // GoEasy: servers
	RoleClient    Role = "client"    // GoEasy: clients that bring a one-time password
)

// slot is one part of a door's credentials.
type slot struct {
	role    Role // "" is the secret
	name    string
	form    *regexp.Regexp
	make    func() string
	missing bool // whether it may be
	shared  bool // whether other credentials may have the same
}

const hexDigits = "0123456789abcdef"

// slots are the parts of a door's credentials, in the order in which they are
// imported; nil where there is no such door.
func (d Door) slots() []slot {
	key, text := regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`), func(prefix string, n int) func() string {
		return func() string { return prefix + random(n, hexDigits) }
	}
	switch d {
	case DoorPusher:
		return []slot{
			{role: RoleAppID, name: "app_id", form: key, shared: true, make: func() string { return "1" + random(8, hexDigits[:10]) }},
			{role: RoleKey, name: "key", form: key, make: text("", 20)},
			{name: "secret", form: regexp.MustCompile(`^[!-~]{1,200}$`), make: text("", 32)},
		}
	case DoorGoEasy:
		return []slot{
			{role: RoleCommon, name: "common-key", form: key, make: text("BC-", 32)},
			{role: RoleSubscribe, name: "subscribe-key", form: key, make: text("BS-", 32)},
			{role: RoleRest, name: "rest-key", form: key, make: text("PR-", 32)},
			{name: "secret-key", form: regexp.MustCompile(`^([!-~]{16}|[!-~]{24}|[!-~]{32})$`), make: text("", 16)},
			{role: RoleClient, name: "client-key", form: key, make: text("CK-", 32), missing: true},
		}
	}
	return nil
}

// fill puts what was given into a door's slots, and makes the rest where
// nothing was. The errors are bad_request.
func (d Door) fill(given []string) (keys map[Role]string, secret string, err error) {
	slots := d.slots()
	if slots == nil {
		return nil, "", badRequest(`The member "door" must be pusher or goeasy.`)
	}
	least, names := 0, make([]string, 0, len(slots))
	for _, s := range slots {
		if names = append(names, s.name); !s.missing {
			least++
		}
	}
	if len(given) > 0 && (len(given) < least || len(given) > len(slots)) {
		return nil, "", badRequest("There are %d parts; a %s credential has %d: %s.", len(given), d, least, strings.Join(names, ","))
	}
	keys, seen := map[Role]string{}, map[string]bool{}
	for i, s := range slots {
		var text string
		switch {
		case len(given) == 0:
			text = s.make()
		case i < len(given):
			text = given[i]
		default:
			continue
		}
		if !s.form.MatchString(text) {
			return nil, "", badRequest("The %s of the %s credential is not one: it must match %s.", s.name, d, s.form)
		}
		if s.role == "" {
			secret = text
			continue
		}
		if seen[text] && !s.shared {
			return nil, "", badRequest("The %s of the %s credential is there twice.", s.name, d)
		}
		seen[text] = !s.shared
		keys[s.role] = text
	}
	return keys, secret, nil
}

// unique are the keys of a credential that nobody else may have.
func (d Door) unique(keys map[Role]string) []string {
	var out []string
	for _, s := range d.slots() {
		if text := keys[s.role]; text != "" && !s.shared {
			out = append(out, text)
		}
	}
	return out
}

// isCache reports whether a channel's newest event is shown to who comes, as
// Pusher's names say.
func isCache(ch protocol.Channel) bool {
	name := string(ch)
	for _, kind := range []string{"private-encrypted-", "private-", "presence-"} {
		if rest, ok := strings.CutPrefix(name, kind); ok {
			name = rest
			break
		}
	}
	return strings.HasPrefix(name, "cache-")
}
