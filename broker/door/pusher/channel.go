package pusher

import (
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// kind is what a channel's name says of it.
type kind struct {
	private   bool // needs a signature; also encrypted and presence channels
	encrypted bool
	presence  bool
	cache     bool // shows its newest event to who comes
}

// Channels of the door's own. No client can name them but for its user's.
const (
	userPrefix   = "#server-to-user-" // messages for a user
	onlinePrefix = "#online-"         // whether a user is there
)

const maxChannelName = 164

// kindOf is a channel's kind; ok is false where the name is not one.
func kindOf(name string) (k kind, ok bool) {
	if name == "" || len(name) > maxChannelName || strings.Trim(name, nameBytes) != "" {
		return kind{}, false
	}
	rest := name
	switch {
	case strings.HasPrefix(name, "private-encrypted-"):
		k.private, k.encrypted, rest = true, true, name[len("private-encrypted-"):]
	case strings.HasPrefix(name, "private-"):
		k.private, rest = true, name[len("private-"):]
	case strings.HasPrefix(name, "presence-"):
		k.private, k.presence, rest = true, true, name[len("presence-"):]
	}
	k.cache = strings.HasPrefix(rest, "cache-")
	return k, true
}

const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=@,.;"

// userOf is the user whose messages ch carries; "" where it is another channel.
func userOf(ch protocol.Channel) string {
	user, _ := strings.CutPrefix(string(ch), userPrefix)
	if len(user) == len(ch) {
		return ""
	}
	return user
}

// clientEvent reports whether an event came from a client by its name.
func clientEvent(name string) bool { return strings.HasPrefix(name, "client-") }
