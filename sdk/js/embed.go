// Package js holds the JavaScript SDK as it was built from src, so that every
// broker can serve it. There is nothing else in it; the values are read-only.
package js

import "embed"

//go:generate go run ./internal/build

// Dist has the built SDK for browsers: dist/fanfare.js, a script whose global
// is the class Fanfare, and dist/fanfare.mjs, an ES module that exports it.
// `go generate` makes them; a test proves that they are fresh.
//
//go:embed dist/fanfare.js dist/fanfare.mjs
var Dist embed.FS
