package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Socket is the wire to one client. Read is called by one goroutine and Write
// by another; Close ends both.
type Socket interface {
	// Read returns the client's next text frame of at most limit bytes. An
	// error that is a *protocol.Error is told to the client; any other means
	// that the client is gone.
	Read(ctx context.Context, limit int) ([]byte, error)
	// Write sends frames in order.
	Write(ctx context.Context, frames []*hub.Frame) error
	// Close ends the connection. Where why is not nil the client gets its
	// close code.
	Close(why *protocol.Error)
	// Door is the wire's name, for statistics.
	Door() string
	// Pongs reports whether the client can answer pings.
	Pongs() bool
}

const (
	helloLimit  = 16 << 10 // bytes of the frames before welcome
	frameMargin = 4 << 10  // what a frame may have beside the message's data (clause 2.6)
	maxWrong    = 20       // wrong frames until the connection ends (clause 3.8)
)

// Session is one client's connection. End may be called concurrently with
// everything; all else belongs to the goroutine that calls Serve or Run. It
// lives as long as that call.
type Session struct {
	id   string
	set  *Set
	sock Socket
	out  *outbox

	heard atomic.Int64                     // when the client last sent anything, Unix nanoseconds
	lives atomic.Pointer[tenant.Principal] // who, for others; nil until authorised

	// State of the goroutine that runs the session.
	who     *tenant.Principal // nil until authorised
	origin  string
	meter   *tenant.Meter
	release func()
	subs    map[protocol.Channel]*subscription
	watches map[protocol.Channel]*watcher // of channels in subs
	present map[protocol.Channel]struct{} // where it has entered
	wrong   int
	resume  *Resume
	expiry  *time.Timer
}

// Serve runs a session that begins with hello, until the client or the server
// ends it. origin is the Origin header of the handshake, or "".
func (set *Set) Serve(ctx context.Context, sock Socket, origin string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := set.session(sock, origin, cancel)
	hello := time.AfterFunc(set.o.HelloTimeout, func() { s.End(protocol.NewError(protocol.CodeHelloTimeout)) })
	defer hello.Stop()
	s.run(ctx, cancel, func() error { return s.hello(ctx, hello) })
}

// Stream is what a client that cannot send commands listens to.
type Stream struct {
	Channels []protocol.Channel
	Resume   *Resume          // where it was before, if it was
	Rewind   *protocol.Rewind // what it wants of the past otherwise
	Watch    hub.Watched      // what else it is told
}

// Resume is a position in all channels of a stream at once. Channels that are
// stored together share an epoch, so one sequence speaks for all of them.
type Resume struct {
	Seqs map[string]uint64 // by epoch
	At   time.Time         // when the client certainly had everything
}

// TypeLive is the type of the frame, without a line, that tells a socket that
// all of a Stream's past has been sent. It is not for the client.
const TypeLive = "live"

// ServeAs runs a session of somebody who is known already and subscribes it to
// a stream's channels. What is wrong is returned before anything was written.
func (set *Set) ServeAs(ctx context.Context, sock Socket, who *tenant.Principal, stream Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := set.session(sock, "", cancel)
	for _, ch := range stream.Channels {
		if err := who.May(protocol.Subscribe, ch); err != nil {
			return protocol.AsError(err).On(ch)
		}
		if err := mayWatch(who, ch, stream.Watch); err != nil {
			return protocol.AsError(err).On(ch)
		}
	}
	if most := who.Limits().ChannelsPerConnection; len(stream.Channels) > most {
		return protocol.Errorf(protocol.CodeChannelLimit, "The stream asks for %d channels; this app's channels_per_connection limit is %d.", len(stream.Channels), most)
	}
	if err := s.authorise(who); err != nil {
		s.leave()
		set.remove(s)
		return err
	}
	s.resume = stream.Resume
	s.run(ctx, cancel, func() error {
		s.reply(s.welcome(0))
		for _, ch := range stream.Channels {
			if s.subs[ch] != nil {
				continue
			}
			if err := s.subscribe(ctx, protocol.Command{Channel: ch, Rewind: stream.Rewind, Presence: stream.Watch.Members, Occupancy: stream.Watch.Numbers}, true); err != nil {
				return protocol.AsError(err).On(ch)
			}
		}
		s.out.push(&hub.Frame{Type: TypeLive})
		return nil
	})
	return nil
}

func (set *Set) session(sock Socket, origin string, cut func()) *Session {
	s := &Session{
		id:     strings.ToLower(rand.Text()),
		set:    set,
		sock:   sock,
		out:    newOutbox(set.o.QueueBytes, cut),
		origin: origin,
		subs:   map[protocol.Channel]*subscription{},
	}
	s.heard.Store(time.Now().UnixNano())
	return s
}

// End ends the session: what is queued goes out, then e.
func (s *Session) End(e *protocol.Error) { s.out.end(e) }

