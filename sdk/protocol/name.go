package protocol

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// AppID names an app. The server makes it: 10 characters of a-z and 0-9.
type AppID string

// AccountID names a tenant's account. The server makes it, like an AppID.
type AccountID string

// Channel is a channel's name: 1 to 200 bytes of UTF-8 without control
// characters (PROTOCOL.md, clause 1.1). Names are compared byte by byte;
// nothing is normalised.
type Channel string

// MaxChannelBytes is the longest channel name, in bytes.
const MaxChannelBytes = 200

// ParseChannel checks s and returns it as a Channel, or an *Error with
// CodeChannelInvalid.
func ParseChannel(s string) (Channel, error) {
	switch {
	case s == "":
		return "", Errorf(CodeChannelInvalid, "The channel name is empty.")
	case len(s) > MaxChannelBytes:
		return "", Errorf(CodeChannelInvalid, "The channel name has %d bytes; 200 is the most.", len(s))
	case !utf8.ValidString(s):
		return "", Errorf(CodeChannelInvalid, "The channel name is not valid UTF-8.")
	case hasControl(s):
		return "", Errorf(CodeChannelInvalid, "The channel name has a control character in it.")
	}
	return Channel(s), nil
}

// Namespace is all of c before its last ':'; "" if it has none. A rule for
// "chat" applies to "chat:1" and to "chat:eu:1".
func (c Channel) Namespace() string {
	i := strings.LastIndexByte(string(c), ':')
	if i < 0 {
		return ""
	}
	return string(c[:i])
}

// CheckEvent returns an *Error unless s is empty or a valid event name: up to
// 200 bytes of UTF-8 without control characters.
func CheckEvent(s string) error {
	if len(s) > 200 || !utf8.ValidString(s) || hasControl(s) {
		return NewError(CodeEventInvalid)
	}
	return nil
}

// CheckID returns an *Error unless s is empty or a valid message id: up to 64
// characters of A-Z a-z 0-9 . _ : -.
func CheckID(s string) error {
	if len(s) > 64 {
		return NewError(CodeIDInvalid)
	}
	for i := range len(s) {
		b := s[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '.' && b != '_' && b != ':' && b != '-' {
			return NewError(CodeIDInvalid)
		}
	}
	return nil
}

// hasControl reports C0 and C1 controls and the two Unicode line breaks, all
// of which would let a name break a line of a log or of a stream.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}
