package pusher

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// command is what a client sends, by its event.
type command struct {
	Event   string
	Channel string
	Data    json.RawMessage // nil: there is none
}

// decode reads a client's text frame. ok is false where it is not an event.
func decode(frame []byte) (c command, ok bool) {
	var e struct {
		Event   *string         `json:"event"`
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	}
	if !utf8.Valid(frame) || json.Unmarshal(frame, &e) != nil || e.Event == nil {
		return command{}, false
	}
	return command{*e.Event, e.Channel, e.Data}, true
}

// object decodes the data of a command, which some clients send as JSON in a
// string.
func (c *command) object(into any) bool {
	data := bytes.TrimSpace(c.Data)
	if len(data) > 0 && data[0] == '"' {
		var text string
		if json.Unmarshal(data, &text) != nil {
			return false
		}
		data = []byte(text)
	}
	return len(data) > 0 && data[0] == '{' && json.Unmarshal(data, into) == nil
}

// subscription is the data of a subscribe or unsubscribe.
type subscription struct {
	Channel     string `json:"channel"`
	Auth        string `json:"auth"`
	ChannelData string `json:"channel_data"`
}

const (
	maxUserID   = 128  // bytes
	maxUserInfo = 1024 // bytes
	maxWatched  = 100  // users
)

// presenceData reads who a client says it is in a presence channel.
func presenceData(text string) (user string, data json.RawMessage, ok bool) {
	var p struct {
		ID   json.RawMessage `json:"user_id"`
		Info json.RawMessage `json:"user_info"`
	}
	if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &p) != nil || len(p.ID) == 0 || len(p.Info) > maxUserInfo {
		return "", nil, false
	}
	if string(p.Info) == "null" {
		p.Info = nil
	}
	if p.ID[0] == '"' {
		if json.Unmarshal(p.ID, &user) != nil {
			return "", nil, false
		}
		return user, p.Info, goodUser(user)
	}
	var n json.Number
	if json.Unmarshal(p.ID, &n) != nil || n == "" {
		return "", nil, false
	}
	data, err := json.Marshal(numbered{json.RawMessage(n), p.Info})
	return string(n), data, err == nil && goodUser(string(n))
}

func goodUser(id string) bool {
	if id == "" || len(id) > maxUserID {
		return false
	}
	for _, r := range id {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	return true
}

// userData is who a client says it is when it signs in.
type userData struct {
	ID        string   `json:"id"`
	Watchlist []string `json:"watchlist"`
}

// parseUser reads user_data, whose id must be a string.
func parseUser(text string) (u userData, ok bool) {
	if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &u) != nil || !goodUser(u.ID) {
		return userData{}, false
	}
	return u, true
}
