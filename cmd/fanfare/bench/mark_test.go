package bench

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := mark{
			rapid.Uint32().Draw(t, "run"), rapid.Uint32().Draw(t, "channel"), rapid.Uint32().Draw(t, "seq"),
			time.Duration(rapid.Int64Min(0).Draw(t, "due")),
		}
		size := rapid.IntRange(minSize, 300).Draw(t, "size")
		data := want.appendData(nil, size)
		if !json.Valid(data) || len(data) != size {
			t.Fatalf("%d bytes of JSON %s, want %d", len(data), data, size)
		}
		text := append([]byte(`{"data":BENCH!no`), data...)
		text = append(append(text, '\n'), data...)
		m, rest, ok := findMark(text)
		if !ok || m != want {
			t.Fatalf("found %+v, %v", m, ok)
		}
		if m, rest, ok = findMark(rest); !ok || m != want {
			t.Fatalf("the second is %+v, %v", m, ok)
		}
		if _, _, ok = findMark(rest); ok {
			t.Fatal("a third was found")
		}
	})
}
