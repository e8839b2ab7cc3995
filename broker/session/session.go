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
	"unique"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Socket is the wire to one client. Read is called by one goroutine at a time,
// Try and Write by another; Close by anybody, it ends both.
type Socket interface {
	// Read returns the client's next text frame of at most limit bytes, valid
	// until the next call. An error that is a *protocol.Error is told to the
	// client; any other means that the client is gone.
	Read(limit int) ([]byte, error)
	// Try sends f if it can do so without waiting.
	Try(f *hub.Frame) Tried
	// Write sends what Try has kept and then frames, in order. It gives up on
	// a client that takes nothing.
	Write(frames []*hub.Frame) error
	// Close ends the connection. Where why is not nil the client gets its
	// close code.
	Close(why *protocol.Error)
	// Traits are the same at every call.
	Traits() Traits
}

// Tried is what became of a frame that a socket was to send without waiting.
type Tried int

// What Try answers.
const (
	Refused Tried = iota // nothing of it was sent: Write it
	Kept                 // a part of it was sent: Write sends the rest
	Sent                 // all of it was sent
)

// Traits are what a session must know of a wire.
type Traits struct {
	Door  string // its name, for statistics
	Pongs bool   // whether the client can answer pings
	Quits bool   // whether who is gone has left at once, and is not waited for
}

// Parker is a Socket that can do without a goroutine while the client is
// silent.
type Parker interface {
	// Park arranges that wake is called once, in a goroutine of its own, when
	// there is something to Read or the socket was closed. false: there is
	// something now, or it cannot tell; wake is not called.
	Park(wake func()) bool
}

// Waker is a Socket of a client that says nothing: Wake, which may be called
// concurrently with everything, has its Read return once with nothing said.
type Waker interface {
	Wake()
}

const (
	helloLimit  = 16 << 10 // bytes of the frames before welcome
	frameMargin = 4 << 10  // what a frame may have beside the message's data (clause 2.6)
	maxWrong    = 20       // wrong frames until the connection ends (clause 3.8)
)

// Session is one client's connection. End may be called concurrently with
// everything; all else belongs to the goroutine that reads, of which there is
// one at a time, and none while the client is silent on a socket that parks.
// It lives from Accept, Serve or ServeAs until it has finished.
type Session struct {
	id     string
	set    *Set
	sock   Socket
	traits Traits
	park   Parker          // nil: the socket cannot
	spoken Speaker         // nil: the client speaks our own protocol
	ctx    context.Context // of what is done for the client
	out    outbox
	origin string
	turned func() // turn, made once

	client unique.Handle[string] // what it says that it is; set before lives, or never
	opened time.Duration         // by the set's clock
	listed sync.Mutex            // held where subs changes, and by others who read it

	heard atomic.Int64                     // when the client last sent anything, by the set's clock
	crowd atomic.Bool                      // whether it has ever entered or watched a channel
	again atomic.Bool                      // whether presenceAgain is due
	lives atomic.Pointer[tenant.Principal] // who, for others; nil until authorised
	spoke spoke                            // where it is on the wheel

	// State of the goroutine that reads.
	who     *tenant.Principal // nil until authorised
	meter   *tenant.Meter
	release func()
	subs    map[protocol.Channel]*subscription
	watches map[protocol.Channel]*watcher // of channels in subs
	present map[protocol.Channel]string   // where it has entered, and as whom
	wrong   int
	resume  *Resume
	expiry  *time.Timer
}

// Accept begins a session that begins with hello and lives until the client or
// the server ends it. It does not wait. origin is the Origin header of the
// handshake, or "".
func (set *Set) Accept(sock Socket, origin string) {
	s := set.session(set.ctx, sock, origin)
	s.park, _ = sock.(Parker)
	if s.enter() && !(s.park != nil && s.park.Park(s.turned)) {
		go s.turn()
	}
}

// Serve is Accept for as long as the session or ctx lasts.
func (set *Set) Serve(ctx context.Context, sock Socket, origin string) {
	s := set.session(ctx, sock, origin)
	defer context.AfterFunc(ctx, func() { sock.Close(nil) })()
	if s.enter() {
		s.turn()
	}
}

