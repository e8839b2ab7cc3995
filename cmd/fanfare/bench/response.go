package bench

import (
	"bytes"
	"errors"
	"strconv"
)

var errHTTP = errors.New("the server answered with something that is not HTTP/1.1")

// How long a body is, where its head does not say a number.
const (
	chunked  = -1
	untilEnd = -2
)

// readHead reads the head of an HTTP/1.1 answer that b begins with: status,
// the body's length (or chunked, or untilEnd), and the head's own size; 0
// where b does not hold all of it yet.
func readHead(b []byte) (status, length, size int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > 64<<10 {
			return 0, 0, 0, errHTTP
		}
		return 0, 0, 0, nil
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, 0, 0, errHTTP
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil || status < 100 {
		return 0, 0, 0, errHTTP
	}
	length = untilEnd
	for field := range bytes.SplitSeq(rest, []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte{':'})
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			n, err := strconv.Atoi(string(value))
			if err != nil || n < 0 || n > readSize {
				return 0, 0, 0, errHTTP
			}
			if length != chunked {
				length = n
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")) && bytes.EqualFold(value, []byte("chunked")):
			length = chunked
		}
	}
	if status < 200 || status == 204 || status == 304 {
		length = 0
	}
	return status, length, end + 4, nil
}

// readChunk reads the chunk that b begins with; size is 0 where b does not
// hold all of it yet, and the last chunk is empty.
func readChunk(b []byte) (data []byte, size int, err error) {
	line := bytes.Index(b, []byte("\r\n"))
	if line < 0 {
		if len(b) > 64 {
			return nil, 0, errHTTP
		}
		return nil, 0, nil
	}
	digits, _, _ := bytes.Cut(b[:line], []byte{';'})
	n, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 32)
	if err != nil {
		return nil, 0, errHTTP
	}
	if n > readSize {
		return nil, 0, errBig
	}
	size = line + 2 + int(n) + 2
	if len(b) < size {
		return nil, 0, nil
	}
	if b[size-2] != '\r' || b[size-1] != '\n' {
		return nil, 0, errHTTP // also trailers, which nobody here sends
	}
	return b[line+2 : size-2], size, nil
}

// readAnswer reads the whole answer that b begins with; size is 0 where b does
// not hold all of it yet. The body is part of b, with its chunks' heads where
// it has any.
func readAnswer(b []byte) (status int, body []byte, size int, err error) {
	status, length, size, err := readHead(b)
	if err != nil || size == 0 {
		return 0, nil, 0, err
	}
	start := size
	switch length {
	case untilEnd:
		return 0, nil, 0, errHTTP // it would end the connection, which publishers keep
	case chunked:
		for {
			data, n, err := readChunk(b[size:])
			if err != nil || n == 0 {
				return 0, nil, 0, err
			}
			if size += n; len(data) == 0 {
				return status, b[start:size], size, nil
			}
		}
	}
	if len(b) < start+length {
		return 0, nil, 0, nil
	}
	return status, b[start : start+length], start + length, nil
}
