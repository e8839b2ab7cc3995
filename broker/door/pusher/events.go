package pusher

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxEventData = 10 << 10 // bytes
	maxChannels  = 100      // of one event
	maxBatch     = 10       // events

	tooLarge = "The data content of this event exceeds the allowed maximum (10240 bytes)."
)

// event is what a server publishes.
type event struct {
	Name     string   `json:"name"`
	Data     *string  `json:"data"`
	Channel  string   `json:"channel"`
	Channels []string `json:"channels"`
	SocketID string   `json:"socket_id"`
	Info     string   `json:"info"`
}

// events publishes one event to one or several channels.
func (d *Door) events(c *call) (any, error) {
	var e event
	if err := c.read(&e); err != nil {
		return nil, err
	}
	if len(e.Channels) == 0 {
		e.Channels = []string{e.Channel}
	}
	if err := d.publish(c, []event{e}); err != nil {
		return nil, err
	}
	out := map[string]any{}
	if e.Info != "" {
		all := map[string]any{}
		for _, name := range e.Channels {
			all[name] = d.attributes(c, name, e.Info)
		}
		out["channels"] = all
	}
	return out, nil
}

// batch publishes several events.
func (d *Door) batch(c *call) (any, error) {
	var in struct {
		Batch []event `json:"batch"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if len(in.Batch) > maxBatch {
		return nil, faultf(http.StatusBadRequest, "Batch too large (> 10)")
	}
	asked := false
	for i := range in.Batch {
		e := &in.Batch[i]
		e.Channels = []string{e.Channel}
		asked = asked || e.Info != ""
	}
	if err := d.publish(c, in.Batch); err != nil {
		return nil, err
	}
	out := map[string]any{}
	if asked {
		all := make([]any, len(in.Batch))
		for i, e := range in.Batch {
			all[i] = d.attributes(c, e.Channel, e.Info)
		}
		out["batch"] = all
	}
	return out, nil
}

// oldEvent publishes as libraries did before there was /events: the body is
// the data.
func (d *Door) oldEvent(c *call) (any, error) {
	data := string(c.body)
	e := event{Name: c.URL.Query().Get("name"), Data: &data, Channels: []string{c.PathValue("channel")}, SocketID: c.URL.Query().Get("socket_id")}
	return nil, d.publish(c, []event{e})
}

// userEvent publishes an event to a user.
func (d *Door) userEvent(c *call) (any, error) {
	var e event
	if err := c.read(&e); err != nil {
		return nil, err
	}
	e.Channels = []string{userPrefix + c.PathValue("user")}
	return struct{}{}, d.publish(c, []event{e})
}

// publish checks all events before it publishes any.
func (d *Door) publish(c *call, events []event) error {
	agent := c.pass.Agent()
	for i := range events {
		if err := events[i].check(); err != nil {
			return err
		}
	}
	for len(events) > 0 { // at once what has the same socket to leave out
		n, socket := 0, events[0].SocketID
		var msgs []protocol.Outgoing
		for ; n < len(events) && events[n].SocketID == socket; n++ {
			for _, ch := range events[n].Channels {
				msgs = append(msgs, protocol.Outgoing{Channel: protocol.Channel(ch), Event: events[n].Name, Data: dataOf(*events[n].Data)})
			}
		}
		if _, err := d.o.Hub.Publish(c.Context(), agent, hub.Origin{Session: socket}, msgs); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// check returns a fault unless the event can be published.
func (e *event) check() error {
	switch {
	case e.Name == "" || len(e.Name) > maxEventName:
		return faultf(http.StatusBadRequest, "The name of an event has 1 to 200 bytes.")
	case e.Data == nil:
		return faultf(http.StatusBadRequest, "The data of an event must be a string.")
	case len(*e.Data) > maxEventData:
		return faultf(http.StatusRequestEntityTooLarge, tooLarge)
	case len(e.Channels) > maxChannels:
		return faultf(http.StatusBadRequest, "An event goes to 100 channels at most.")
	case e.SocketID != "" && !isSocketID(e.SocketID):
		return faultf(http.StatusBadRequest, "The socket_id is not valid.")
	}
	seen := map[string]bool{}
	for _, name := range e.Channels {
		k, ok := kindOf(name)
		if user := userOf(protocol.Channel(name)); !ok && !goodUser(user) {
			return faultf(http.StatusBadRequest, "The channel name "+strings.ToValidUTF8(clip(name), "?")+" is not valid.")
		}
		if k.encrypted && len(e.Channels) > 1 {
			return faultf(http.StatusBadRequest, "An event for an encrypted channel cannot go to other channels too.")
		}
		if seen[name] {
			return faultf(http.StatusBadRequest, "A channel is named twice.")
		}
		seen[name] = true
	}
	return nil
}

// isSocketID reports whether s is two numbers with a dot between.
func isSocketID(s string) bool {
	a, b, ok := strings.Cut(s, ".")
	return ok && a != "" && b != "" && strings.Trim(a, "0123456789") == "" && strings.Trim(b, "0123456789") == ""
}

// dataOf is an event's data as all doors get it. JSON is JSON; what is no JSON,
// or would not come out of this door again byte for byte, is a string.
func dataOf(text string) json.RawMessage {
	if text == "" || text[0] == '"' || text != strings.TrimSpace(text) || strings.ContainsAny(text, "\r\n") || !json.Valid([]byte(text)) {
		return appendString(nil, text)
	}
	return json.RawMessage(text)
}
