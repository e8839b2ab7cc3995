// Package fanfare is the Go client of a Fanfare server: it publishes messages,
// signs tokens for the app's own users, and subscribes to channels.
//
//	client, err := fanfare.New("http://127.0.0.1:8080", os.Getenv("FANFARE_SECRET_KEY"))
//	…
//	_, err = client.Publish(ctx, "orders:42", map[string]any{"state": "paid"})
//
// It imports the standard library and the contract (package protocol) only.
//
// What the server refuses comes back as a *protocol.Error with a code for
// programs, a message and a remedy for people:
//
//	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Code == protocol.CodeNotGranted { … }
//
// Any other error means that no Fanfare server answered, or that the context
// ended; its text names the server's URL and what to do first.
package fanfare
