// Package bench measures a running server: Fanfare itself, and its peers with
// the same load, so that figures can be compared.
//
// The load comes from one goroutine that turns an event loop (loop.go) over
// thousands of sockets, without a goroutine or a buffer for each, so that it
// costs far less than the server it measures. Load is an open loop: a message
// has the time in it at which it was due, and a server that is late cannot
// slow its own examiner down. Every run also checks that each subscriber got
// each message, once and in order; where that is not so the run has failed,
// whatever its figures are.
//
// Nothing here is safe for concurrent use; each thing lives as long as its run.
package bench
