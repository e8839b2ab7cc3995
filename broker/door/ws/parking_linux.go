package ws

import (
	"os"
	"sync"
	"syscall"
)

// parking watches the connections of silent clients, for all of which it has
// one goroutine. A connection is parked for one event at a time. All methods
// may be called concurrently. It lives from newParking to close.
type parking struct {
	epoll int
	file  *os.File // epoll: the runtime's poller watches it in its turn
	run   sync.WaitGroup

	mu     sync.Mutex
	places []*line // by descriptor
}

func newParking() (*parking, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	p := &parking{epoll: fd, file: os.NewFile(uintptr(fd), "parking")}
	raw, err := p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	p.run.Go(func() { p.watch(raw) })
	return p, nil
}

func (p *parking) close() {
	_ = p.file.Close()
	p.run.Wait()
}

// watch wakes those to whom something has come.
func (p *parking) watch(raw syscall.RawConn) {
	events := make([]syscall.EpollEvent, 256)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events, 0) // an error is as good as nothing: the runtime waits again
			return n > 0
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			if wake := p.at(e.Fd); wake != nil {
				go wake()
			}
		}
	}
}

// at takes who is parked at a descriptor from its place.
func (p *parking) at(fd int32) (wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.places[fd]; l != nil {
		wake = p.leave(l)
	}
	return wake
}

func (p *parking) leave(l *line) (wake func()) {
	if l.wake != nil {
		p.places[l.place] = nil
	}
	wake, l.wake = l.wake, nil
	return wake
}

// park calls wake, in a goroutine of its own, when there is something to read
// from l or it is closed. false: it is closed, or cannot be watched.
//
// A descriptor is used again for another connection only after Close has
// taken this one from its place. An event that comes late for this one then
// wakes the other for nothing, which does no harm.
func (p *parking) park(l *line, wake func()) bool {
	placed, watched := false, false
	err := l.raw.Control(func(fd uintptr) {
		op := 0
		if op, placed = p.place(l, int32(fd), wake); !placed {
			return
		}
		watched = syscall.EpollCtl(p.epoll, op, int(fd), &syscall.EpollEvent{
			Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | epollOneShot, Fd: int32(fd),
		}) == nil
	})
	if err == nil && watched || !placed {
		return watched
	}
	return p.unpark(l, false) == nil // Close was first, and wakes it
}

const epollOneShot = syscall.EPOLLONESHOT

// place is the first half of park: from then on l belongs to whom it wakes. op
// is what to ask of epoll.
func (p *parking) place(l *line, fd int32, wake func()) (op int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.closed {
		return 0, false
	}
	for int(fd) >= len(p.places) {
		p.places = append(p.places, make([]*line, max(64, len(p.places)))...)
	}
	p.places[fd] = l
	l.wake, l.place = wake, fd
	op = syscall.EPOLL_CTL_MOD
	if !l.known {
		l.known, op = true, syscall.EPOLL_CTL_ADD
	}
	return op, true
}

// unpark takes l from its place, for good if it closes. nil: it is not parked.
func (p *parking) unpark(l *line, closes bool) (wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.closed = l.closed || closes
	return p.leave(l)
}
