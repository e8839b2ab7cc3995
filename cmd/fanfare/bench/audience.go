package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// audience are the subscribers of a run. Each has one connection and one
// channel, and checks that the channel's messages come whole and in order.
type audience struct {
	loop   *loop
	target *target
	wire   wire
	run    uint32 // the mark of this run's messages

	// What benchmarks want that are not about plain subscribers.
	greet      func(channel uint32) []byte        // instead of the wire's greeting
	heardText  func(s *subscriber, text []byte)   // is shown every text
	answered   func(s *subscriber, command int64) // a later command is answered
	had, goal  uint32                             // sequences that subscribers begin with, and are caught up at
	readBuffer int                                // of the kernel, bytes; 0: its own choice

	subs     []*subscriber
	joined   int       // subscribed and connected
	joins    histogram // from dial to subscribed
	caughtUp int
	catches  histogram // from dial to caught up

	// Messages due in [from, to) are measured.
	from, to  time.Duration
	latency   histogram
	delivered uint64 // of those

	heard  time.Duration // when a message came last
	faults faults
	setup  error // why a subscriber could not join
}

// subscriber is one client. It costs its connection and these few bytes.
type subscriber struct {
	audience *audience
	conn     *conn
	channel  uint32
	seq      uint32 // of the last message
	state    state
	events   bool   // the wire is server-sent events, else WebSocket
	chunked  bool   // events come in chunks
	text     []byte // of a message or event whose end is still to come; mostly nil
	dialed   time.Duration
	turn     int // for the benchmark
}

type state uint8

const (
	dialing state = iota
	opening       // the request is sent
	subscribing
	live
	left
)

// channelName is the name of a run's channel.
func (a *audience) channelName(channel uint32) string {
	return fmt.Sprintf("%s%08x-%d", a.target.prefix, a.run, channel)
}

// join connects n subscribers, window of them at once, of the channels that
// channel says, and returns when all are subscribed.
func (a *audience) join(ctx context.Context, n, window int, channel func(i int) uint32, progress func(done int)) error {
	first, begun := len(a.subs), 0
	base := a.joined
	underWay := func() int { // begun, and not where they are to be
		if a.goal > 0 {
			return begun - a.caughtUp
		}
		return begun - (a.joined - base)
	}
	fill := func() {
		for begun < n && underWay() < window && a.setup == nil {
			s := &subscriber{audience: a, channel: channel(first + begun), seq: a.had}
			a.subs = append(a.subs, s)
			begun++
			s.dial(first + begun - 1)
		}
		progress(a.joined - base)
	}
	ok, err := a.loop.run(ctx, time.Minute+time.Duration(n)*5*time.Millisecond, nil, func() bool {
		fill()
		return a.joined-base == n || a.setup != nil
	})
	switch {
	case err != nil:
		return err
	case a.setup != nil:
		return fmt.Errorf("subscriber %d of %d: %w", a.joined-base+1, n, a.setup)
	case !ok:
		return &Failure{Message: fmt.Sprintf("only %d of %d subscribers came in in time", a.joined-base, n), Remedy: "Try fewer (--subscribers), and look at the server's log."}
	}
	return nil
}

func (s *subscriber) dial(i int) {
	a := s.audience
	s.dialed = a.loop.now()
	c, err := a.loop.connect(a.target.addr, a.target.source(i), a.readBuffer, s)
	if err != nil {
		s.gone(err)
		return
	}
	s.conn = c
}

func (s *subscriber) opened() {
	s.state = opening
	s.conn.write(s.audience.wire.request(s.audience.channelName(s.channel)))
}

// gone is called when the connection ends and nobody here wanted it to.
func (s *subscriber) gone(err error) {
	a := s.audience
	if s.state != live {
		if a.setup == nil {
			a.setup = err
		}
	} else {
		a.joined--
		a.faults.drop(err)
	}
	s.state, s.conn = left, nil
}

var errAnswer = errors.New("the server did not open the stream")

