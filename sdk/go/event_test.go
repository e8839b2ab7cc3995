package fanfare

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// told is an event as a test compares it.
type told struct{ Name, Data, ID string }

// readAll reads the events of a stream that chunk cuts into pieces.
func readAll(text string, limit int, chunk func(io.Reader) io.Reader) ([]told, error) {
	r := newEventReader(chunk(strings.NewReader(text)), limit)
	var all []told
	for {
		ev, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, told{ev.name, string(ev.data), ev.id})
	}
}

func whole(r io.Reader) io.Reader { return r }

// The examples are of the HTML standard, section 9.2.6, and of PROTOCOL.md,
// section 7.
func TestEventReader(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []told
	}{
		{"empty", "", nil},
		{"one", "data: a\n\n", []told{{"", "a", ""}}},
		{"several lines", "data: YHOO\ndata: +2\ndata: 10\n\n", []told{{"", "YHOO\n+2\n10", ""}}},
		{"comment, id, id emptied", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			[]told{{"", "first event", "1"}, {"", "second event", ""}, {"", " third event", ""}}},
		{"empty data", "data\n\ndata\ndata\n\ndata:", []told{{"", "", ""}, {"", "\n", ""}}},
		{"one space is taken away", "data:test\n\ndata: test\n\n", []told{{"", "test", ""}, {"", "test", ""}}},
		{"name", "event: close\ndata: {}\n\ndata: x\n\n", []told{{"close", "{}", ""}, {"", "x", ""}}},
		{"a name without data is forgotten", "event: close\n\ndata: x\n\n", []told{{"", "x", ""}}},
		{"an id without data is kept", "id: 7\n\ndata: x\n\n", []told{{"", "x", "7"}}},
		{"an id with NUL is none", "id: 7\ndata: x\n\nid: 8\x00\ndata: y\n\n", []told{{"", "x", "7"}, {"", "y", "7"}}},
		{"unknown fields", "retry: 10\nfoo: bar\ndatas: z\ndata: x\n\n", []told{{"", "x", ""}}},
		{"a colon in data", "data: {\"a\":1}\n\n", []told{{"", `{"a":1}`, ""}}},
		{"line ends", "data: a\r\rdata: b\r\n\r\ndata: c\n\rdata: d\r\n\n", []told{{"", "a", ""}, {"", "b", ""}, {"", "c", ""}, {"", "d", ""}}},
		{"byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []told{{"", "a", ""}}},
		{"cut off", "data: a\n\ndata: b\n", []told{{"", "a", ""}}},
		{"cut off in a line", "data: a\n\ndata: b", []told{{"", "a", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunk := range []func(io.Reader) io.Reader{whole, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				got, err := readAll(tt.stream, 1000, chunk)
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestEventReaderHasABound(t *testing.T) {
	for name, stream := range map[string]string{
		"a line":       "data: " + strings.Repeat("x", 200) + "\n\n",
		"a comment":    ":" + strings.Repeat("x", 200) + "\n\n",
		"many lines":   strings.Repeat("data: "+strings.Repeat("x", 50)+"\n", 5) + "\n",
		"without end":  strings.Repeat("x", 200),
		"behind fine":  "data: a\n\n" + strings.Repeat("x", 200),
		"line breaks":  strings.Repeat("data\n", 200) + "\n",
		"behind a BOM": "\ufeffdata: " + strings.Repeat("x", 100) + "\n\n",
	} {
		if _, err := readAll(stream, 100, whole); !errors.Is(err, errTooLong) {
			t.Errorf("%s: got %v, want errTooLong", name, err)
		}
	}
	got, err := readAll(strings.Repeat("data: "+strings.Repeat("x", 94)+"\n\n", 50), 100, whole)
	if len(got) != 50 || !errors.Is(err, io.EOF) {
		t.Errorf("lines as long as the limit: got %d events, %v", len(got), err)
	}
}

// The reader agrees with the standard's algorithm, written down plainly over
// the whole text, however the stream is cut into pieces.
func FuzzEventReader(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "\ufeffid: 1\r\ndata: a\rdata: b\n\n", ":\n\nevent: close\ndata: {}\n\n",
		"event: x\nid: 1\x00\n\ndata\n\n", "data: a\r\n\r\n", "\n\ufeff\r\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		stream := string(raw)
		want := plainly(stream)
		for _, chunk := range []func(io.Reader) io.Reader{whole, iotest.OneByteReader, iotest.HalfReader} {
			got, err := readAll(stream, len(stream)+1, chunk)
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		}
		got, _ := readAll(stream, 8, whole)
		for _, ev := range got {
			if len(ev.Data) > 8 {
				t.Fatalf("%q is over the limit", ev.Data)
			}
		}
	})
}

func plainly(stream string) (all []told) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	name, data, id := "", "", ""
	for _, line := range lines[:len(lines)-1] { // what no line end follows is cut off
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != "" {
				all = append(all, told{name, strings.TrimSuffix(data, "\n"), id})
			}
			name, data = "", ""
		case field == "event":
			name = value
		case field == "data":
			data += value + "\n"
		case field == "id" && !strings.Contains(value, "\x00"):
			id = value
		}
	}
	return all
}

func BenchmarkEventReader(b *testing.B) {
	one := []byte("id: k3v9:42\ndata: " + strings.Repeat("x", 300) + "\n\n")
	stream := bytes.Repeat(one, 1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := newEventReader(bytes.NewReader(stream), 1000)
		for range 1000 {
			if _, err := r.next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
