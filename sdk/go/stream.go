package fanfare

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	startSilence   = 15 * time.Second // until welcome
	silence        = 15 * time.Second // then, where welcome does not say more (PROTOCOL.md, clause 7.5)
	silenceSpare   = 10 * time.Second // on top (clause 5.3)
	minEventBytes  = 1 << 20
	envelopeExtras = 16 << 10 // of a message beside its data, generously
)

// errSilent means that a stream which should have said something did not.
var errSilent = errors.New("the stream fell silent")

// ended says how a connection ended, and what to do then.
type ended struct {
	err     error
	welcome bool // it had begun
	then    protocol.Reconnect
	after   time.Duration // not before this
}

// connect opens one stream and reads it to its end. It calls subscribed when
// all channels are.
func (s *Subscription) connect(subscribed func()) ended {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	watch := newWatch(startSilence, func() { cancel(errSilent) })
	defer watch.stop()
	resp, err := s.open(ctx)
	if err != nil {
		return s.judge(ended{err: err, then: thenOfRefusal(err)})
	}
	defer func() { _ = resp.Body.Close() }()
	st := &stream{
		sub: s, watch: watch, subscribed: subscribed,
		events:  newEventReader(&watchedBody{resp.Body, watch}, minEventBytes),
		waiting: make(map[protocol.Channel]bool, len(s.channels)),
	}
	for _, ch := range s.channels {
		st.waiting[ch] = true
	}
	err = st.read()
	if _, told := errors.AsType[*protocol.Error](err); !told {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		err = fmt.Errorf("fanfare: the stream from %s broke: %w", s.client.servers.now(), err)
	}
	return s.judge(ended{err: err, welcome: st.welcome, then: st.then})
}

// open sends the request for a stream and checks that one begins.
func (s *Subscription) open(ctx context.Context) (*http.Response, error) {
	q := url.Values{}
	for _, ch := range s.channels {
		q.Add("channel", string(ch))
	}
	if s.rewind != "" && !s.before {
		q.Set("rewind", s.rewind)
	}
	if s.early != nil {
		q.Set("early", "true")
	}
	r, err := s.client.request(ctx, http.MethodGet, "/v1/sse?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	s.asked = r
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Cache-Control", "no-cache")
	if id := cmp.Or(s.lastID, s.place.id()); id != "" {
		r.Header.Set("Last-Event-ID", id)
	}
	resp, err := s.client.stream.Do(r)
	if err != nil {
		return nil, s.client.unreachable(ctx, err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode != http.StatusOK:
		err = s.client.refusal(resp)
	case kind != "text/event-stream":
		err = &stranger{s.client.servers.now(), resp.Status, kind}
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// thenOfRefusal says what to do after an HTTP error. Where the code has a close
// code, that one says it; else a server that finds fault with the request
// will find it again, and everything else may pass.
func thenOfRefusal(err error) protocol.Reconnect {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		return protocol.ReconnectBackoff
	}
	info, _ := e.Code.Info()
	switch {
	case info.Close != 0:
		return protocol.ReconnectFor(info.Close)
	case info.Status == http.StatusTooManyRequests || info.Status == http.StatusRequestTimeout:
		return protocol.ReconnectBackoff
	case info.Status >= 400 && info.Status < 500:
		return protocol.ReconnectNever
	}
	return protocol.ReconnectBackoff
}

// judge completes end by what its error says, and leaves the server unless all
// would say so.
func (s *Subscription) judge(end ended) ended {
	if e, ok := errors.AsType[*protocol.Error](end.err); ok {
		end.after = min(e.RetryAfter, time.Minute)
		if e.Code == protocol.CodeTokenExpired && s.client.source == nil {
			end.then = protocol.ReconnectNever // clause 6.5
		}
	}
	if end.then != protocol.ReconnectNever && s.ctx.Err() == nil {
		s.client.servers.leave(s.asked)
	}
	return end
}

// stream is one connection that has begun.
type stream struct {
	sub        *Subscription
	events     *eventReader
	watch      *watch
	waiting    map[protocol.Channel]bool // not subscribed yet
	subscribed func()
	welcome    bool
	again      bool // not the subscription's first connection
	then       protocol.Reconnect
}

// read reads the stream until it ends, which always is an error.
func (st *stream) read() error {
	for {
		ev, err := st.events.next()
		if id := st.events.quiet; id != "" { // all up to there has come
			st.sub.lastID, st.events.quiet = id, ""
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the server ends no stream without a word
		}
		if err == nil {
			err = st.take(ev)
		}
		if err != nil {
			return err
		}
	}
}

// take handles one event. An error ends the connection.
func (st *stream) take(ev event) error {
	switch ev.name {
	case "", protocol.TypeEarly:
		var m protocol.Message
		if err := json.Unmarshal(ev.data, &m); err != nil {
			return fmt.Errorf("a message of the stream cannot be read: %w", err)
		}
		if st.sub.fresh(&m) && !st.sub.put(item{message: m}) {
			return context.Cause(st.sub.ctx)
		}
		if ev.name == protocol.TypeEarly {
			return nil
		}
		if ev.id != "" {
			st.sub.lastID = ev.id
		}
		return nil
	case protocol.TypeWelcome, protocol.TypeSubscribed, protocol.TypeClose:
	default:
		return nil // clause 1.8
	}
	var r protocol.Reply
	if err := json.Unmarshal(ev.data, &r); err != nil {
		return fmt.Errorf("an event %s of the stream cannot be read: %w", ev.name, err)
	}
	switch ev.name {
	case protocol.TypeWelcome:
		st.welcome, st.again = true, st.sub.before
		st.sub.place.welcome(r.Time, st.again)
		st.events.limit = max(minEventBytes, r.MaxData+envelopeExtras)
		st.watch.set(max(silence, time.Duration(r.PingInterval)*time.Second) + silenceSpare)
	case protocol.TypeSubscribed:
		if !st.waiting[r.Channel] {
			return nil
		}
		delete(st.waiting, r.Channel)
		st.sub.answered(r.Channel, r.Time)
		if r.Recovered == nil || !*r.Recovered {
			missed := st.again || st.sub.place.seen[r.Channel] != ""
			st.sub.place.begin(r.Channel, r.Position)
			if missed && !st.sub.put(item{gap: r.Channel, reason: r.Reason}) {
				return context.Cause(st.sub.ctx)
			}
		}
		if len(st.waiting) == 0 {
			st.subscribed()
		}
	case protocol.TypeClose:
		st.then = protocol.ReconnectFor(r.Close)
		return &protocol.Error{
			Code: r.Code, Message: r.Message, Remedy: r.Remedy, Channel: r.Channel, Index: -1,
			RetryAfter: time.Duration(r.RetryAfter) * time.Millisecond,
		}
	}
	return nil
}
