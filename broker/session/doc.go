// Package session is one client's life, whatever its socket: hello, then
// authorised, ready, closing.
//
// # Concurrency
//
// Three things touch a session: the handler's goroutine, which reads and
// carries out the client's commands one after the other; its writer
// goroutine, which empties the outbox into the socket; and whoever delivers
// into the outbox, which never blocks. They meet in the outbox, whose lock is
// the only one here and is never held while calling out.
package session
