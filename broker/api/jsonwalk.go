package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// checkJSON returns a bad_json that says where, unless b is valid JSON in
// UTF-8. What follows in this file walks over JSON that passed it, without
// copying: data may be large, and is handed on as it came.
func checkJSON(b []byte) error {
	if !utf8.Valid(b) {
		return protocol.Errorf(protocol.CodeBadJSON, "The body is not valid UTF-8.")
	}
	if json.Valid(b) {
		return nil
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return protocol.Errorf(protocol.CodeBadJSON, "The body is empty.")
	}
	var v json.RawMessage
	if se, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(b, &v)); ok {
		return protocol.Errorf(protocol.CodeBadJSON, "The body is not valid JSON: %s at byte %d.", se, se.Offset)
	}
	return protocol.NewError(protocol.CodeBadJSON)
}

// members calls fn for each member of an object, in order. name is decoded,
// value is raw. ok is false where b is no object.
func members(b []byte, fn func(name string, value []byte) error) (ok bool, err error) {
	i := space(b, 0)
	if b[i] != '{' {
		return false, nil
	}
	for i = space(b, i+1); b[i] != '}'; i = space(b, i) {
		if b[i] == ',' {
			i = space(b, i+1)
		}
		end := valueEnd(b, i)
		name, _ := text(b[i:end])
		i = space(b, space(b, end)+1) // over the colon
		end = valueEnd(b, i)
		if err := fn(name, b[i:end]); err != nil {
			return true, err
		}
		i = end
	}
	return true, nil
}

// items calls fn for each item of an array. ok is false where b is no array.
func items(b []byte, fn func(i int, value []byte) error) (ok bool, err error) {
	i := space(b, 0)
	if b[i] != '[' {
		return false, nil
	}
	n := 0
	for i = space(b, i+1); b[i] != ']'; i = space(b, i) {
		if b[i] == ',' {
			i = space(b, i+1)
		}
		end := valueEnd(b, i)
		if err := fn(n, b[i:end]); err != nil {
			return true, err
		}
		i = end
		n++
	}
	return true, nil
}

// text is the string that b is; false where b is none.
func text(b []byte) (string, bool) {
	if b[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1]), true
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return "", false
	}
	return s, true
}

// space is the place of the first byte at or after i that counts.
func space(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// valueEnd is the place behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 { // of what the value stands in
				return i
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// stringEnd is the place of the quote that ends the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}
