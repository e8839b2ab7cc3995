package goeasy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// letter is the argument of publish, from clients and servers. What would tell
// phones through their makers' services is not read.
type letter struct {
	Channel string          `json:"channel"`
	Content json.RawMessage `json:"content"`
	GUID    string          `json:"guid"` // the same when it is sent again
	QoS     *int            `json:"q"`
	Access  string          `json:"at"`
}

// publish carries out a client's.
func (s *speaker) publish(body json.RawMessage) (any, error) {
	var l letter
	if err := read(body, &l); err != nil {
		return nil, err
	}
	from := hub.Origin{} // who it says it is it has not proved
	if ch := protocol.Channel(l.Channel); !s.sess.Who().Echo(ch) {
		from.Session = s.sess.ID()
	}
	return nil, s.door.post(s.sess.Context(), &s.client, s.sess.Who(), from, &l)
}

// post publishes a letter for a client or a server.
func (d *Door) post(ctx context.Context, c *client, who *tenant.Principal, from hub.Origin, l *letter) error {
	ch, err := channelOf(l.Channel)
	if err != nil {
		return err
	}
	data, err := textOf(l.Content)
	if err != nil {
		return err
	}
	id := l.GUID
	if id == "" {
		id = rand.Text()
	}
	if l.QoS == nil || *l.QoS < 1 {
		id += quietMark
	}
	if protocol.CheckID(id) != nil {
		return badCall("The guid is not one: up to 60 characters of A-Z a-z 0-9 . _ : - are.")
	}
	if who.Kind != tenant.KindAgent {
		if err := d.mayUse(c, ch, l.Access, true); err != nil {
			return err
		}
	}
	_, err = d.o.Hub.Publish(ctx, who, from, []protocol.Outgoing{{Channel: ch, Data: data, ID: id}})
	return err
}

// textOf is a message's content as data: a JSON string.
func textOf(content json.RawMessage) (json.RawMessage, error) {
	switch {
	case len(content) == 0 || string(content) == "null":
		return nil, badCall("The call has no content.")
	case content[0] == '{' || content[0] == '[':
		return nil, badCall("The content must be a string.")
	case content[0] != '"': // a number, or a boolean: 1.x lets apps give one
		return quote(string(content)), nil
	}
	var text string // anew, since it may be written with many escapes
	if err := json.Unmarshal(content, &text); err != nil {
		return nil, badCall("The content is not valid JSON.")
	}
	return quote(text), nil
}

// quote is text as JSON, with no more escapes than it needs.
func quote(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil { // a string always encodes
		return json.RawMessage(`""`)
	}
	return bytes.TrimSpace(b.Bytes())
}
