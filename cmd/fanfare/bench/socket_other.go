//go:build !linux

package bench

import (
	"net/netip"
	"time"
)

// The load generator is made of epoll, and figures of other systems would not
// be comparable anyway. Here it only says so.
func errLinux() error {
	return &Failure{Message: "bench runs on Linux only", Remedy: "Run it on the server's machine, or in a container."}
}

type poller struct{}

func newPoller() (*poller, error) { return nil, errLinux() }

func (*poller) close() error                                      { return nil }
func (*poller) watch(int, int32, bool) error                      { return errLinux() }
func (*poller) rewatch(int, int32, bool, bool) error              { return errLinux() }
func (*poller) wait(time.Duration, func(int32, bool, bool)) error { return errLinux() }

func dial(netip.AddrPort, netip.Addr, int) (int, error) { return -1, errLinux() }
func dialed(int) error                                  { return errLinux() }
func readSocket(int, []byte) (int, error)               { return 0, errLinux() }
func writeSocket(int, []byte) (int, error)              { return 0, errLinux() }
func closeSocket(int, bool)                             {}
func allowFiles(int) error                              { return errLinux() }
