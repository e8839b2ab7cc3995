//go:build !linux

package ws

// canTry is false: frames are written by a goroutine that may wait.
const canTry = false

func sendNow(uintptr, []byte) int { return 0 }
