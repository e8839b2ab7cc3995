package qrlogin

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

// problem is an answer that is no success, as application/problem+json (RFC
// 9457). A stranger learns nothing else.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`
	State  State  `json:"state,omitempty"` // of the attempt, where the caller may know it
	wait   time.Duration
}

func (p *problem) Error() string { return "qrlogin: " + p.Code + ": " + p.Detail }

func newProblem(status int, code, detail, remedy string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Remedy: remedy}
}

func badRequest(detail string) *problem {
	return newProblem(http.StatusBadRequest, "bad_request", detail, "Send what sdk/qrlogin/README.md says.")
}

func gone() *problem {
	return newProblem(http.StatusNotFound, "not_found", "This code is not current, or there is no such attempt.", "Scan the code that is on the screen now.")
}

func forbidden() *problem {
	return newProblem(http.StatusForbidden, "forbidden", "This is not yours to do.", "Start again with a new code.")
}

func tooMany(wait time.Duration) *problem {
	return newProblem(http.StatusTooManyRequests, "rate_limited", "That was too often.", "Wait as long as Retry-After says.").after(wait)
}

// after says how long to wait before the next try.
func (p *problem) after(wait time.Duration) *problem {
	p.wait = wait
	return p
}

// problemOf turns any error into an answer.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	switch {
	case errors.Is(err, errGone), errors.Is(err, ErrNotFound):
		return gone()
	case errors.Is(err, errForbidden):
		return forbidden()
	case errors.Is(err, errState):
		return newProblem(http.StatusConflict, "used", "This code or step was used already.", "Start again with a new code.")
	case errors.Is(err, ErrNotSignedIn):
		return newProblem(http.StatusUnauthorized, "sign_in_first", "Nobody is signed in on this phone.", "Sign in on the phone, then scan again.")
	case errors.Is(err, ErrFull), errors.Is(err, ErrConflict):
		p := newProblem(http.StatusServiceUnavailable, "unavailable", "This cannot be done just now.", "Try again in a moment.")
		p.wait = time.Second
		return p
	}
	return newProblem(http.StatusInternalServerError, "internal", "Something went wrong.", "Try again; the operator finds the cause in the log.")
}

func (p *problem) write(w http.ResponseWriter) {
	if p.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.wait.Seconds()))))
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only our own structs come here
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller is gone, if anything
}
