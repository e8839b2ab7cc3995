// Package ws is the WebSocket door: GET /v1/ws with the subprotocol
// fanfare.v1.json (PROTOCOL.md, section 2). It is the only room that knows the
// WebSocket library: doors for other clients' protocols open their WebSockets
// here (Speak), and have the same way of writing.
package ws

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Door upgrades requests and begins a session on each; the request's goroutine
// ends then. It may be called concurrently. It lives from New to Close.
type Door struct {
	sessions *session.Set
	parking  *parking // nil: there is none on this system
	own      *tongue
	buffers  sync.Pool // of *bytes.Buffer: what was read and is being carried out
}

// New makes a door. Where the system cannot watch silent connections without
// a goroutine for each, they have one.
func New(sessions *session.Set) *Door {
	d := &Door{sessions: sessions, own: ownTongue()}
	d.buffers.New = func() any { return new(bytes.Buffer) }
	d.parking, _ = newParking()
	return d
}

// Close ends what watches silent connections. Call it when all sessions have
// ended.
func (d *Door) Close() {
	if d.parking != nil {
		d.parking.close()
	}
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		w.Header().Set("Upgrade", "websocket")
		api.WriteError(w, protocol.NewError(protocol.CodeUpgradeRequired))
		return
	}
	s, err := d.open(w, r, d.own)
	if err != nil {
		return // it has been answered
	}
	d.sessions.Accept(s, r.Header.Get("Origin"))
}

// Speak makes an opener of WebSockets whose clients speak t.
func (d *Door) Speak(t session.Tongue) session.Opener {
	foreign := foreignTongue(t)
	return func(w http.ResponseWriter, r *http.Request) (session.Socket, error) { return d.open(w, r, foreign) }
}

// open shakes hands. An error has been answered.
func (d *Door) open(w http.ResponseWriter, r *http.Request, t *tongue) (session.Socket, error) {
	s := &socket{door: d, tongue: t}
	s.line.parking = d.parking
	conn, err := websocket.Accept(&hijack{w, s}, r, &websocket.AcceptOptions{
		Subprotocols: t.Subprotocols,
		// No cookie gives any power here: a page's right to connect is
		// decided by what it says first, its key's allowed origins included.
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1) // Read has the app's own limit
	s.conn = conn
	return s, nil
}
