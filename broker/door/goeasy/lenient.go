package goeasy

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// maxLenient is the most bytes of a lenient body: it is written by hand.
const maxLenient = 1 << 20

var errLenient = errors.New("goeasy: neither JSON nor close to it")

// strictJSON makes JSON of what the documented samples send as JSON: names
// without quotes, strings in single quotes, a comma behind the last member. It
// only puts other signs in place; whether the result is JSON its reader finds
// out. What is JSON already stays as it is.
func strictJSON(text []byte) ([]byte, error) {
	if len(text) > maxLenient || !utf8.Valid(text) {
		return nil, errLenient
	}
	out := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\'':
			n, err := quoted(&out, text[i:])
			if err != nil {
				return nil, err
			}
			i += n
		case isWord(c):
			n := i
			for n < len(text) && (isWord(text[n]) || text[n] == '-' || text[n] == '.' || text[n] == '+') {
				n++
			}
			out = word(out, text[i:n], text[n:])
			i = n
		case c == '}' || c == ']':
			// Only where a member stands before it: {,} stays wrong.
			trimmed := bytes.TrimRight(out, " \t\r\n")
			if before, ok := bytes.CutSuffix(trimmed, []byte{','}); ok && endsMember(before) {
				out = before
			}
			out = append(out, c)
			i++
		default:
			out = append(out, c)
			i++
		}
	}
	return out, nil
}

// endsMember reports whether something stands there that a comma may follow.
func endsMember(before []byte) bool {
	before = bytes.TrimRight(before, " \t\r\n")
	return len(before) > 0 && !bytes.ContainsAny(before[len(before)-1:], "{[,:")
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
}

// word appends w, in quotes if it is a name: a colon follows.
func word(out, w, rest []byte) []byte {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if len(rest) == 0 || rest[0] != ':' {
		return append(out, w...)
	}
	out = append(out, '"')
	out = append(out, w...)
	return append(out, '"')
}

// quoted appends the string that text begins with, in double quotes, and says
// how long it was.
func quoted(out *[]byte, text []byte) (int, error) {
	quote := text[0]
	*out = append(*out, '"')
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			*out = append(*out, '"')
			return i + 1, nil
		case c == '\\' && i+1 < len(text):
			i++
			if text[i] != '\'' { // JSON has no such escape
				*out = append(*out, '\\')
			}
			*out = append(*out, text[i])
		case c == '"': // within single quotes
			*out = append(*out, '\\', '"')
		default:
			*out = append(*out, c)
		}
	}
	return 0, errLenient
}
