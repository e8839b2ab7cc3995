package bench

import (
	"bytes"
	"errors"
	"testing"
)

// serverFrame is a frame as servers send it.
func serverFrame(head byte, payload []byte) []byte {
	b := appendFrame(nil, head&0x0f, payload, 0)
	// Without the mask's bit, and its four zero bytes.
	at := 2
	switch b[1] & 0x7f {
	case 126:
		at = 4
	case 127:
		at = 10
	}
	b[0], b[1] = head, b[1]&0x7f
	return append(b[:at:at], b[at+4:]...)
}

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65_535, 65_536, 200_000} {
		payload := bytes.Repeat([]byte{'a'}, n)
		b := append(serverFrame(0x80|opText, payload), "next"...)
		f, size, err := readFrame(b)
		if err != nil || size != len(b)-4 || f.op != opText || !f.fin || !bytes.Equal(f.payload, payload) {
			t.Errorf("%d bytes: %v, size %d of %d", n, err, size, len(b))
		}
		for _, cut := range []int{0, 1, 2, 3, 9, size - 1} {
			if _, got, err := readFrame(b[:min(cut, size-1)]); err != nil || got != 0 {
				t.Errorf("%d bytes cut to %d: size %d, %v", n, cut, got, err)
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":             {0x81, 0x80, 0, 0, 0, 0},
		"reserved bit":       {0xc1, 0},
		"opcode 3":           {0x83, 0},
		"opcode 11":          {0x8b, 0},
		"fragmented ping":    {0x09, 0},
		"long ping":          {0x89, 126, 0, 200},
		"longer than a read": {0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0},
	} {
		if _, size, err := readFrame(b); err == nil || size != 0 {
			t.Errorf("%s: no error, size %d", name, size)
		}
	}
}

func TestMask(t *testing.T) {
	// The example of RFC 6455, section 5.7.
	got := appendFrame(nil, opText, []byte("Hello"), 0x37fa213d)
	if want := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(serverFrame(0x80|opText, []byte("a")))
	f.Add([]byte{0x82, 126, 0, 1, 5})
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, size, err := readFrame(b)
		if err != nil {
			if size != 0 || !errors.Is(err, errFrame) && !errors.Is(err, errBig) {
				t.Fatalf("size %d, %v", size, err)
			}
			return
		}
		if size > len(b) || size > 0 && len(fr.payload) > size-2 {
			t.Fatalf("size %d of %d, payload %d", size, len(b), len(fr.payload))
		}
		if size > 0 {
			again := serverFrame(b[0], fr.payload)
			f2, n, err := readFrame(again)
			if err != nil || n != len(again) || f2.op != fr.op || f2.fin != fr.fin || !bytes.Equal(f2.payload, fr.payload) {
				t.Fatalf("written again it is another: %v", err)
			}
		}
	})
}
