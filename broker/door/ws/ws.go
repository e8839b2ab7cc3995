// Package ws is the WebSocket door: GET /v1/ws with the subprotocol
// fanfare.v1.json (PROTOCOL.md, section 2). It is the only room that knows the
// WebSocket library.
package ws

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	writeTimeout = 10 * time.Second
	maxBatch     = 64 << 10 // bytes of queued frames that share one text frame
)

// Handler upgrades requests and runs a session on each. It may be called
// concurrently; sessions end when the request's context does.
func Handler(sessions *session.Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.Header().Set("Upgrade", "websocket")
			api.WriteError(w, protocol.NewError(protocol.CodeUpgradeRequired))
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols: []string{protocol.Subprotocol},
			// No cookie gives any power here: a page's right to connect is
			// decided at hello, by its key's allowed origins.
			InsecureSkipVerify: true,
			CompressionMode:    websocket.CompressionDisabled,
		})
		if err != nil {
			return // Accept has answered
		}
		conn.SetReadLimit(-1) // Read has the app's own limit
		s := &socket{conn: conn}
		defer conn.CloseNow()
		sessions.Serve(r.Context(), s, r.Header.Get("Origin"))
	})
}

// socket is one WebSocket as a session sees it.
type socket struct {
	conn *websocket.Conn
	buf  bytes.Buffer // of Read
	out  []byte       // of Write
}

func (s *socket) Door() string { return "ws" }
func (s *socket) Pongs() bool  { return true }

// Read returns the next text frame; it is valid until the next Read.
func (s *socket) Read(ctx context.Context, limit int) ([]byte, error) {
	kind, r, err := s.conn.Reader(ctx)
	if err != nil {
		return nil, gone(err)
	}
	if kind != websocket.MessageText {
		return nil, protocol.NewError(protocol.CodeBinaryFrame)
	}
	s.buf.Reset()
	n, err := s.buf.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, gone(err)
	}
	if n > int64(limit) {
		return nil, protocol.Errorf(protocol.CodeFrameTooLarge, "The frame has more than %d bytes, which is what this app's message_bytes limit leaves.", limit)
	}
	return s.buf.Bytes(), nil
}

var errGone = errors.New("ws: the client is gone")

func gone(err error) error { return errors.Join(errGone, err) }

// Write sends frames, as few text frames as maxBatch allows.
func (s *socket) Write(ctx context.Context, frames []*hub.Frame) error {
	for len(frames) > 0 {
		n, size := 1, len(frames[0].Line)
		for n < len(frames) && size+1+len(frames[n].Line) <= maxBatch {
			size += 1 + len(frames[n].Line)
			n++
		}
		text := frames[0].Line
		if n > 1 {
			s.out = append(s.out[:0], text...)
			for _, f := range frames[1:n] {
				s.out = append(s.out, '\n')
				s.out = append(s.out, f.Line...)
			}
			text = s.out
		}
		if err := s.write(ctx, text); err != nil {
			return err
		}
		frames = frames[n:]
	}
	if cap(s.out) > maxBatch/4 {
		s.out = nil // a burst is over: do not keep its buffer for the connection's life
	}
	return nil
}

func (s *socket) write(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text)
}

func (s *socket) Close(why *protocol.Error) {
	if why == nil {
		_ = s.conn.CloseNow()
		return
	}
	_ = s.conn.Close(websocket.StatusCode(why.CloseCode()), string(why.Code))
}
