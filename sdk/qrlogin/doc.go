// Package qrlogin lets people sign in on a computer by scanning a QR code with
// a phone on which they are signed in already.
//
// A Go app mounts it with two callbacks: who is signed in on this phone, and
// what to do when a browser has been let in. The page hears of each step at
// once over a Fanfare channel; nothing that is pushed can let anybody in.
//
// Four secrets are kept apart: the ticket in the QR code, the channel with its
// token, the browser's cookie, and the login code (a PKCE verifier, RFC 7636)
// that never leaves the page until the end. A GET changes nothing, every step
// is one compare-and-set on one record, and only the browser that drew the
// code can turn an approval into a session.
//
// It follows the mitigations of RFC 10027 (BCP 247) as far as README.md says.
package qrlogin
