package bench

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

var (
	errEnded = errors.New("the server closed the connection")
	errBig   = errors.New("the server sent something longer than bench reads")
)

const (
	readSize   = 1 << 20 // the one buffer that all sockets are read into
	spareFiles = 64      // open files besides the connections
)

// loop is the event loop that all connections of a run hang on. One goroutine
// turns it: whatever is called back runs in that one.
type loop struct {
	poll  *poller
	conns []*conn // by id; nil where closed
	free  []int32
	buf   []byte
	began time.Time
	err   error // of the poller, and final
}

func newLoop() (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &loop{poll: p, buf: make([]byte, readSize), began: time.Now()}, nil
}

// now is the run's clock: monotonic, nanoseconds since the loop was made.
func (l *loop) now() time.Duration { return time.Since(l.began) }

func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			c.close(true)
		}
	}
	_ = l.poll.close() // nothing is on it any more
}

// user is who reads a connection. It is called from the loop.
type user interface {
	opened()
	// received takes what came and returns how much of it is done with; the
	// rest comes again with what follows it.
	received(b []byte) (int, error)
	gone(err error) // called once, unless the loop's own side closed
}

// conn is one TCP connection without a buffer of its own: what is left of a
// read, and what could not be written, is all it keeps.
type conn struct {
	loop    *loop
	user    user
	fd      int
	id      int32
	up      bool // connected
	writing bool // waits for room to write
	mute    bool // is not read
	in, out []byte
}

// connect begins a connection; user hears of the rest.
func (l *loop) connect(to netip.AddrPort, from netip.Addr, readBuffer int, u user) (*conn, error) {
	fd, err := dial(to, from, readBuffer)
	if err != nil {
		return nil, err
	}
	c := &conn{loop: l, user: u, fd: fd, writing: true}
	if n := len(l.free); n > 0 {
		c.id, l.free = l.free[n-1], l.free[:n-1]
		l.conns[c.id] = c
	} else {
		c.id = int32(len(l.conns))
		l.conns = append(l.conns, c)
	}
	if err := l.poll.watch(fd, c.id, true); err != nil {
		c.close(true)
		return nil, err
	}
	return c, nil
}

// close closes the connection from our side; its user hears nothing.
func (c *conn) close(reset bool) {
	if c.fd < 0 {
		return
	}
	closeSocket(c.fd, reset)
	c.fd = -1
	c.loop.conns[c.id] = nil
	c.loop.free = append(c.loop.free, c.id)
	c.in, c.out = nil, nil
}

func (c *conn) fail(err error) {
	if c.fd >= 0 {
		c.close(false)
		c.user.gone(err)
	}
}

// write sends b now or as soon as there is room; b is copied where it waits.
func (c *conn) write(b []byte) {
	if c.fd < 0 {
		return
	}
	if c.up && len(c.out) == 0 {
		n, err := writeSocket(c.fd, b)
		if err != nil {
			c.fail(err)
			return
		}
		b = b[n:]
	}
	if len(b) > 0 {
		c.out = append(c.out, b...)
		c.rewatch(true, c.mute)
	}
}

// silence stops or resumes reading.
func (c *conn) silence(mute bool) { c.rewatch(c.writing, mute) }

func (c *conn) rewatch(write, mute bool) {
	if c.fd < 0 || write == c.writing && mute == c.mute {
		return
	}
	c.writing, c.mute = write, mute
	if err := c.loop.poll.rewatch(c.fd, c.id, write, mute); err != nil {
		c.fail(err)
	}
}

func (c *conn) canWrite() {
	if !c.up {
		if err := dialed(c.fd); err != nil {
			c.fail(err)
			return
		}
		c.up = true
		c.user.opened()
		if c.fd < 0 {
			return
		}
	}
	if len(c.out) > 0 {
		n, err := writeSocket(c.fd, c.out)
		if err != nil {
			c.fail(err)
			return
		}
		c.out = c.out[n:]
	}
	if len(c.out) == 0 {
		c.out = nil
		c.rewatch(false, c.mute)
	}
}

func (c *conn) canRead() {
	buf := c.loop.buf
	kept := copy(buf, c.in)
	n, err := readSocket(c.fd, buf[kept:])
	if err != nil {
		c.fail(err)
		return
	}
	if n == 0 {
		return
	}
	text := buf[:kept+n]
	done, err := c.user.received(text)
	if c.fd < 0 {
		return
	}
	if err == nil && done == 0 && len(text) == len(buf) {
		err = errBig
	}
	if err != nil {
		c.fail(err)
		return
	}
	if c.in = append(c.in[:0], text[done:]...); len(c.in) == 0 && cap(c.in) > 4096 {
		c.in = nil
	}
}

// turn waits for sockets, at most for d, and serves those that are ready.
func (l *loop) turn(d time.Duration) error {
	if l.err != nil {
		return l.err
	}
	l.err = l.poll.wait(d, func(id int32, read, write bool) {
		c := l.conns[id]
		if c == nil {
			return // closed by what came before it in this turn
		}
		if write && (c.writing || !c.up) {
			c.canWrite()
		}
		if read && c.fd >= 0 && c.up && !c.mute {
			c.canRead()
		}
	})
	return l.err
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// run turns the loop until done says so or limit has passed, which it reports
// by false. tick, which may be nil, is called whenever the time that it
// returned last has come, and at once at first.
func (l *loop) run(ctx context.Context, limit time.Duration, tick func(now time.Duration) time.Duration, done func() bool) (bool, error) {
	end, next := l.now()+limit, time.Duration(0)
	if tick == nil {
		next = never
	}
	for !done() {
		now := l.now()
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if now >= end {
			return false, nil
		}
		if now >= next {
			if next = tick(now); done() {
				return true, nil
			}
			now = l.now()
		}
		// A hundred milliseconds, so that an interrupt is noticed.
		if err := l.turn(min(max(0, next-now), end-now, 100*time.Millisecond)); err != nil {
			return false, err
		}
	}
	return true, nil
}
