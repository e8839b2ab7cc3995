//go:build unix

package broker

import "syscall"

// mostConnections is what the limit of open files leaves for connections: some
// are for the store, for requests and for webhooks.
func mostConnections() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || l.Cur > 1<<30 {
		return 0
	}
	return int(l.Cur - min(l.Cur/4, 1000))
}
