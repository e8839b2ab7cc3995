package pusher

import (
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Pusher's codes. A client whose connection is closed with 4000 to 4099 stays
// away for good, with 4100 to 4199 comes back after a second, with 4200 to 4299
// at once. 43xx come in error events only: as close codes they would keep
// clients away.
const (
	codeUnknown      = 4001 // no such key
	codeDisabled     = 4003 // the key was revoked, the door is closed
	codePath         = 4005
	codeVersion      = 4006
	codeProtocol     = 4007
	codeNoProtocol   = 4008
	codeUnauthorized = 4009
	codeOverCapacity = 4100
	codeReconnect    = 4200
	codeNoPong       = 4201
	codeClientEvent  = 4301
	codeWatchlist    = 4302
)

// closeCode is the code and reason of a connection that ends for why.
func closeCode(why *protocol.Error) (int, string) {
	if why.Close != 0 {
		return why.Close, clip(why.Message)
	}
	code := codeOverCapacity
	switch why.Code {
	case protocol.CodeKeyInvalid, protocol.CodeAppNotFound:
		code = codeUnknown
	case protocol.CodeKeyExpired, protocol.CodeDoorClosed:
		code = codeDisabled
	case protocol.CodePingTimeout:
		code = codeNoPong
	default:
		switch protocol.ReconnectFor(why.CloseCode()) {
		case protocol.ReconnectNow:
			code = codeReconnect
		case protocol.ReconnectNever:
			code = codeUnauthorized
		}
	}
	return code, clip(why.Message)
}

// clip keeps a reason as short as a close frame wants it (RFC 6455, section
// 5.5): 123 bytes of UTF-8.
func clip(s string) string {
	for i := range s {
		if i > 100 {
			return s[:i]
		}
	}
	return s
}

// refusal ends a connection with a code of Pusher's.
func refusal(code int, c protocol.Code, format string, args ...any) *protocol.Error {
	e := protocol.Errorf(c, format, args...)
	e.Close = code
	return e
}
