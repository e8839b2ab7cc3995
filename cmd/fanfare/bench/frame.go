package bench

import (
	"encoding/binary"
	"errors"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

var errFrame = errors.New("the server sent a WebSocket frame that RFC 6455 does not allow")

// frame is one WebSocket frame from a server. Its payload is part of what it
// was read from.
type frame struct {
	op      byte
	fin     bool
	payload []byte
}

// readFrame reads the frame that b begins with and returns its length; 0 where
// b does not hold all of it yet. A server's frames have no mask, and without an
// extension no reserved bits.
func readFrame(b []byte) (f frame, size int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	f.op, f.fin = b[0]&0x0f, b[0]&0x80 != 0
	n, head := uint64(b[1]&0x7f), 2
	control := f.op >= opClose
	switch {
	case b[0]&0x70 != 0, b[1]&0x80 != 0, f.op > opPong, f.op > opBinary && !control:
		return f, 0, errFrame
	case control && (!f.fin || n > 125):
		return f, 0, errFrame
	}
	switch n {
	case 126:
		if head = 4; len(b) < head {
			return f, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return f, 0, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > readSize {
		return f, 0, errBig
	}
	if size = head + int(n); len(b) < size {
		return f, 0, nil
	}
	f.payload = b[head:size]
	return f, size, nil
}

// appendFrame appends a client's frame, masked as section 5.3 wants it.
func appendFrame(b []byte, op byte, payload []byte, mask uint32) []byte {
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = binary.BigEndian.AppendUint32(b, mask)
	key := [4]byte(b[len(b)-4:])
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}
