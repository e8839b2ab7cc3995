package bench

import (
	"bytes"
	"time"
)

// mark is what bench finds its messages by, in whatever a wire wraps around
// them: letters and digits only, so that no wire has to escape any.
//
//	BENCH! run(8) channel(8) seq(8) due(16) !padding
//
// The numbers are hexadecimal. due is when the message should have been sent,
// in nanoseconds of the run's clock.
type mark struct {
	run, channel, seq uint32
	due               time.Duration
}

const (
	markHead = "BENCH!"
	markLen  = len(markHead) + 8 + 8 + 8 + 16 + 1

	// minSize is the least size of a message: the mark, quoted.
	minSize = markLen + 2
)

// appendData appends the JSON string, size bytes with its quotes, that is the
// message's data.
func (m mark) appendData(b []byte, size int) []byte {
	end := len(b) + max(size, minSize)
	b = append(b, '"')
	b = append(b, markHead...)
	b = appendHex(b, uint64(m.run), 8)
	b = appendHex(b, uint64(m.channel), 8)
	b = appendHex(b, uint64(m.seq), 8)
	b = appendHex(b, uint64(m.due), 16)
	b = append(b, '!')
	for len(b) < end-1 {
		b = append(b, 'x')
	}
	return append(b, '"')
}

// findMark returns the first mark in b and what follows it.
func findMark(b []byte) (m mark, rest []byte, ok bool) {
	for {
		i := bytes.Index(b, []byte(markHead))
		if i < 0 || len(b)-i < markLen {
			return mark{}, nil, false
		}
		b = b[i:]
		run, ok1 := hex(b[6:14])
		channel, ok2 := hex(b[14:22])
		seq, ok3 := hex(b[22:30])
		due, ok4 := hex(b[30:46])
		if ok1 && ok2 && ok3 && ok4 && b[46] == '!' {
			return mark{uint32(run), uint32(channel), uint32(seq), time.Duration(due)}, b[markLen:], true
		}
		b = b[len(markHead):]
	}
}

func appendHex(b []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}

func hex(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, true
}
