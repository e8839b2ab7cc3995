// Package protocol is the contract between a Fanfare server and everybody who
// talks to it: names, frames, messages, grants, codes. PROTOCOL.md is the same
// contract in words; vectors/ holds it as examples that the Go and the
// TypeScript tests both read.
//
// It imports the standard library only, so that an app which uses a Fanfare
// SDK links nothing of the server. All values may be copied; all functions
// may be called concurrently.
package protocol

//go:generate go run ./internal/gencodes
