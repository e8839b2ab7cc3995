package goeasy

import (
	"encoding/json"
	"net/http"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// answer is what a call is answered with: clients before and after 2.7 look
// for the code under different names, so it stands under both.
type answer struct {
	ResultCode int `json:"resultCode"`
	Code       int `json:"code"`
	Content    any `json:"content,omitempty"`
}

func okay(content any) answer { return answer{http.StatusOK, http.StatusOK, content} }

// refusal is e in the codes that this door's clients hand to their users: the
// HTTP status mostly, and of a full app the one that they know for it.
func refusal(err error) answer {
	e := protocol.AsError(err)
	code := e.Status()
	switch e.Code {
	case protocol.CodeConnectionLimit:
		code = codeFull
	case protocol.CodeNotGranted, protocol.CodeKeyKind, protocol.CodePublishOff:
		code = http.StatusUnauthorized
	}
	return answer{code, code, e.Message + " " + e.Remedy}
}

// codeFull is what their users know as "Over max user capacity".
const codeFull = 900

// badCall is the error of a call that is not as it should be.
func badCall(format string, args ...any) error {
	e := protocol.Errorf(protocol.CodeBadRequest, format, args...)
	e.Remedy = "Look at the guide From GoEasy in five minutes for what each call takes."
	return e
}

func encode(a any) []byte {
	text, err := json.Marshal(a)
	if err != nil { // what is answered was checked when it came
		return []byte(`{"resultCode":500,"code":500}`)
	}
	return text
}

// passing reports whether err is of the moment. Such a call is not answered:
// clients send it again by themselves, with the same id, for 12 seconds.
func passing(err error) bool {
	switch protocol.AsError(err).Code {
	case protocol.CodeUnavailable, protocol.CodeInternal, protocol.CodeOverloaded, protocol.CodeRestarting:
		return true
	}
	return false
}
