package pusher

import (
	"errors"
	"strings"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// signIn makes the client a user's: messages for the user come from then on,
// others see it online, and it sees those on its watchlist. An error ends the
// connection.
func (c *client) signIn(cmd *command) error {
	var in struct {
		Auth     string `json:"auth"`
		UserData string `json:"user_data"`
	}
	if !cmd.object(&in) {
		return c.complain("The data of pusher:signin must be an object with auth and user_data.")
	}
	if !c.door.vouched(c.pass, in.Auth, c.session.ID()+"::user::"+in.UserData) {
		return refusal(codeUnauthorized, protocol.CodeTokenInvalid, "The signature of the user's data is not right.")
	}
	u, ok := parseUser(in.UserData)
	if !ok {
		return refusal(codeUnauthorized, protocol.CodeTokenInvalid, "The user_data has no id that is a string of 1 to 128 bytes.")
	}
	if c.user != "" && c.user != u.ID {
		return refusal(codeUnauthorized, protocol.CodeTokenMismatch, "The connection belongs to another user already.")
	}
	if c.user == "" {
		if err := c.becomes(u.ID); err != nil {
			return protocol.AsError(err)
		}
	}
	c.userData = in.UserData
	var answer []byte
	answer = append(answer, `{"user_data":`...)
	answer = append(appendString(answer, in.UserData), '}')
	said := append([]byte(`{"event":"pusher:signin_success","data":`), appendString(nil, string(answer))...)
	c.session.Say(append(said, '}'))
	return c.watch(u.Watchlist)
}

// becomes makes the session the user's.
func (c *client) becomes(user string) error {
	if err := c.session.Authorise(c.pass.Guest(user, userGrants(user))); err != nil {
		return err
	}
	c.user = user
	if err := c.session.Subscribe(session.Wish{Command: protocol.Command{Channel: protocol.Channel(userPrefix + user)}}); err != nil {
		return err
	}
	return without(protocol.CodePresenceOff, c.session.Enter(protocol.Channel(onlinePrefix+user), protocol.Member{User: user}))
}

// watch tells the client of users who come and go.
func (c *client) watch(users []string) error {
	if len(users) > maxWatched {
		c.session.Say(sayError(codeWatchlist, "The watchlist has more than 100 users; the first 100 are watched."))
		users = users[:maxWatched]
	}
	for _, user := range users {
		if !goodUser(user) || strings.ContainsAny(user, "\r\n") {
			continue // nobody has that id
		}
		err := without(protocol.CodePresenceOff, c.session.Watch(protocol.Channel(onlinePrefix+user), hub.Watched{Members: true}))
		if err != nil {
			return protocol.AsError(err)
		}
	}
	return nil
}

// without is err unless it is of the code: an app whose rules have no presence
// has users all the same, of whom nobody knows whether they are online.
func without(code protocol.Code, err error) error {
	if errors.Is(err, protocol.NewError(code)) {
		return nil
	}
	return err
}
