package goeasy

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Long polling carries several packets in one body: each behind its length and
// a colon (engine.io 3, section "Payload"). The length counts what JavaScript
// counts, UTF-16 units.

// maxPackets is how many packets one body may have.
const maxPackets = 1000

// appendPayload appends one packet to a body.
func appendPayload(b []byte, packet []byte) []byte {
	b = strconv.AppendInt(b, int64(units(packet)), 10)
	b = append(b, ':')
	return append(b, packet...)
}

// units is how many UTF-16 units text has.
func units(text []byte) int {
	n := 0
	for _, r := range string(text) {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// decodePayload yields the packets of a body, which share its bytes. Each has
// at least its digit.
func decodePayload(body []byte) ([][]byte, error) {
	var packets [][]byte
	if !utf8.Valid(body) {
		return nil, errPacket
	}
	for len(body) > 0 {
		digits := 0
		for digits < len(body) && body[digits] >= '0' && body[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 9 || digits == len(body) || body[digits] != ':' {
			return nil, errPacket
		}
		left, err := strconv.Atoi(string(body[:digits]))
		if err != nil || left == 0 || len(packets) == maxPackets {
			return nil, errPacket
		}
		body = body[digits+1:]
		end := 0
		for left > 0 && end < len(body) {
			r, size := utf8.DecodeRune(body[end:])
			end += size
			left--
			if r > 0xffff {
				left--
			}
		}
		if left != 0 { // the body is short, or the length ends within a character
			return nil, errPacket
		}
		packets, body = append(packets, body[:end]), body[end:]
	}
	if len(packets) == 0 {
		return nil, errPacket
	}
	return packets, nil
}

// formBody is a body that came in a form, from browsers that can send nothing
// else elsewhere.
func formBody(body []byte) []byte {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	// They write a line break as \n, and what was \n before with one more stroke.
	return []byte(strings.NewReplacer(`\\n`, `\n`, `\n`, "\n").Replace(form.Get("d")))
}
