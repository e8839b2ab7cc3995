// Package bus is the room that speaks NATS: the embedded server and its data
// folder, subjects, publishing, the node's feed, and key-value buckets with
// compare-and-set and time to live. No other package imports a NATS library,
// and nothing of NATS shows in this package's API.
//
// What is where: bus.go opens and closes; folder.go is the data folder;
// server.go the embedded server and the connections to it; subject.go turns
// app and channel into a subject; publish.go and feed.go are the two ends of a
// packet's way; bucket.go, apply.go and watch.go are the buckets;
// cluster.go, peers.go, ready.go and common.go are what makes several nodes one,
// stream.go how their streams are opened and read;
// queue.go and worker.go jobs that outlive the process and may wait for their time; journal.go
// the last entries of a key; errors.go is
// what can go wrong.
package bus
