package pusher

import (
	"encoding/json"
	"strconv"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// activityTimeout is after how many silent seconds a client asks whether the
// server is there. It hears pings of the session more often.
const activityTimeout = 120

// say puts a frame into Pusher's words; see session.Tongue.
func say(f *hub.Frame, each func([]byte)) {
	r := f.Reply
	if r == nil {
		if f.Type == protocol.TypeMessage {
			each(sayMessage(f))
		}
		return
	}
	switch r.Type { // of what else is answered, Pusher's clients know nothing
	case protocol.TypeSubscribed:
		each(sayOn("pusher_internal:subscription_succeeded", r.Channel, []byte("{}")))
	case protocol.TypePresence:
		sayPresence(f, each)
	case protocol.TypeOccupancy:
		each(sayOn("pusher_internal:subscription_count", r.Channel, []byte(`{"subscription_count":`+strconv.Itoa(r.Occupancy.Subscribers)+`}`)))
	case protocol.TypePing:
		each([]byte(`{"event":"pusher:ping","data":{}}`))
	case protocol.TypeError:
		each(sayError(0, r.Message))
	case protocol.TypeClose:
		e := protocol.NewError(r.Code)
		e.Message, e.Close = r.Message, r.Close
		if info, _ := r.Code.Info(); info.Close == r.Close {
			e.Close = 0
		}
		code, _ := closeCode(e)
		each(sayError(code, r.Message+" "+r.Remedy))
	}
}

// sayError is an error event; code 0 is none.
func sayError(code int, message string) []byte {
	b := []byte(`{"event":"pusher:error","data":{"code":`)
	if code == 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(code), 10)
	}
	b = append(b, `,"message":`...)
	return append(appendString(b, message), "}}"...)
}

// sayOn is an event on a channel, whose data is JSON in a string.
func sayOn(event string, ch protocol.Channel, data []byte) []byte {
	b := append(make([]byte, 0, len(data)+len(ch)+96), `{"event":`...)
	b = appendString(b, event)
	b = append(b, `,"channel":`...)
	b = appendString(b, string(ch))
	b = append(b, `,"data":`...)
	return append(appendString(b, string(data)), '}')
}

// message is what of a message frame is said.
type message struct {
	Event string          `json:"event"`
	User  string          `json:"user"`
	Data  json.RawMessage `json:"data"`
}

// sayMessage says a message of any door's. Its data goes as a string: a string
// as it is, all else as the JSON that it is.
func sayMessage(f *hub.Frame) []byte {
	var m message
	if json.Unmarshal(f.Line, &m) != nil { // it is the hub's own
		return nil
	}
	event := m.Event
	if event == "" {
		event = "message"
	}
	b := append(make([]byte, 0, len(f.Line)+64), `{"event":`...)
	b = appendString(b, event)
	b = append(b, `,"channel":`...)
	b = appendString(b, string(f.Channel))
	b = append(b, `,"data":`...)
	if m.Data[0] == '"' {
		b = append(b, m.Data...)
	} else {
		b = appendString(b, string(m.Data))
	}
	if k, _ := kindOf(string(f.Channel)); k.presence && m.User != "" {
		b = append(b, `,"user_id":`...)
		b = appendString(b, m.User)
	}
	return append(b, '}')
}

// member is somebody in a presence channel as Pusher tells it.
type member struct {
	ID   json.RawMessage `json:"user_id"`
	Info json.RawMessage `json:"user_info,omitempty"`
}

// numbered is the data of a member whose user_id was no string: it is kept,
// since clients want it back as they gave it.
type numbered struct {
	ID   json.RawMessage `json:"user_id"`
	Info json.RawMessage `json:"user_info,omitempty"`
}

// memberOf is a member of a channel as its clients gave it.
func memberOf(m protocol.Member) member {
	var n numbered
	if len(m.Data) > 0 && m.Data[0] == '{' && json.Unmarshal(m.Data, &n) == nil && string(n.ID) == m.User && m.User != "" {
		return member(n)
	}
	return member{appendString(nil, m.User), m.Data}
}

// sayPresence says who is in a channel: the first page of all members is the
// answer to the subscribe, what comes behind it are members who come and go.
func sayPresence(f *hub.Frame, each func([]byte)) {
	r := f.Reply
	if user, ok := onlineUser(r.Channel); ok {
		sayOnline(r, user, each)
		return
	}
	event := "pusher_internal:member_added"
	switch r.Action {
	case protocol.PresenceSync:
		if f.Page == 0 {
			each(sayOn("pusher_internal:subscription_succeeded", r.Channel, roll(r.Members)))
			return
		}
	case protocol.PresenceLeave:
		event = "pusher_internal:member_removed"
	case protocol.PresenceUpdate:
		return
	}
	for _, m := range r.Members {
		as := memberOf(m)
		if r.Action == protocol.PresenceLeave {
			as.Info = nil
		}
		if data, err := json.Marshal(as); err == nil { // it was checked when it came
			each(sayOn(event, r.Channel, data))
		}
	}
}

// roll is all members at once.
func roll(members []protocol.Member) []byte {
	var p struct {
		Presence struct {
			Count int                        `json:"count"`
			IDs   []json.RawMessage          `json:"ids"`
			Hash  map[string]json.RawMessage `json:"hash"`
		} `json:"presence"`
	}
	p.Presence.Count, p.Presence.IDs, p.Presence.Hash = len(members), []json.RawMessage{}, map[string]json.RawMessage{}
	for _, m := range members {
		as := memberOf(m)
		p.Presence.IDs = append(p.Presence.IDs, as.ID)
		if p.Presence.Hash[m.User] = as.Info; as.Info == nil {
			p.Presence.Hash[m.User] = json.RawMessage("null")
		}
	}
	data, err := json.Marshal(p)
	if err != nil { // all of it was checked when it came
		return []byte(`{"presence":{"count":0,"ids":[],"hash":{}}}`)
	}
	return data
}

// sayOnline says whether a user on somebody's watchlist is there.
func sayOnline(r *protocol.Reply, user string, each func([]byte)) {
	name := "online"
	switch r.Action {
	case protocol.PresenceSync:
		if len(r.Members) == 0 { // who is away is not told at first
			return
		}
	case protocol.PresenceLeave:
		name = "offline"
	case protocol.PresenceUpdate:
		return
	}
	data := append([]byte(`{"events":[{"name":"`+name+`","user_ids":[`), appendString(nil, user)...)
	data = append(data, "]}]}"...)
	b := append([]byte(nil), `{"event":"pusher_internal:watchlist_events","data":`...)
	each(append(appendString(b, string(data)), '}'))
}

func onlineUser(ch protocol.Channel) (user string, ok bool) {
	if len(ch) > len(onlinePrefix) && string(ch[:len(onlinePrefix)]) == onlinePrefix {
		return string(ch[len(onlinePrefix):]), true
	}
	return "", false
}

// appendString appends s as a JSON string, without the escapes that JSON does
// not ask for. s is UTF-8.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i, c := range []byte(s) {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		switch from = i + 1; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
