package ws

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/fanfarehq/fanfare/broker/session"
)

// line is the connection below a WebSocket. It sees to it that frames never
// mix: of one that the system took a part of, the rest goes out first. Its
// methods may be called concurrently, Read by one goroutine at a time. It
// lives from the handshake to Close.
type line struct {
	net.Conn
	raw     syscall.RawConn // nil where writing without waiting is not possible, as with TLS
	parking *parking        // nil where there is none
	early   []byte          // what had come before the handshake was done; of Read

	writing sync.Mutex // held while bytes go out
	rest    []byte     // of a frame of which a part is out; guarded by writing

	// The write under way of try, guarded by writing.
	out     []byte
	n       int
	attempt func(fd uintptr)

	// Guarded by parking.
	wake   func() // while parked
	place  int32
	known  bool // to epoll
	closed bool
}

// begin takes over conn, of which early has been read.
func (l *line) begin(conn net.Conn, early []byte) {
	l.Conn, l.early = conn, early
	if c, ok := conn.(*net.TCPConn); ok && canTry {
		if raw, err := c.SyscallConn(); err == nil {
			l.raw = raw
			l.attempt = func(fd uintptr) { l.n = sendNow(fd, l.out) }
		}
	}
}

func (l *line) Read(b []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(b, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	return l.Conn.Read(b)
}

// try sends b, a whole frame, if that can be done at once. What is left of a
// frame that was begun is kept, so b must not change.
func (l *line) try(b []byte) session.Tried {
	if l.raw == nil || !l.writing.TryLock() {
		return session.Refused
	}
	defer l.writing.Unlock()
	if l.rest != nil {
		return session.Refused
	}
	l.out, l.n = b, 0
	// Control costs less than Write, whose lock and readiness are not needed: one
	// at a time is here, and it does not wait.
	err := l.raw.Control(l.attempt)
	l.out = nil
	switch {
	case err != nil || l.n == 0:
		return session.Refused
	case l.n < len(b):
		l.rest = b[l.n:]
		return session.Kept
	}
	return session.Sent
}

// send sends what is left of a frame and then b, whole frames, and waits for
// the client as long as writeTimeout.
func (l *line) send(b []byte) error {
	if err := l.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := l.Write(b); err != nil {
		return err
	}
	return l.Conn.SetWriteDeadline(time.Time{}) // it is for try, too
}

// Write sends what is left of a frame and then b.
func (l *line) Write(b []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.rest != nil {
		n, err := l.Conn.Write(l.rest)
		if err != nil {
			l.rest = l.rest[n:]
			return 0, err
		}
		l.rest = nil
	}
	if len(b) == 0 {
		return 0, nil
	}
	return l.Conn.Write(b)
}

// Close wakes who is parked on the line.
func (l *line) Close() error {
	var wake func()
	if l.parking != nil {
		wake = l.parking.unpark(l, true)
	}
	err := l.Conn.Close()
	if wake != nil {
		go wake()
	}
	return err
}

// park calls wake when there is something to read; see parking.
func (l *line) park(wake func()) bool {
	return l.parking != nil && l.raw != nil && len(l.early) == 0 && l.parking.park(l, wake)
}
