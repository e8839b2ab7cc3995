// Package goeasy is the door for clients and servers that were made for
// GoEasy's pubsub: the npm package goeasy as it is, over WebSocket and long
// polling at /socket.io/ (engine.io 3, socket.io 2), and GoEasy's REST calls.
// docs/guides/from-goeasy.md says what a person does, docs/guides/doors.md what
// becomes of names, messages and users.
//
// What these clients do decides some things here. One that was refused for
// good cannot be used again before its page is loaded anew, so what is of the
// moment is answered by closing the connection, or not at all: they try again
// by themselves. They send a call again when its answer is late, so each may
// come twice. A message that comes before the answer to its subscription is
// lost to them, so the answer goes first.
package goeasy
