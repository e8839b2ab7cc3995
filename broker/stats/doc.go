// Package stats counts what the server does and shows it as Prometheus text.
// It is the only room that knows the Prometheus library.
//
// No label carries an app, a channel, a user or anything else that a client
// chooses: one tenant's numbers must not show in another's, and the number of
// series stays bounded whatever is sent.
package stats
