package ws

import (
	"bufio"
	"bytes"
	"context"
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
	door   *Door
	tongue *tongue
	conn   *websocket.Conn
	in     *bufio.Reader // the library's
	buf    *bytes.Buffer // what Read returned; nil: nothing
	line   line

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

func (s *socket) Traits() session.Traits { return s.tongue.Traits }

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

// Try sends f where the line takes it at once.
func (s *socket) Try(f *hub.Frame) session.Tried {
	b := f.On(s.tongue.wire)
	if len(b) == 0 { // nothing to say in this language
		return session.Sent
	}
	return s.line.try(b)
}

// Write sends frames, in as few writes as maxBatch allows.
func (s *socket) Write(frames []*hub.Frame) error {
	var out []byte
	for len(frames) > 0 {
		out, frames = s.tongue.gather(out, frames)
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
	code, reason := s.tongue.Code(why)
	_ = s.conn.Close(websocket.StatusCode(code), reason)
}
