// Package hub is what a channel is on one node: who is subscribed here, and
// how a message reaches them.
//
// # Concurrency
//
// Everything may be called concurrently. Messages come from the node's feed,
// one goroutine, so that all subscribers of a channel see one order. A
// subscriber that registers while a message is on its way either gets it or
// has a position at or after it: both are decided under the channel's lock.
// No lock is held while a subscriber is called.
package hub
