package protocol

import (
	"strconv"
	"strings"
)

// Position is a message's place in its channel: "epoch:seq". It is opaque to
// clients: they keep it and send it back. The empty Position is that of
// ephemeral channels, which have no past.
type Position string

// NewPosition is the position seq of epoch.
func NewPosition(epoch string, seq uint64) Position {
	return Position(epoch + ":" + strconv.FormatUint(seq, 10))
}

// Parse splits p; it returns an *Error with CodePositionInvalid where p was
// not made by NewPosition.
func (p Position) Parse() (epoch string, seq uint64, err error) {
	epoch, s, ok := strings.Cut(string(p), ":")
	if ok && epoch != "" && len(p) <= 64 && CheckID(epoch) == nil {
		if seq, err := strconv.ParseUint(s, 10, 64); err == nil && (s[0] != '0' || s == "0") {
			return epoch, seq, nil
		}
	}
	return "", 0, NewError(CodePositionInvalid)
}