// Stream is what a client that cannot send commands listens to.
type Stream struct {
	Channels []protocol.Channel
	Resume   *Resume                          // where it was before, if it was
	Rewind   *protocol.Rewind                 // what it wants of the past otherwise
	Watch    map[protocol.Channel]hub.Watched // what else it is told
	Client   string                           // what it says that it is
	Early    bool                             // whether it takes copies, too
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
// a stream's channels, for as long as it or ctx lasts. What is wrong is
// returned before anything was written.
func (set *Set) ServeAs(ctx context.Context, sock Socket, who *tenant.Principal, stream Stream) error {
	s := set.session(ctx, sock, "")
	for _, ch := range stream.Channels {
		if err := who.May(protocol.Subscribe, ch); err != nil {
			return protocol.AsError(err).On(ch)
		}
		if err := mayWatch(who, ch, stream.Watch[ch]); err != nil {
			return protocol.AsError(err).On(ch)
		}
	}
	if most := who.Limits().ChannelsPerConnection; len(stream.Channels) > most {
		return protocol.Errorf(protocol.CodeChannelLimit, "The stream asks for %d channels; this app's channels_per_connection limit is %d.", len(stream.Channels), most)
	}
	if err := set.add(s); err != nil {
		return err
	}
	s.says(stream.Client)
	if err := s.authorise(who); err != nil {
		s.leave()
		set.remove(s)
		return err
	}
	s.resume = stream.Resume
	defer context.AfterFunc(ctx, func() { sock.Close(nil) })()
	s.start()
	if err := s.listen(stream); err != nil {
		s.finish(err)
		return nil
	}
	s.turn()
	return nil
}

// listen subscribes to all of stream.
func (s *Session) listen(stream Stream) error {
	s.reply(s.welcome(0))
	for _, ch := range stream.Channels {
		if s.subs[ch] != nil {
			continue
		}
		w := stream.Watch[ch]
		c := protocol.Command{Channel: ch, Rewind: stream.Rewind, Early: stream.Early, Presence: w.Members, Occupancy: w.Numbers}
		if err := s.Subscribe(Wish{Command: c, Tell: true}); err != nil {
			return protocol.AsError(err).On(ch)
		}
	}
	s.out.push(&hub.Frame{Type: TypeLive})
	return nil
}

func (set *Set) session(ctx context.Context, sock Socket, origin string) *Session {
	s := &Session{
		id: strings.ToLower(rand.Text()), set: set, sock: sock, traits: sock.Traits(), ctx: ctx, origin: origin,
		out: outbox{sock: sock, max: set.o.QueueBytes, gather: set.gather},
	}
	s.turned = s.turn
	s.opened = set.clock()
	s.heard.Store(int64(s.opened))
	return s
}

// End ends the session: what is queued goes out, then e.
func (s *Session) End(e *protocol.Error) { s.out.end(e) }

// enter is start in a set that may take no more: then it has finished.
func (s *Session) enter() bool {
	err := s.set.add(s)
	s.start()
	if err != nil {
		s.finish(err)
	}
	return err == nil
}

// start begins to look after the session.
func (s *Session) start() {
	s.set.o.Stats.Connected(s.traits.Door)
	s.set.wheel.add(s, s.pingInterval())
}

// turn carries out what the client says until it is silent, on a socket that
// parks, or gone.
func (s *Session) turn() {
	for {
		if err := s.read(); err != nil {
			s.finish(err)
			return
		}
		if s.park != nil && s.park.Park(s.turned) {
			return
		}
	}
}

// finish ends what err has not ended yet. Nothing is left of the session then.
func (s *Session) finish(err error) {
	e, told := errors.AsType[*protocol.Error](err)
	if told {
		s.End(e)
	}
	var code protocol.Code
	if why := s.out.quit(!told); why != nil {
		s.set.o.Stats.Refused(why.Code)
		if why.Code != protocol.CodeRestarting {
			s.refused("connection", why)
		}
		code = why.Code
	}
	s.set.wheel.remove(s)
	s.set.o.Stats.Disconnected(s.traits.Door, code)
	s.set.o.Log.Debug("session ended", "session", s.id, "door", s.traits.Door, "code", code)
	if s.who != nil && s.set.o.Closed != nil {
		s.set.o.Closed(s.who.App, protocol.WebhookEvent{Type: protocol.WebhookConnectionClosed, User: s.who.User, Connection: s.id, Code: code})
	}
	s.leave()
	s.set.remove(s)
}

// leave gives back what the session held.
func (s *Session) leave() {
	if l, ok := s.spoken.(Leaver); ok {
		l.Left()
	}
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
func (s *Session) read() error {
	limit := helloLimit
	if s.who != nil {
		limit = s.who.MaxData() + frameMargin
	}
	frame, err := s.sock.Read(limit)
	if err != nil {
		return err
	}
	s.heard.Store(int64(s.set.clock()))
	if s.again.Swap(false) && s.who != nil {
		s.presenceAgain()
	}
	if s.spoken != nil {
		if err := s.out.wait(); err != nil {
			return err
		}
		return s.spoken.Hear(frame)
	}
	for line := range protocol.Lines(frame) {
		if err := s.obey(line); err != nil {
			return err
		}
	}
	return nil
}

// obey carries out one command.
func (s *Session) obey(line []byte) error {
	// Who sends commands faster than it reads the answers is not read from
	// meanwhile.
	if err := s.out.wait(); err != nil {
		return err
	}
	c, err := protocol.DecodeCommand(line)
	switch {
	case s.who == nil && (err != nil || c.Type != protocol.TypeHello):
		return protocol.NewError(protocol.CodeHelloExpected)
	case s.who == nil:
		return s.greet(c)
	case err != nil:
		if s.wrong++; s.wrong >= maxWrong {
			return protocol.NewError(protocol.CodeTooManyErrors)
		}
		s.refuse(c, err)
	default:
		s.do(c)
	}
	return nil
}

// pingInterval is shorter where the client cannot answer: there the ping only
// keeps proxies from closing a silent stream (clause 7.5).
func (s *Session) pingInterval() time.Duration {
	if s.traits.Pongs {
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
	s.refused(c.Type, e)
	s.reply(protocol.ErrorReply(e, c.Ref, false))
}

func encode(r protocol.Reply) *hub.Frame {
	line, err := json.Marshal(r)
	if err != nil { // a Reply has nothing that cannot be encoded
		line = []byte(`{"type":"error","code":"internal"}`)
	}
	f := &hub.Frame{Line: line, Type: r.Type, Channel: r.Channel, Reply: &r}
	if r.Position != nil && *r.Position != "" {
		f.Position = *r.Position
		f.Epoch, f.Seq, _ = r.Position.Parse() // ours
	}
	return f
}
