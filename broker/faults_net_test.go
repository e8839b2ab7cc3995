package broker_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// wire is a way to a node that can go dead without a word, as one does behind
// a phone's tunnel, or be cut.
type wire struct {
	url  string
	dead chan struct{} // closed: nothing gets through any more

	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, s *brokertest.Server) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + l.Addr().String(), dead: make(chan struct{})}
	var copying sync.WaitGroup
	copying.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			copying.Go(func() { w.carry(in, out) })
			copying.Go(func() { w.carry(out, in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		copying.Wait()
	})
	return w
}

// carry reads on when the wire is dead: both ends believe that all goes well.
func (w *wire) carry(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-w.dead:
			continue
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
}

// TestDeadWire has a client's wire go dead without a word, and be cut: the
// server notices, and the client that comes back by another has missed nothing.
//
// claims: 5.1 3.3
func TestDeadWire(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*wire)
		code string // by which the server ends the connection
	}{
		"half-open": {func(w *wire) { close(w.dead) }, "ping_timeout"},
		"cut":       {(*wire).cut, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := brokertest.Start(t, func(c *broker.Config) { c.PingInterval = 500 * time.Millisecond })
			w := newWire(t, s)
			far := *s
			far.URL = w.url
			client := dialWS(t, &far, "")
			if f := client.hello(s.PublishableKey); f.Type != protocol.TypeWelcome {
				t.Fatal(f.raw)
			}
			client.send(`{"type":"subscribe","ref":2,"channel":"news:1"}`)
			if f := client.next(); f.Type != protocol.TypeSubscribed {
				t.Fatal(f.raw)
			}
			publish(t, s, "news:1", "0")
			had := client.next()
			if string(had.Data) != "0" {
				t.Fatal(had.raw)
			}

			c.fail(w)
			const missed = 5
			for i := range missed {
				publish(t, s, "news:1", fmt.Sprint(i+1))
			}
			eventually(t, "the server notices", func() bool {
				_, metrics := call(t, s, http.MethodGet, "/metrics", "", "")
				return strings.Contains(metrics, `fanfare_connections_closed_total{code="`+c.code+`",door="ws"} 1`+"\n")
			})

			back := dialWS(t, s, "")
			if f := back.hello(s.PublishableKey); f.Type != protocol.TypeWelcome {
				t.Fatal(f.raw)
			}
			back.send(`{"type":"subscribe","ref":2,"channel":"news:1","since":%q}`, *had.Position)
			if f := back.next(); f.Recovered == nil || !*f.Recovered {
				t.Fatalf("not recovered: %s", f.raw)
			}
			publish(t, s, "news:1", fmt.Sprint(missed+1))
			for i := range missed + 1 {
				if f := back.next(); string(f.Data) != fmt.Sprint(i+1) {
					t.Fatalf("message %d: %s", i+1, f.raw)
				}
			}
		})
	}
}
