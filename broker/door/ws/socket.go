package ws

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	writeTimeout = 10 * time.Second
	maxBatch     = 64 << 10 // bytes of frames that share one text frame
	readBuffer   = 256      // bytes that stay with a connection
	controlMost  = 160      // a control frame with its header: it goes out as one write
)

// socket is one WebSocket as a session sees it. The library shakes hands,
// reads, answers control frames and closes; what is published it never sees:
// frames are made once and go straight to the line, which both share.
type socket struct {
	door *Door
	conn *websocket.Conn
	in   *bufio.Reader // the library's
	buf  *bytes.Buffer // what Read returned; nil: nothing
	line line

	mu      sync.Mutex
	closing bool // the library reads on its own, for the client's answer
}

// hijack gives the library a connection with small buffers and a line.
type hijack struct {
	http.ResponseWriter
	s *socket
}

// Hijack is http.Hijacker's.
func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	l := &h.s.line
	l.begin(conn, bytes.Clone(early))
	h.s.in = bufio.NewReaderSize(l, readBuffer)
	return l, bufio.NewReadWriter(h.s.in, bufio.NewWriterSize(l, controlMost)), nil
}

func (s *socket) Traits() session.Traits { return session.Traits{Door: "ws", Pongs: true} }

// Read returns the next text frame; it is valid until the next Read.
func (s *socket) Read(limit int) ([]byte, error) {
	s.release()
	kind, r, err := s.conn.Reader(context.Background()) // Close ends it
	if err != nil {
		return nil, gone(err)
	}
	if kind != websocket.MessageText {
		return nil, protocol.NewError(protocol.CodeBinaryFrame)
	}
	s.buf = s.door.buffers.Get().(*bytes.Buffer)
	n, err := s.buf.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, gone(err)
	}
	if n > int64(limit) {
		return nil, protocol.Errorf(protocol.CodeFrameTooLarge, "The frame has more than %d bytes, which is what this app's message_bytes limit leaves.", limit)
	}
	return s.buf.Bytes(), nil
}

// release gives the buffer of the last Read back.
func (s *socket) release() {
	if s.buf != nil && s.buf.Cap() <= maxBatch {
		s.buf.Reset()
		s.door.buffers.Put(s.buf)
	}
	s.buf = nil
}

// Park waits for the client without a goroutine, where nothing of it has come.
func (s *socket) Park(wake func()) bool {
	s.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing && s.in.Buffered() == 0 && s.line.park(wake)
}

var errGone = errors.New("ws: the client is gone")

func gone(err error) error { return errors.Join(errGone, err) }

// text is a frame as this wire writes it: an unmasked text frame, final and
// uncompressed (RFC 6455, section 5.2).
func text(f *hub.Frame) []byte { return appendText(nil, len(f.Line), f) }

// appendText appends one text frame that holds frames, of size bytes in all.
func appendText(b []byte, size int, frames ...*hub.Frame) []byte {
	if b == nil {
		b = make([]byte, 0, size+10)
	}
	const final, opText = 0x80, 0x1
	switch {
	case size < 126:
		b = append(b, final|opText, byte(size))
	case size <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, final|opText, 126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, final|opText, 127), uint64(size))
	}
	for i, f := range frames {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, f.Line...)
	}
	return b
}

// Try sends f where the line takes it at once.
func (s *socket) Try(f *hub.Frame) session.Tried { return s.line.try(f.On(s.door.wire)) }

// Write sends frames, as few text frames as maxBatch allows.
func (s *socket) Write(frames []*hub.Frame) error {
	var out []byte
	for len(frames) > 0 {
		n, size := 1, len(frames[0].Line)
		for n < len(frames) && size+1+len(frames[n].Line) <= maxBatch {
			size += 1 + len(frames[n].Line)
			n++
		}
		out = appendText(out, size, frames[:n]...)
		frames = frames[n:]
		if len(out) >= maxBatch && len(frames) > 0 {
			if err := s.line.send(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	return s.line.send(out)
}

func (s *socket) Close(why *protocol.Error) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	if why == nil {
		_ = s.conn.CloseNow()
		return
	}
	_ = s.conn.Close(websocket.StatusCode(why.CloseCode()), string(why.Code))
}
