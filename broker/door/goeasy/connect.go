package goeasy

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/session"
)

// The errors of engine.io's handshake, by their numbers.
const (
	unknownTransport = 0
	unknownSession   = 1
	badMethod        = 2
	badRequest       = 3
)

// handshakeError answers as servers of engine.io 3 do.
func handshakeError(w http.ResponseWriter, number int) {
	text := [...]string{"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request"}[number]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(encode(struct { // who has left needs no answer
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{number, text}))
}

// connect is /socket.io/: a WebSocket, or a request of long polling.
func (d *Door) connect(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	// These clients ask with credentials, which no cookie here is: who sends
	// the key is let in.
	if origin := r.Header.Get("Origin"); origin != "" {
		head.Set("Access-Control-Allow-Origin", origin)
		head.Set("Access-Control-Allow-Credentials", "true")
		head.Add("Vary", "Origin")
	}
	q := r.URL.Query()
	transport, id := q.Get("transport"), q.Get("sid")
	switch {
	case r.URL.Path != "/socket.io/":
		http.NotFound(w, r)
	case r.Method == http.MethodOptions:
		head.Set("Access-Control-Allow-Headers", "Content-Type")
		head.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	case transport != "websocket" && transport != "polling":
		handshakeError(w, unknownTransport)
	case q.Get("EIO") != "3":
		handshakeError(w, badRequest)
	case transport == "websocket":
		d.connectSocket(w, r, id)
	case id != "":
		d.pollAgain(w, r, id)
	case r.Method != http.MethodGet:
		handshakeError(w, badMethod)
	default:
		d.pollFirst(w, r)
	}
}

// connectSocket begins a connection, or takes one over that polls.
func (d *Door) connectSocket(w http.ResponseWriter, r *http.Request, id string) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		handshakeError(w, badRequest)
		return
	}
	var p *poll
	if id != "" {
		if p = d.find(id); p == nil {
			handshakeError(w, unknownSession)
			return
		}
	}
	ws, err := d.open(w, r)
	if err != nil {
		return // it has been answered
	}
	if p == nil {
		id := rand.Text()
		d.o.Sessions.Speak(ws, "", &speaker{door: d, id: id, upgrades: []string{}})
		return
	}
	if err := p.upgrade(ws); err != nil {
		ws.Close(nil)
	}
}

// pollFirst begins a connection.
func (d *Door) pollFirst(w http.ResponseWriter, r *http.Request) {
	p := d.newPoll(rand.Text())
	d.mu.Lock()
	d.polls[p.id] = p
	d.mu.Unlock()
	p.ask()
	d.o.Sessions.Speak(p, "", &speaker{door: d, id: p.id, upgrades: []string{"websocket"}})
	d.give(w, r, p)
}

// pollAgain is a later request of a connection.
func (d *Door) pollAgain(w http.ResponseWriter, r *http.Request, id string) {
	p := d.find(id)
	switch {
	case p == nil:
		handshakeError(w, unknownSession)
	case r.Method == http.MethodPost:
		d.accept(w, r, p)
	case r.Method != http.MethodGet:
		handshakeError(w, badMethod)
	case !p.ask():
		p.Close(nil) // two at once: engine.io's servers give up, too
		handshakeError(w, badRequest)
	default:
		d.give(w, r, p)
	}
}

// give answers with the packets that there are.
func (d *Door) give(w http.ResponseWriter, r *http.Request, p *poll) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // the server's limit on request bodies would end the wait
	all := p.wait(r.Context())
	if all == nil {
		p.Close(nil) // what it would have been given is lost
		return
	}
	var body []byte
	for _, packet := range all {
		body = appendPayload(body, packet)
	}
	_ = rc.SetWriteDeadline(time.Now().Add(pollTimeout))
	if j := r.URL.Query().Get("j"); j != "" {
		script(w, j, body)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	_, _ = w.Write(body) // who has left comes back, and says how far it was
}

// script is a body for browsers that can load only scripts from elsewhere.
func script(w http.ResponseWriter, number string, body []byte) {
	if _, err := strconv.ParseUint(number, 10, 32); err != nil {
		handshakeError(w, badRequest)
		return
	}
	text, err := json.Marshal(string(body))
	if err != nil { // a string always marshals
		handshakeError(w, badRequest)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=UTF-8")
	_, _ = w.Write([]byte("___eio[" + number + "](" + string(text) + ");"))
}

// accept takes packets of a client.
func (d *Door) accept(w http.ResponseWriter, r *http.Request, p *poll) {
	p.mu.Lock()
	most := int64(4*p.limit + 4<<10)
	p.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		p.Close(nil)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		p.Close(nil)
		handshakeError(w, badRequest)
		return
	}
	if r.URL.Query().Get("j") != "" {
		body = formBody(body)
	}
	all, err := decodePayload(body)
	if err == nil {
		err = p.bring(r.Context(), all)
	}
	if err != nil {
		p.Close(nil)
		handshakeError(w, badRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "ok")
}

func (d *Door) find(id string) *poll {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.polls[id]
}

func (d *Door) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.polls, id)
}

var _ session.Parker = (*poll)(nil)
