//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package ws

import (
	"syscall"
	"unsafe"
)

// canTry says that this system can be written to without waiting.
const canTry = true

// sendNow gives the system as much of b as it takes without waiting: zero
// bytes also where the connection has failed, which the next write will tell.
// It goes past the runtime's bookkeeping of system calls that may last: this
// one never does, and is most of what a delivery costs.
func sendNow(fd uintptr, b []byte) int {
	if len(b) == 0 {
		return 0
	}
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			return 0
		}
	}
}
