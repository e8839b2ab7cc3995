package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire passes connections on to an address until it is cut: then those that
// are there break, and new ones are refused.
type wire struct {
	addr     string
	listener net.Listener
	mu       sync.Mutex
	to       string
	conns    []net.Conn
	running  sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: listener.Addr().String(), listener: listener, to: to}
	w.running.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", w.leads())
			if err != nil {
				_ = in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				w.running.Go(func() {
					_, _ = io.Copy(pair[0], pair[1]) // it ends when either does
					_, _ = pair[0].Close(), pair[1].Close()
				})
			}
		}
	})
	t.Cleanup(w.cut)
	return w
}

// lead passes new connections on to another address.
func (w *wire) lead(to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
}

func (w *wire) leads() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to
}

func (w *wire) cut() {
	_ = w.listener.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.running.Wait()
}
