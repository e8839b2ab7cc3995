// Package sse is the door for server-sent events: GET /v1/sse (PROTOCOL.md,
// section 7), for EventSource, curl -N and places where WebSocket is blocked.
// The wire format is that of the HTML standard, section 9.2.
package sse

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	writeTimeout = 10 * time.Second
	maxChannels  = 100
	cookieName   = "fanfare_token"
)

// Authenticator knows who holds a credential or a ticket.
type Authenticator interface {
	Authenticate(ctx context.Context, credential, origin string) (*tenant.Principal, error)
	RedeemTicket(ctx context.Context, text, origin string) (*tenant.Principal, error)
	AppOf(credential string) (app protocol.AppID, key string)
}

// Handler checks requests and runs a session on each. It may be called
// concurrently; sessions end when the request's context does.
func Handler(sessions *session.Set, auth Authenticator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Access-Control-Allow-Origin", "*") // no cookie crosses origins: clause 9.10
		switch r.Method {
		case http.MethodOptions:
			head.Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID, Cache-Control")
			head.Set("Access-Control-Max-Age", "7200")
			w.WriteHeader(http.StatusNoContent)
			return
		case http.MethodGet:
		default:
			head.Set("Allow", "GET, OPTIONS")
			api.WriteError(w, protocol.NewError(protocol.CodeMethodNotAllowed))
			return
		}
		what, err := parse(r)
		if err != nil {
			api.WriteError(w, err)
			return
		}
		who, credential, err := authenticate(r, auth)
		if err != nil {
			app, key := auth.AppOf(credential)
			sessions.Refused(app, err, protocol.Refusal{Door: doorName, What: "GET /v1/sse", Key: key})
			api.WriteError(w, err)
			return
		}
		s := &stream{w: w, rc: http.NewResponseController(w), gone: r.Context().Done(), closed: make(chan struct{}), woken: make(chan struct{}, 1)}
		if what.Resume != nil {
			s.id.hold = lastEventID(r)
		}
		if err := sessions.ServeAs(r.Context(), s, who, what); err != nil {
			sessions.Refused(who.App, err, protocol.Refusal{Door: doorName, What: "GET /v1/sse", User: who.User, Key: who.KeyID})
			api.WriteError(w, err)
		}
	})
}

func parse(r *http.Request) (session.Stream, error) {
	what := session.Stream{Client: r.UserAgent()}
	names := r.URL.Query()["channel"]
	switch {
	case len(names) == 0:
		return what, protocol.Errorf(protocol.CodeBadRequest, "The address names no channel: add ?channel=….")
	case len(names) > maxChannels:
		return what, protocol.Errorf(protocol.CodeChannelLimit, "The address names %d channels; a stream has at most %d.", len(names), maxChannels)
	}
	what.Channels = make([]protocol.Channel, len(names))
	for i, name := range names {
		ch, err := protocol.ParseChannel(name)
		if err != nil {
			return what, err
		}
		what.Channels[i] = ch
	}
	var err error
	if id := lastEventID(r); id != "" {
		if what.Resume, err = parseID(id); err != nil {
			return what, err
		}
	}
	if rewind := r.URL.Query().Get("rewind"); rewind != "" {
		if what.Rewind, err = parseRewind(rewind); err != nil {
			return what, err
		}
	}
	what.Watch = make(map[protocol.Channel]hub.Watched)
	if err := parseWatch(r, what, "presence", hub.Watched{Members: true}); err != nil {
		return what, err
	}
	if err := parseWatch(r, what, "occupancy", hub.Watched{Numbers: true}); err != nil {
		return what, err
	}
	what.Early, err = parseBool(r, "early")
	return what, err
}

// parseWatch adds one to what is watched of the channels that the parameter
// name asks for: true for all, or their names.
func parseWatch(r *http.Request, what session.Stream, name string, one hub.Watched) error {
	for _, value := range r.URL.Query()[name] {
		some := []protocol.Channel{protocol.Channel(value)}
		switch {
		case value == "true":
			some = what.Channels
		case value == "false" || value == "":
			continue
		case !slices.Contains(what.Channels, some[0]):
			return protocol.Errorf(protocol.CodeBadRequest, "The parameter %q must be true, false, or one of the stream's channels.", name)
		}
		for _, ch := range some {
			w := what.Watch[ch]
			what.Watch[ch] = hub.Watched{Members: w.Members || one.Members, Numbers: w.Numbers || one.Numbers}
		}
	}
	return nil
}

func parseBool(r *http.Request, name string) (bool, error) {
	switch r.URL.Query().Get(name) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, protocol.Errorf(protocol.CodeBadRequest, "The parameter %q must be true or false.", name)
}

