package brokertest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wire is a way to an address of this machine that a test can cut: it takes
// connections at Addr and carries them on. Its methods may be called
// concurrently; it lives as long as its test.
type Wire struct {
	Addr string
	to   string
	run  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cut   bool
	ended bool
}

// NewWire makes a way to the address to, which nobody has to listen on yet.
func NewWire(t testing.TB, to string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Addr: l.Addr().String(), to: to, conns: map[net.Conn]struct{}{}}
	w.run.Go(func() { w.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		w.ended = true
		w.mu.Unlock()
		w.Cut()
		w.run.Wait()
	})
	return w
}

// Cut ends all connections, and each new one at once.
func (w *Wire) Cut() { w.set(true) }

// Heal lets connections through again.
func (w *Wire) Heal() { w.set(false) }

func (w *Wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut || w.ended
	if w.cut {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}

func (w *Wire) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		w.run.Go(func() { w.carry(in) })
	}
}

// carry copies both ways until either side ends.
func (w *Wire) carry(in net.Conn) {
	defer in.Close()
	if !w.enter(in) {
		return
	}
	defer w.leave(in)
	out, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer out.Close()
	if !w.enter(out) {
		return
	}
	defer w.leave(out)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, out)
		_ = in.Close()
	})
	_, _ = io.Copy(out, in)
	_ = out.Close()
	back.Wait()
}

func (w *Wire) enter(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return false
	}
	w.conns[c] = struct{}{}
	return true
}

func (w *Wire) leave(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// Net is the ways between the nodes of a cluster, one for each direction.
type Net struct {
	Listen []string   // of each node, for the ways alone
	Routes [][]string // of each node: the ways to the others
	ways   map[[2]int]*Wire
}

// NewNet makes the ways between n nodes. What nodes tell each other of their
// addresses leads nowhere, so that there are no other ways: they listen on
// addresses that connections do not come from.
func NewNet(t testing.TB, n int) *Net {
	t.Helper()
	all := &Net{Listen: make([]string, n), Routes: make([][]string, n), ways: map[[2]int]*Wire{}}
	for i := range n {
		all.Listen[i] = freeAddress(t, i)
	}
	for i := range n {
		for j := range n {
			if i != j {
				w := NewWire(t, all.Listen[j])
				all.ways[[2]int{i, j}] = w
				all.Routes[i] = append(all.Routes[i], w.Addr)
			}
		}
	}
	return all
}

func freeAddress(t testing.TB, i int) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(net.IPv4(127, 0, 0, byte(2+i)).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Split cuts all ways between nodes of different sides.
func (n *Net) Split(sides ...[]int) {
	side := map[int]int{}
	for i, nodes := range sides {
		for _, node := range nodes {
			side[node] = i
		}
	}
	for pair, w := range n.ways {
		if side[pair[0]] != side[pair[1]] {
			w.Cut()
		}
	}
}

// Heal makes all ways good again.
func (n *Net) Heal() {
	for _, w := range n.ways {
		w.Heal()
	}
}
