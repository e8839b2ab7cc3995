// Package tenant knows who may do what: accounts, their apps, the apps' keys,
// rules and limits, and everything that is proof of one of them: keys, tokens,
// one-time tickets, sign-in links and dashboard sessions.
//
// Records live in the bus's key-value buckets and are watched into memory, so
// that reads never leave the process and every node sees a change at once.
// Rates and connection counts are those of this node. Errors meant for people
// are *protocol.Error; no secret is stored, logged or told in clear.
package tenant
