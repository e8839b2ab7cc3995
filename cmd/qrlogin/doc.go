// Command qrlogin is Fanfare's flagship: a site on which people sign in by
// scanning a QR code with their phone. It mounts sdk/qrlogin, keeps a demo
// user, and shows the signed-in devices of an account as they come and go.
//
// It embeds a Fanfare node unless FANFARE_URL and FANFARE_SECRET_KEY name one.
package main
