// Package api is the REST door: publishing, tokens and tickets, administration,
// health, metrics, the browser SDK and the description of it all at
// /v1/openapi.json. It is the only room that knows echo and huma.
//
// The administration routes go through huma, which checks requests against the
// Go types and describes them. POST /v1/messages is the hot path and goes
// around it, with a decoder of its own. Whatever fails, on either way, leaves
// as the same application/problem+json (PROTOCOL.md, clause 9.2).
package api
