package bus_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// startNATS runs a NATS server of its own, as an operator would.
func startNATS(t *testing.T, change func(*server.Options)) string {
	t.Helper()
	o := &server.Options{
		ServerName: "theirs", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		MaxPayload: 8 << 20, Username: "push", Password: "pass",
	}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return strings.Replace(s.ClientURL(), "nats://", "nats://push:pass@", 1)
}

// TestNATSElsewhere has two nodes on a NATS that is not theirs.
func TestNATSElsewhere(t *testing.T) {
	url := startNATS(t, func(*server.Options) {})
	var nodes []*bus.Bus
	var feeds []*gathered
	dir := t.TempDir()
	for i := range 2 {
		b, err := bus.Open(t.Context(), bus.Options{
			Dir: filepath.Join(dir, fmt.Sprint(i)), Name: fmt.Sprint("n", i),
			Cluster: &bus.Cluster{Name: "test", Secret: clusterSecret, URL: url},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		if err := b.Ready(t.Context()); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		nodes, feeds = append(nodes, b), append(feeds, gather(t, b))
	}
	keep := bus.Keep{Messages: 10, Age: time.Minute}
	for i := range 10 {
		p := packet("app0000001", "c", fmt.Sprint(i))
		p.Keep = keep
		if _, err := nodes[i%2].Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range nodes {
		eventually(t, fmt.Sprintf("all comes to node %d", i), func() bool { return feeds[i].count() == 10 })
		page, err := b.Read(t.Context(), bus.Query{App: "app0000001", Channel: "c", Keep: keep, Limit: 20})
		if err != nil || len(page.Packets) != 10 {
			t.Errorf("node %d reads %d messages, %v", i, len(page.Packets), err)
		}
		eventually(t, "the nodes know each other", func() bool { return len(b.Nodes()) == 2 })
	}
	k, other := bucket(t, nodes[0], bus.BucketOptions{}), bucket(t, nodes[1], bus.BucketOptions{})
	create(t, k, "a", "1", 0)
	has(t, other, "a", "1")
}

func TestNATSElsewhereTakesTooLittle(t *testing.T) {
	url := startNATS(t, func(o *server.Options) { o.MaxPayload = 1 << 20 })
	_, err := bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), Name: "n0", Cluster: &bus.Cluster{Name: "test", Secret: clusterSecret, URL: url}})
	if err == nil || !strings.Contains(err.Error(), "max_payload") || strings.Contains(err.Error(), "pass") {
		t.Errorf("Open: %v", err)
	}
}
