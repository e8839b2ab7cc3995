//go:build !linux || !(amd64 || arm64 || loong64 || riscv64)

package ws

// canTry is false where there is no sendto to be called in one step: frames are written by a goroutine that may wait.
const canTry = false

func sendNow(uintptr, []byte) int { return 0 }
