package api

import (
	"fmt"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxBatch is the most messages of one request.
const maxBatch = 1000

// decodePublish reads a body of POST /v1/messages in any of its three forms
// (PROTOCOL.md, clause 9.3); batch is false for the form with one message. The
// data of the messages are parts of body. Names, ids and data are left to the
// hub, which checks them for every door. The error is a *protocol.Error.
func decodePublish(body []byte) (msgs []protocol.Outgoing, batch bool, err error) {
	if err := checkJSON(body); err != nil {
		return nil, false, err
	}
	var m draft
	var channels, messages []byte
	isObject, err := members(body, func(name string, value []byte) error {
		switch name {
		case "channels":
			return once(&channels, name, value)
		case "messages":
			return once(&messages, name, value)
		}
		return m.set(name, value, "channel, channels, messages, data, event, id, if_position, first")
	})
	switch {
	case err != nil:
		return nil, false, err
	case !isObject:
		return nil, false, protocol.Errorf(protocol.CodeBadRequest, "The body is not a JSON object.")
	case messages != nil && (channels != nil || m.seen != 0), channels != nil && m.seen&seenChannel != 0:
		return nil, false, protocol.Errorf(protocol.CodeBadRequest, `A body has either "channel" or "channels", with "data" beside it, or "messages" alone.`)
	case channels != nil && m.seen&seenIfPosition != 0:
		return nil, false, oneMessage(`The member "if_position"`)
	case messages != nil:
		msgs, err = decodeMessages(messages)
		return msgs, true, err
	case channels != nil:
		msgs, err = decodeChannels(channels, m.Outgoing)
		return msgs, true, err
	case m.seen&seenChannel == 0:
		return nil, false, protocol.Errorf(protocol.CodeBadRequest, `The member "channel" is missing.`)
	}
	return []protocol.Outgoing{m.Outgoing}, false, nil
}

// oneMessage is for what a batch cannot have: what other messages of it did
// could not be taken back.
func oneMessage(what string) *protocol.Error {
	return protocol.Errorf(protocol.CodeBadRequest, "%s is for one message, and this is a batch.", what)
}

// decodeMessages reads the list of a batch.
func decodeMessages(list []byte) ([]protocol.Outgoing, error) {
	var msgs []protocol.Outgoing
	isArray, err := items(list, func(i int, value []byte) error {
		if i == maxBatch {
			return protocol.NewError(protocol.CodeBatchTooLarge)
		}
		var m draft
		isObject, err := members(value, func(name string, value []byte) error {
			return m.set(name, value, "channel, data, event, id, first")
		})
		switch {
		case err != nil:
			return protocol.AsError(err).At(i)
		case !isObject:
			return protocol.Errorf(protocol.CodeBadRequest, `The member "messages[%d]" is not a JSON object.`, i).At(i)
		case m.seen&seenChannel == 0:
			return protocol.Errorf(protocol.CodeBadRequest, `The member "messages[%d].channel" is missing.`, i).At(i)
		case m.seen&seenIfPosition != 0:
			return oneMessage(`The member "if_position"`).At(i)
		}
		msgs = append(msgs, m.Outgoing)
		return nil
	})
	return checkList("messages", msgs, isArray, err)
}

// decodeChannels makes a message for each channel of a list.
func decodeChannels(list []byte, m protocol.Outgoing) ([]protocol.Outgoing, error) {
	var msgs []protocol.Outgoing
	isArray, err := items(list, func(i int, value []byte) error {
		if i == maxBatch {
			return protocol.NewError(protocol.CodeBatchTooLarge)
		}
		ch, ok := text(value)
		if !ok {
			return protocol.Errorf(protocol.CodeBadRequest, `The member "channels[%d]" is not a string.`, i).At(i)
		}
		m.Channel = protocol.Channel(ch)
		msgs = append(msgs, m)
		return nil
	})
	return checkList("channels", msgs, isArray, err)
}

func checkList(name string, msgs []protocol.Outgoing, isArray bool, err error) ([]protocol.Outgoing, error) {
	switch {
	case err != nil:
		return nil, err
	case !isArray:
		return nil, protocol.Errorf(protocol.CodeBadRequest, "The member %q is not an array.", name)
	case len(msgs) == 0:
		return nil, protocol.Errorf(protocol.CodeBadRequest, "The member %q is empty.", name)
	}
	return msgs, nil
}

// draft is a message while its members come in.
type draft struct {
	protocol.Outgoing
	seen int // a bit for each member
}

const (
	seenChannel = 1 << iota
	seenData
	seenEvent
	seenID
	seenIfPosition
	seenFirst
)

// set takes one member. A member that nobody knows, or that comes twice, is
// refused: it is a mistake, and guessing would lose it in silence.
func (m *draft) set(name string, value []byte, known string) error {
	var bit int
	switch name {
	case "channel":
		bit = seenChannel
	case "data":
		bit = seenData
	case "event":
		bit = seenEvent
	case "id":
		bit = seenID
	case "if_position":
		bit = seenIfPosition
	case "first":
		bit = seenFirst
	default:
		return protocol.Errorf(protocol.CodeBadRequest, "The member %s is not one that this endpoint takes: %s.", quoted(name), known)
	}
	if m.seen&bit != 0 {
		return protocol.Errorf(protocol.CodeBadRequest, "The member %q is there twice.", name)
	}
	m.seen |= bit
	if bit == seenData {
		m.Data = value
		return nil
	}
	if bit == seenFirst {
		m.First = string(value) == "true"
		if !m.First && string(value) != "false" && string(value) != "null" {
			return protocol.Errorf(protocol.CodeBadRequest, `The member "first" is neither true nor false.`)
		}
		return nil
	}
	s, ok := text(value)
	if !ok && (bit == seenChannel || string(value) != "null") { // null is as good as left out
		return protocol.Errorf(protocol.CodeBadRequest, "The member %q is not a string.", name)
	}
	switch bit {
	case seenChannel:
		m.Channel = protocol.Channel(s)
	case seenEvent:
		m.Event = s
	case seenID:
		m.ID = s
	case seenIfPosition:
		if ok {
			m.IfPosition = new(protocol.Position(s))
		}
	}
	return nil
}

func once(at *[]byte, name string, value []byte) error {
	if *at != nil {
		return protocol.Errorf(protocol.CodeBadRequest, "The member %q is there twice.", name)
	}
	*at = value
	return nil
}

// quoted is a name that a stranger made, short enough to repeat.
func quoted(name string) string {
	if len(name) > 64 {
		return fmt.Sprintf("%q…", name[:64])
	}
	return fmt.Sprintf("%q", name)
}
