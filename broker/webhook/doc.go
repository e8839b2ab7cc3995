// Package webhook is the room from which events go out: it tells an app's
// endpoints what happens in its channels, by Standard Webhooks 1.0.
//
// Rooms and doors hand events to Emit, which never blocks them. From there an
// event goes into a queue on the disk, and from the queue to the endpoint, as
// often as it takes for about a day. What a crash can lose is what has been
// handed to Emit and is not in the queue yet: a moment's worth.
//
// What is where: webhooks.go opens and runs; event.go is the way of an event
// into the queue; lane.go the way out of it, endpoint by endpoint; try.go is
// one request to a receiver, sign.go its signature, retry.go when there will be
// another; guard.go keeps requests out of private networks; delivery.go is the
// log of tries; endpoint.go what is known of an endpoint, manage.go how that
// changes, seal.go how its secrets are kept.
package webhook
