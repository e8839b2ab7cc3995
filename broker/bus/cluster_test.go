package bus_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const clusterSecret = "a secret of the tests, no more"

// addresses are n free ones of this machine. Where there is more than one
// loopback address they are of one that nobody else uses: a port is free again
// until the node opens it.
func addresses(t *testing.T, n int) (all []string) {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	}
	for range n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// clusterOptions are those of node n of the addresses.
func clusterOptions(dir string, all []string, n int) bus.Options {
	return bus.Options{
		Dir: filepath.Join(dir, fmt.Sprint("n", n)), Name: fmt.Sprint("n", n),
		Cluster: &bus.Cluster{Name: "test", Listen: all[n], Routes: all, Secret: clusterSecret},
	}
}

// openCluster starts three nodes in this process.
func openCluster(t *testing.T, dir string, all []string) []*bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	nodes, errs := make([]*bus.Bus, len(all)), make([]error, len(all))
	var starting sync.WaitGroup
	for i := range all {
		starting.Go(func() { nodes[i], errs[i] = bus.Open(ctx, clusterOptions(dir, all, i)) })
	}
	starting.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		t.Cleanup(func() { _ = nodes[i].Close() })
	}
	return nodes
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// gathered is what a feed brought of each channel.
type gathered struct {
	mu   sync.Mutex
	got  map[protocol.Channel][]bus.Packet
	size int
}

func gather(t *testing.T, b *bus.Bus) *gathered {
	t.Helper()
	g := &gathered{got: map[protocol.Channel][]bus.Packet{}}
	_, err := b.Feed(func(p bus.Packet) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.got[p.Channel] = append(g.got[p.Channel], p)
		g.size++
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gathered) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// TestClusterLeaderChanges publishes on three nodes while all leaders step down
// again and again, and holds what each node's feed brought against what was
// acknowledged: all of it, once, in one order.
func TestClusterLeaderChanges(t *testing.T) {
	nodes := openCluster(t, t.TempDir(), addresses(t, 3))
	var feeds []*gathered
	for i, b := range nodes {
		if err := b.Ready(t.Context()); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		if n := len(b.Nodes()); n != 3 {
			t.Errorf("node %d sees %d nodes", i, n)
		}
		feeds = append(feeds, gather(t, b))
	}
	const publishers, each, channels = 12, 150, 8
	acked := make([]map[string]protocol.Position, publishers)
	var publishing sync.WaitGroup
	for n := range publishers {
		acked[n] = map[string]protocol.Position{}
		publishing.Go(func() {
			for m := range each {
				p := packet("app0000001", protocol.Channel(fmt.Sprintf("c%d", (n+m)%channels)), fmt.Sprintf("%d.%d", n, m))
				p.Keep, p.ID = bus.Keep{Messages: 1000, Age: time.Hour}, fmt.Sprintf("%d.%d", n, m)
				r, err := nodes[n%3].Publish(t.Context(), p)
				if err != nil {
					t.Errorf("publish %s: %v", p.ID, err)
					return
				}
				acked[n][string(p.Body)] = r.Position
			}
		})
	}
	halt, changes := make(chan struct{}), 0
	var changing sync.WaitGroup
	changing.Go(func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-halt:
				return
			case <-tick.C:
				bus.StepDown(t, nodes[changes%3])
				changes++
			}
		}
	})
	publishing.Wait()
	close(halt)
	changing.Wait()
	t.Logf("the leaders changed %d times", changes)
	want := map[string]protocol.Position{}
	for _, m := range acked {
		for body, at := range m {
			want[body] = at
		}
	}
	for i, g := range feeds {
		eventually(t, fmt.Sprintf("all has come to node %d", i), func() bool { return g.count() >= len(want) })
		g.mu.Lock()
		for ch, packets := range g.got {
			var last uint64
			for _, p := range packets {
				if want[string(p.Body)] != p.Position {
					t.Errorf("node %d: %s came at %s and was acknowledged at %s", i, p.Body, p.Position, want[string(p.Body)])
				}
				_, seq, err := p.Position.Parse()
				if err != nil || seq <= last {
					t.Errorf("node %d, %s: %d comes behind %d (%v)", i, ch, seq, last, err)
				}
				last = seq
			}
		}
		if g.size != len(want) {
			t.Errorf("node %d got %d messages, %d were acknowledged", i, g.size, len(want))
		}
		g.mu.Unlock()
	}
}

// TestClusterBeginsANewLife: all nodes agree on the new epochs, whoever begins
// it, and go on in them.
func TestClusterBeginsANewLife(t *testing.T) {
	nodes := openCluster(t, t.TempDir(), addresses(t, 3))
	feeds, told := []*gathered{}, make(chan int, 30)
	for i, b := range nodes {
		feeds = append(feeds, gather(t, b))
		b.OnRenewal(func() { told <- i })
	}
	keep := bus.Keep{Messages: 100, Age: time.Minute}
	p := packet("app0000001", "c", "1")
	p.Keep = keep
	first, err := nodes[0].Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := first.Position.Parse()
	bus.Renew(t, nodes[1])
	heard := map[int]bool{}
	for len(heard) < 3 {
		select {
		case i := <-told:
			heard[i] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("only %v were told", heard)
		}
	}
	second, err := nodes[2].Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	epoch, seq, _ := second.Position.Parse()
	if epoch == before || seq != 2 {
		t.Errorf("after a new life a message is at %s, before it at %s", second.Position, first.Position)
	}
	for i, b := range nodes {
		eventually(t, fmt.Sprintf("node %d goes on", i), func() bool { return feeds[i].count() == 2 })
		if at := b.Last("app0000001", "c", keep); at != second.Position {
			t.Errorf("node %d is at %s, not %s", i, at, second.Position)
		}
		page, err := b.Read(t.Context(), bus.Query{App: "app0000001", Channel: "c", Keep: keep, After: first.Position, Limit: 10})
		if err != nil || page.Gap != bus.GapEpoch {
			t.Errorf("node %d: a position from before: %q %v", i, page.Gap, err)
		}
	}
}
