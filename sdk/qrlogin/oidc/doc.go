// Package oidc is an OpenID Connect provider around QR login: "sign in with
// this site" for other apps, by the authorization code flow with PKCE. Its
// login page is the one with the QR code; users and sessions stay the app's.
//
// It follows OpenID Connect Core and Discovery 1.0, RP-Initiated Logout 1.0,
// RFC 6749, 7009, 7636, 9068, 9207 and the advice of RFC 9700.
package oidc
