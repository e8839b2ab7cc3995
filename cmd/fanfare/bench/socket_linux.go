package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller says which of many sockets can be read or written (epoll(7), level
// triggered), and wakes at a time that is exact to microseconds (timerfd).
type poller struct {
	fd, timer int
	events    []unix.EpollEvent
}

const timerID = -1

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("timerfd: %w", err), unix.Close(fd))
	}
	p := &poller{fd: fd, timer: timer, events: make([]unix.EpollEvent, 512)}
	if err := p.watch(timer, timerID, false); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *poller) close() error { return errors.Join(unix.Close(p.timer), unix.Close(p.fd)) }

func interest(write bool) uint32 {
	if write {
		return unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLOUT
	}
	return unix.EPOLLIN | unix.EPOLLRDHUP
}

// watch begins to report fd as id; write says whether room to write counts.
func (p *poller) watch(fd int, id int32, write bool) error {
	ev := unix.EpollEvent{Events: interest(write), Fd: id}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// rewatch changes what counts, and with mute leaves reading out, too.
func (p *poller) rewatch(fd int, id int32, write, mute bool) error {
	ev := unix.EpollEvent{Events: interest(write), Fd: id}
	if mute {
		ev.Events &^= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wait calls ready for each socket that can do something, at the latest after
// d.
func (p *poller) wait(d time.Duration, ready func(id int32, read, write bool)) error {
	timeout := 0
	if d > 0 {
		timeout = -1
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
		if err := unix.TimerfdSettime(p.timer, 0, &spec, nil); err != nil {
			return fmt.Errorf("timerfd: %w", err)
		}
	}
	n, err := unix.EpollWait(p.fd, p.events, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, ev := range p.events[:max(n, 0)] {
		if ev.Fd == timerID {
			var b [8]byte
			_, _ = unix.Read(p.timer, b[:])
			continue
		}
		broken := ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
		ready(ev.Fd, broken || ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0, broken || ev.Events&unix.EPOLLOUT != 0)
	}
	return nil
}

// dial begins to connect; the socket can be written when it is connected. from
// may be the zero Addr. readBuffer, if not 0, is the kernel's receive buffer.
func dial(to netip.AddrPort, from netip.Addr, readBuffer int) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := connect(fd, to, from, readBuffer); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func connect(fd int, to netip.AddrPort, from netip.Addr, readBuffer int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if readBuffer > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
	}
	if from.IsValid() {
		// The port is chosen at connect, so that one port may serve several
		// targets.
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			return fmt.Errorf("source address %s: %w", from, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// dialed returns why a dial failed, nil if it did not.
func dialed(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if n != 0 {
		return fmt.Errorf("connect: %w", unix.Errno(n))
	}
	return nil
}

// readSocket and writeSocket return 0 and nil where they would have to wait;
// the end of the stream is errEnded.
//
// They are raw system calls, since they never block: to be told of each of
// them would keep Go's scheduler busier than the loop itself.
func readSocket(fd int, b []byte) (int, error) {
	n, err := rawIO(unix.SYS_READ, fd, b)
	if n == 0 && err == nil {
		return 0, errEnded
	}
	return waits(n, err)
}

func writeSocket(fd int, b []byte) (int, error) { return waits(rawIO(unix.SYS_WRITE, fd, b)) }

func rawIO(call uintptr, fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func waits(n int, err error) (int, error) {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// closeSocket closes fd; with reset it does so by RST, so that the port is
// free at once.
func closeSocket(fd int, reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(fd)
}

// allowFiles sees that this process may have n files open.
func allowFiles(n int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	want := uint64(n)
	if lim.Cur >= want {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: want, Max: max(lim.Max, want)}); err != nil {
		return &Failure{
			Message: fmt.Sprintf("%d connections need %d open files, and this process may have %d", n-spareFiles, n, lim.Max),
			Remedy:  fmt.Sprintf("Raise the limit (ulimit -n %d, as root), or use fewer connections.", n),
			Err:     err,
		}
	}
	return nil
}
