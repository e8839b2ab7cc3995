//go:build !unix

package broker

// mostConnections is 0: this system has no such limit.
func mostConnections() int { return 0 }
