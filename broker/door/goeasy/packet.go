package goeasy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// The packets of engine.io 3 (its protocol's section "Encoding"): a digit and
// what belongs to it. Only text is spoken here.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
)

// The kinds of socket.io 2 (its parser's protocol 4), of which a packet of type
// message holds one.
const (
	kindConnect    = '0'
	kindDisconnect = '1'
	kindEvent      = '2'
	kindAck        = '3'
)

// maxAckID is the largest number that a client's counter can be trusted to
// give back as it was.
const maxAckID = 1<<53 - 1

// call is what a client asks for with an event.
type call struct {
	kind  byte            // kindEvent, or another that has nothing below
	space string          // the namespace; "" is the only one there is
	ack   int64           // the number that the answer names; -1: none is wanted
	event string          // its name
	body  json.RawMessage // the first argument; nil: there is none
}

var errPacket = errors.New("goeasy: not a packet of engine.io 3 with text of socket.io 2")

// decodeCall reads what a packet of type message holds: a kind, maybe a
// namespace and a comma, maybe a number, and JSON. Attachments are refused:
// no client of this wire sends binary.
func decodeCall(text []byte) (call, error) {
	c := call{ack: -1}
	if len(text) == 0 || !utf8.Valid(text) {
		return c, errPacket
	}
	c.kind, text = text[0], text[1:]
	if c.kind < kindConnect || c.kind > kindAck {
		return c, errPacket
	}
	if len(text) > 0 && text[0] == '/' {
		space, rest, _ := bytes.Cut(text, []byte{','})
		if len(space) > 64 {
			return c, errPacket
		}
		c.space, text = string(space[1:]), rest
	}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		n, err := strconv.ParseInt(string(text[:digits]), 10, 64)
		if err != nil || n > maxAckID {
			return c, errPacket
		}
		c.ack, text = n, text[digits:]
	}
	switch c.kind {
	case kindConnect, kindDisconnect:
		return c, nil
	case kindAck: // an answer to what this server never asks
		if c.ack < 0 {
			return c, errPacket
		}
		return c, nil
	}
	var args []json.RawMessage
	if err := json.Unmarshal(text, &args); err != nil || len(args) == 0 {
		return c, errPacket
	}
	if err := json.Unmarshal(args[0], &c.event); err != nil || args[0][0] != '"' {
		return c, errPacket
	}
	if len(args) > 1 {
		c.body = args[1]
	}
	return c, nil
}

// appendEvent appends the packet of an event with one argument, which must be
// JSON.
func appendEvent(b []byte, event string, body []byte) []byte {
	b = append(b, packetMessage, kindEvent, '[', '"')
	b = append(b, event...)
	b = append(b, '"', ',')
	b = append(b, body...)
	return append(b, ']')
}

// appendAnswer appends the packet that answers a call, with one argument,
// which must be JSON.
func appendAnswer(b []byte, ack int64, body []byte) []byte {
	b = append(b, packetMessage, kindAck)
	b = strconv.AppendInt(b, ack, 10)
	b = append(b, '[')
	b = append(b, body...)
	return append(b, ']')
}