// lastEventID is where the client was: EventSource sends the header by
// itself; the query is for the first request of somebody who kept the id.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("last_event_id")
}

// parseRewind reads 10 (messages) or 60s (seconds).
func parseRewind(s string) (*protocol.Rewind, error) {
	seconds, isTime := strings.CutSuffix(s, "s")
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeRewindInvalid, "The rewind %q is neither a number of messages, as 10, nor of seconds, as 60s.", s)
	}
	r := &protocol.Rewind{Count: n}
	if isTime {
		r = &protocol.Rewind{Seconds: n}
	}
	return r, r.Check()
}

// doorName is this door's name in statistics.
const doorName = "sse"

// authenticate takes the credential from the header, a ticket, a publishable
// key in the query or the cookie: the first that is there counts. The
// credential is told where it was none that goes once.
func authenticate(r *http.Request, auth Authenticator) (who *tenant.Principal, credential string, err error) {
	origin := r.Header.Get("Origin")
	if scheme, credential, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		credential = strings.TrimSpace(credential)
		who, err = auth.Authenticate(r.Context(), credential, origin)
		return who, credential, err
	}
	q := r.URL.Query()
	if ticket := q.Get("ticket"); ticket != "" {
		who, err = auth.RedeemTicket(r.Context(), ticket, origin)
		return who, "", err
	}
	for _, name := range []string{"key", "token", "access_token"} {
		credential := q.Get(name)
		if credential == "" {
			continue
		}
		if name != "key" || !strings.HasPrefix(credential, "ffp_") {
			return nil, credential, protocol.NewError(protocol.CodeKeyInURL)
		}
		who, err = auth.Authenticate(r.Context(), credential, origin)
		return who, credential, err
	}
	if c, err := r.Cookie(cookieName); err == nil && c.Value != "" {
		who, err = auth.Authenticate(r.Context(), c.Value, origin)
		return who, c.Value, err
	}
	return nil, "", protocol.NewError(protocol.CodeCredentialMissing)
}

// stream is one response as a session sees it. The headers go out with the
// first Write, so that what is wrong before can still be an HTTP error.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	gone    <-chan struct{} // closed when the client is
	closed  chan struct{}   // by Close
	woken   chan struct{}   // by Wake
	closing sync.Once
	begun   bool
	buf     bytes.Buffer
	id      eventID
}

func (s *stream) Traits() session.Traits { return session.Traits{Door: doorName} }

// Read waits: this client cannot say anything but that it is gone.
func (s *stream) Read(int) ([]byte, error) {
	select {
	case <-s.woken:
		return nil, nil
	case <-s.gone:
	case <-s.closed:
	}
	return nil, errGone
}

// Wake has Read return without anything said.
func (s *stream) Wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

var errGone = errors.New("sse: the client is gone")

// Close ends Read: the response ends when the handler returns, and the last
// event has told why.
func (s *stream) Close(*protocol.Error) {
	s.closing.Do(func() { close(s.closed) })
}

// Try does nothing: the HTTP server may wait for the client.
func (s *stream) Try(*hub.Frame) session.Tried { return session.Refused }

func (s *stream) Write(frames []*hub.Frame) error {
	if !s.begun {
		s.begin()
	}
	s.buf.Reset()
	for _, f := range frames {
		s.event(f)
	}
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.rc.Flush()
}

func (s *stream) begin() {
	s.begun = true
	_ = s.rc.SetReadDeadline(time.Time{}) // the server's limit on request bodies is not for streams
	head := s.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would hold events back
	s.w.WriteHeader(http.StatusOK)
}

func (s *stream) event(f *hub.Frame) {
	for _, one := range f.Parts {
		s.event(one)
	}
	if f.Parts != nil {
		return
	}
	s.id.see(f)
	switch f.Type {
	case session.TypeLive:
		return
	case protocol.TypePing:
		// An event without data reaches no listener, but its id is kept: it
		// tells the time up to which the client has had everything.
		if !s.line("id: ", s.id.String()) {
			s.buf.WriteString(":\n")
		}
		s.buf.WriteByte('\n')
		return
	case protocol.TypeMessage:
		s.line("id: ", s.id.String())
	default:
		s.line("event: ", f.Type)
	}
	s.buf.WriteString("data: ")
	s.buf.Write(f.Line)
	s.buf.WriteString("\n\n")
}

func (s *stream) line(name, value string) bool {
	if value == "" {
		return false
	}
	s.buf.WriteString(name)
	s.buf.WriteString(value)
	s.buf.WriteByte('\n')
	return true
}