func (s *subscriber) received(b []byte) (int, error) {
	done := 0
	if s.state == opening {
		n, err := s.begin(b)
		if n == 0 || err != nil {
			return 0, err
		}
		done = n
	}
	for done < len(b) && s.conn != nil {
		n, err := s.next(b[done:])
		if n == 0 || err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// begin reads the head of the server's answer.
func (s *subscriber) begin(b []byte) (int, error) {
	status, length, n, err := readHead(b)
	if err != nil || n == 0 {
		return 0, err
	}
	if status != 101 && status != 200 {
		return 0, refused(status, b[n:])
	}
	if status == 101 && !bytes.Contains(b[:n], []byte(acceptKey)) {
		return 0, errAnswer
	}
	s.state, s.events, s.chunked = subscribing, status == 200, length == chunked
	a := s.audience
	text, now := a.wire.greeting(a.channelName(s.channel))
	if a.greet != nil {
		text = a.greet(s.channel)
	}
	if text != nil {
		s.send(text)
	}
	if now {
		s.join()
	}
	return n, nil
}

// next reads one frame, or one chunk of events.
func (s *subscriber) next(b []byte) (int, error) {
	if !s.events {
		return s.nextFrame(b)
	}
	if !s.chunked {
		return len(b), s.readEvents(b)
	}
	data, n, err := readChunk(b)
	if err != nil || n == 0 {
		return 0, err
	}
	if len(data) == 0 {
		return 0, errEnded
	}
	return n, s.readEvents(data)
}

// readEvents reads the whole events in what came, and keeps the rest.
func (s *subscriber) readEvents(b []byte) error {
	if len(s.text) > 0 {
		s.text = append(s.text, b...)
		b = s.text
	}
	end := bytes.LastIndex(b, []byte("\n\n"))
	if end < 0 {
		if len(b) > readSize {
			return errBig
		}
		s.text = append(s.text[:0], b...)
		return nil
	}
	err := s.read(b[:end+2])
	if rest := b[end+2:]; len(rest) > 0 {
		s.text = append(s.text[:0], rest...)
	} else {
		s.text = nil
	}
	return err
}

// nextFrame reads one frame.
func (s *subscriber) nextFrame(b []byte) (int, error) {
	f, n, err := readFrame(b)
	if err != nil || n == 0 {
		return 0, err
	}
	switch f.op {
	case opPing:
		s.conn.write(appendFrame(nil, opPong, f.payload, rand.Uint32()))
	case opClose:
		if len(f.payload) >= 2 {
			return 0, fmt.Errorf("%w with %d %s", errEnded, int(f.payload[0])<<8|int(f.payload[1]), f.payload[2:])
		}
		return 0, errEnded
	case opContinuation, opText, opBinary:
		text := f.payload
		if !f.fin || f.op == opContinuation {
			if s.text = append(s.text, text...); len(s.text) > readSize {
				return 0, errBig
			}
			if !f.fin {
				return n, nil
			}
			text, s.text = s.text, nil
		}
		return n, s.read(text)
	}
	return n, nil
}

func (s *subscriber) send(text []byte) {
	s.conn.write(appendFrame(nil, opText, text, rand.Uint32()))
}

// read takes a whole text from the server.
func (s *subscriber) read(text []byte) error {
	a := s.audience
	got := a.wire.answer(text)
	if got.err != nil {
		return got.err
	}
	if got.reply != nil {
		s.send(got.reply)
	}
	if got.subscribed && s.state == subscribing {
		s.join()
	}
	if got.command != 0 && a.answered != nil {
		if a.answered(s, got.command); s.conn == nil {
			return nil
		}
	}
	if a.heardText != nil {
		a.heardText(s, text)
	}
	m, rest, ok := findMark(text)
	if !ok {
		return nil
	}
	now := a.loop.now()
	a.heard = now
	for ; ok; m, rest, ok = findMark(rest) {
		s.take(m, now)
	}
	return nil
}

func (s *subscriber) join() {
	s.state = live
	a := s.audience
	a.joined++
	a.joins.record(a.loop.now() - s.dialed)
}

// take counts one message.
func (s *subscriber) take(m mark, now time.Duration) {
	a := s.audience
	if m.run != a.run || m.channel != s.channel {
		a.faults.foreign++
		return
	}
	if m.seq <= s.seq {
		a.faults.repeated++
		return
	}
	a.faults.lost += uint64(m.seq - s.seq - 1)
	s.seq = m.seq
	if m.due >= a.from && m.due < a.to {
		a.delivered++
		a.latency.record(now - m.due)
	}
	if m.seq == a.goal {
		a.caughtUp++
		a.catches.record(now - s.dialed)
	}
}

// missing counts the messages that have not come yet; last is the sequence of
// the last message of a channel.
func (a *audience) missing(last func(channel uint32) uint32) (n uint64) {
	for _, s := range a.subs {
		if want := last(s.channel); s.seq < want {
			n += uint64(want - s.seq)
		}
	}
	return n
}

// measure begins anew, with what is due from one time until another.
func (a *audience) measure(from, to time.Duration) {
	a.from, a.to = from, to
	a.faults, a.delivered = faults{}, 0
	a.latency.reset()
}

// lateness is for how long nothing may come before what is missing is lost.
const lateness = 3 * time.Second

// wait waits until all says so, or nothing comes any more.
func (a *audience) wait(ctx context.Context, all func() bool) error {
	a.heard = a.loop.now()
	_, err := a.loop.run(ctx, time.Minute, nil, func() bool {
		return all() || a.loop.now()-a.heard > lateness
	})
	return err
}

// leave closes all connections.
func (a *audience) leave() {
	for _, s := range a.subs {
		if s.conn != nil {
			s.conn.close(true)
			s.conn, s.state = nil, left
		}
	}
	a.subs, a.joined = nil, 0
}

// joinWindow is how many connections are being opened at a time.
const joinWindow = 128

// newAudience is an audience without members yet.
func newAudience(l *loop, t *target) *audience {
	return &audience{loop: l, target: t, wire: t.wire, run: rand.Uint32(), to: never}
}
