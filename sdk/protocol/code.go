package protocol

import (
	"errors"
	"fmt"
	"time"
)

// Code names an error for programs. It never changes once published.
type Code string

// Info is what the table of codes says of one code.
type Info struct {
	Status  int    // HTTP status
	Close   int    // WebSocket close code; 0 where the code never ends a connection
	Message string // what went wrong
	Remedy  string // what to do first
}

// Error is the one error that leaves a Fanfare server, on every door: a code
// for programs, a message and a remedy for people. It is immutable once made.
type Error struct {
	Code       Code
	Message    string
	Remedy     string
	Channel    Channel       // the channel it is about, if any
	Index      int           // the item of a batch it is about, from 0; -1 if none
	RetryAfter time.Duration // when trying again makes sense; 0 = unsaid
	Position   *Position     // where the channel is, with CodePositionConflict
	Close      int           // the WebSocket close code, where it is not the table's; 0: it is
}

// NewError makes the Error of code with the table's message and remedy.
func NewError(code Code) *Error {
	info, ok := code.Info()
	if !ok {
		code = CodeInternal
		info, _ = code.Info()
	}
	return &Error{Code: code, Message: info.Message, Remedy: info.Remedy, Index: -1}
}

// Errorf makes the Error of code with a message of its own; the remedy stays
// the table's.
func Errorf(code Code, format string, args ...any) *Error {
	e := NewError(code)
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// AsError finds the *Error in err's chain. Any other error becomes the code
// internal without its text: strangers never see internals.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return NewError(CodeInternal)
}

// Error is "code: message remedy".
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s %s", e.Code, e.Message, e.Remedy)
}

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Status is the HTTP status of e's code.
func (e *Error) Status() int {
	info, _ := e.Code.Info()
	return info.Status
}

// CloseCode is the WebSocket close code of e: its own, or the table's, or that of internal
// where e's code does not end connections.
func (e *Error) CloseCode() int {
	if e.Close != 0 {
		return e.Close
	}
	info, _ := e.Code.Info()
	if info.Close == 0 {
		info, _ = CodeInternal.Info()
	}
	return info.Close
}

// On returns a copy of e that names the channel it is about.
func (e *Error) On(ch Channel) *Error {
	c := *e
	c.Channel = ch
	return &c
}

// At returns a copy of e that names the item of a batch it is about.
func (e *Error) At(index int) *Error {
	c := *e
	c.Index = index
	return &c
}

// After returns a copy of e that says when to try again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Reconnect says what a client does when its connection is closed.
type Reconnect int

// What close codes ask of a client (PROTOCOL.md, clause 6.4).
const (
	ReconnectBackoff Reconnect = iota // come back, with back-off
	ReconnectNow                      // come back at once; back off if that fails
	ReconnectNever                    // stay away: trying again cannot help
)

// ReconnectFor is what a client does after a connection ended with the
// WebSocket close code c.
func ReconnectFor(c int) Reconnect {
	switch {
	case c >= 4200 && c <= 4299:
		return ReconnectNow
	case c >= 4300 && c <= 4499:
		return ReconnectNever
	default:
		return ReconnectBackoff
	}
}
