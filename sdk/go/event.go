package fanfare

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errTooLong means that the server sent more in one event than any message of
// the app can be.
var errTooLong = errors.New("an event of the stream is too long")

// event is one server-sent event.
type event struct {
	name string // "" is a plain event
	data []byte // good until the next event is read
	id   string // the last id that the stream gave, with this event or before
}

// eventReader reads a text/event-stream (HTML standard, section 9.2.6) for one
// goroutine. A line, and the data of an event, have at most limit bytes.
type eventReader struct {
	r       *bufio.Reader
	limit   int
	line    []byte
	data    []byte
	id      string
	quiet   string // the id of an event without data, until it is taken
	hasID   bool   // the event being read has one
	begun   bool   // the byte order mark is behind us
	afterCR bool   // a '\n' that comes next belongs to the line before
}

func newEventReader(r io.Reader, limit int) *eventReader {
	return &eventReader{r: bufio.NewReader(r), limit: limit}
}

// next reads the next event that has data. At the end it is io.EOF; an event
// that the end cuts off counts for nothing.
func (e *eventReader) next() (event, error) {
	var ev event
	e.data = e.data[:0]
	lines := 0
	for {
		if err := e.readLine(); err != nil {
			return event{}, err
		}
		if len(e.line) == 0 {
			if lines > 0 {
				e.hasID = false
				ev.data, ev.id = e.data, e.id
				return ev, nil
			}
			if e.hasID {
				e.quiet = e.id
			}
			ev.name, e.hasID = "", false // a name or an id alone is no event
			continue
		}
		name, value, _ := bytes.Cut(e.line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) { // "" is a comment
		case "data":
			if lines++; lines > 1 {
				e.data = append(e.data, '\n')
			}
			if e.data = append(e.data, value...); len(e.data) > e.limit {
				return event{}, errTooLong
			}
		case "event":
			ev.name = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				e.id, e.hasID = string(value), true
			}
		}
	}
}

// readLine reads one line into e.line; it may end with \n, \r\n or \r.
func (e *eventReader) readLine() error {
	e.line = e.line[:0]
	for {
		if _, err := e.r.Peek(1); err != nil {
			return err
		}
		buf, err := e.r.Peek(e.r.Buffered())
		if err != nil {
			return err
		}
		skip := 0
		if e.afterCR && buf[0] == '\n' {
			skip = 1
		}
		e.afterCR = false
		end := bytes.IndexAny(buf[skip:], "\r\n")
		part := buf[skip:]
		if end >= 0 {
			part = part[:end]
		}
		if e.line = append(e.line, part...); len(e.line) > e.limit {
			return errTooLong
		}
		skip += len(part)
		if end >= 0 {
			e.afterCR = buf[skip] == '\r'
			skip++
		}
		if _, err := e.r.Discard(skip); err != nil {
			return err
		}
		if end >= 0 {
			if !e.begun {
				e.begun = true
				e.line = bytes.TrimPrefix(e.line, []byte("\ufeff"))
			}
			return nil
		}
	}
}
