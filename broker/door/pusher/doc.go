// Package pusher is the door for clients and servers made for Pusher Channels:
// protocol 7 at /app/{key} and the HTTP API at /apps/{app_id}/…, for apps that
// have it open. docs/guides/from-pusher.md says how names, events and users map.
//
// What a client says becomes calls on a session.Session, what the session and
// its channels say is put into Pusher's words by say. The facts are those of
// Pusher's documentation (Channels WebSocket protocol, HTTP API reference).
package pusher