// run is the session's life: begin, then commands until the end. It returns
// when nothing of the session is left. cancel ends ctx.
func (s *Session) run(ctx context.Context, cancel func(), begin func() error) {
	if err := s.set.add(s); err != nil {
		s.End(protocol.AsError(err))
	}
	defer s.set.remove(s)
	defer s.leave()
	door := s.sock.Door()
	s.set.o.Stats.Connected(door)

	var why *protocol.Error
	var writer sync.WaitGroup
	writer.Go(func() {
		defer cancel()
		why = s.write(ctx)
	})
	err := begin()
	for err == nil {
		err = s.read(ctx)
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		s.End(e)
	} else {
		cancel() // the client is gone: there is nobody to write to
	}
	writer.Wait()

	var code protocol.Code
	if why != nil {
		code = why.Code
	}
	s.set.o.Stats.Disconnected(door, code)
	s.set.o.Log.Debug("session ended", "session", s.id, "door", door, "code", code)
	if s.who != nil && s.set.o.Closed != nil {
		s.set.o.Closed(s.who.App, protocol.WebhookEvent{Type: protocol.WebhookConnectionClosed, User: s.who.User, Connection: s.id, Code: code})
	}
}

// leave gives back what the session held.
func (s *Session) leave() {
	s.absent()
	for ch, sub := range s.subs {
		s.set.o.Hub.Unsubscribe(s.who.App, ch, sub)
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.release != nil {
		s.release()
	}
}

// read takes one frame from the client and carries out its commands. A
// *protocol.Error ends the connection.
func (s *Session) read(ctx context.Context) error {
	frame, err := s.sock.Read(ctx, s.who.MaxData()+frameMargin)
	if err != nil {
		return err
	}
	s.heard.Store(time.Now().UnixNano())
	for line := range protocol.Lines(frame) {
		// Who sends commands faster than it reads the answers is not read from
		// meanwhile.
		if err := s.out.wait(ctx); err != nil {
			return err
		}
		c, err := protocol.DecodeCommand(line)
		if err != nil {
			if s.wrong++; s.wrong >= maxWrong {
				return protocol.NewError(protocol.CodeTooManyErrors)
			}
			s.refuse(c, err)
			continue
		}
		s.do(ctx, c)
	}
	return nil
}

// write empties the outbox into the socket, and pings, until the session
// ends. It returns why, or nil where the client went away.
func (s *Session) write(ctx context.Context) *protocol.Error {
	ping := time.NewTicker(s.pingInterval())
	defer ping.Stop()
	var buf []*hub.Frame
	for {
		select {
		case <-ctx.Done():
			s.sock.Close(nil)
			_, end := s.out.take(nil)
			return end
		case <-ping.C:
			silent := time.Since(time.Unix(0, s.heard.Load()))
			if s.sock.Pongs() && silent >= 2*s.set.o.PingInterval {
				s.End(protocol.NewError(protocol.CodePingTimeout))
				continue
			}
			s.reply(protocol.Reply{Type: protocol.TypePing, Time: time.Now().UnixMilli()})
		case <-s.out.wake:
			frames, end := s.out.take(buf)
			if end != nil {
				s.set.o.Stats.Refused(end.Code)
				frames = append(frames, encode(protocol.ErrorReply(end, 0, true)))
			}
			if err := s.sock.Write(ctx, frames); err != nil {
				s.sock.Close(nil)
				_, end = s.out.take(nil) // it may have been cut off for being slow
				return end
			}
			if end != nil {
				s.sock.Close(end)
				return end
			}
			buf = frames
		}
	}
}

// pingInterval is shorter where the client cannot answer: there the ping only
// keeps proxies from closing a silent stream (clause 7.5).
func (s *Session) pingInterval() time.Duration {
	if s.sock.Pongs() {
		return s.set.o.PingInterval
	}
	return min(s.set.o.PingInterval, 15*time.Second)
}

// reply queues a frame for this client alone.
func (s *Session) reply(r protocol.Reply) { s.out.push(encode(r)) }

// refuse answers c with err.
func (s *Session) refuse(c protocol.Command, err error) {
	e := protocol.AsError(err)
	if e.Channel == "" {
		if ch, err := protocol.ParseChannel(string(c.Channel)); err == nil {
			e = e.On(ch)
		}
	}
	s.set.o.Stats.Refused(e.Code)
	s.reply(protocol.ErrorReply(e, c.Ref, false))
}

func encode(r protocol.Reply) *hub.Frame {
	line, err := json.Marshal(r)
	if err != nil { // a Reply has nothing that cannot be encoded
		line = []byte(`{"type":"error","code":"internal"}`)
	}
	f := &hub.Frame{Line: line, Type: r.Type, Channel: r.Channel}
	if r.Position != nil && *r.Position != "" {
		f.Position = *r.Position
		f.Epoch, f.Seq, _ = r.Position.Parse() // ours
	}
	return f
}
