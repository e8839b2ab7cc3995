package session_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Whatever the socket does with a frame, takes it, a part of it or nothing, and
// however many channels bring frames at once: a client gets each message once,
// and those of a channel in order.
func TestFickleSocket(t *testing.T) {
	const channels, messages = 8, 400
	tenants, secret := register(t)
	n := startNode(t, tenants, secret)
	set := n.set()
	seed := rand.Uint64()
	t.Log("seed", seed)
	var run, clients sync.WaitGroup
	var wires []*wire
	for i := range 4 {
		w := newWire()
		w.fickle = rand.New(rand.NewPCG(seed, uint64(i)))
		w.in <- n.hello()
		for ch := range channels {
			w.in <- fmt.Sprintf(`{"type":"subscribe","ref":%d,"channel":"c%d"}`, ch+1, ch)
		}
		wires = append(wires, w)
		clients.Go(func() { set.Serve(t.Context(), w, "") })
	}
	for _, w := range wires {
		w.until(t, func(got []protocol.Reply) bool { return len(got) >= 1+channels })
	}
	for ch := range channels {
		run.Go(func() {
			for i := range messages {
				n.publish(fmt.Sprintf("c%d", ch), fmt.Sprint(i))
			}
		})
	}
	run.Wait()
	for _, w := range wires {
		got := w.until(t, func(got []protocol.Reply) bool { return len(got) >= 1+channels+channels*messages })
		next := map[protocol.Channel]int{}
		for i, r := range got {
			if r.Type != protocol.TypeMessage {
				continue
			}
			if data := w.data[i]; data != fmt.Sprint(next[r.Channel]) {
				t.Fatalf("%s: %s came where %d was due", r.Channel, data, next[r.Channel])
			}
			next[r.Channel]++
		}
		close(w.in)
	}
	clients.Wait()
}

// until waits until the client has got what ok says.
func (w *wire) until(t *testing.T, ok func([]protocol.Reply) bool) []protocol.Reply {
	t.Helper()
	late := time.After(time.Minute)
	for {
		if got, _ := w.heard(); ok(got) {
			return got
		}
		select {
		case <-late:
			got, _ := w.heard()
			t.Fatalf("only %d frames came", len(got))
		case <-time.After(time.Millisecond):
		}
	}
}

// A client of many channels gets the first of what comes at once, and the rest
// of a burst together a few milliseconds later.
func TestBusyConnectionGathers(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		w := newWire()
		w.in <- n.hello()
		for ch := range 50 {
			w.in <- fmt.Sprintf(`{"type":"subscribe","channel":"c%d"}`, ch)
		}
		var run sync.WaitGroup
		set := n.set()
		run.Go(func() { set.Serve(t.Context(), w, "") })
		synctest.Wait()
		<-time.After(time.Second)
		before := w.count()
		began := time.Now()
		for ch := range 50 {
			n.publish(fmt.Sprintf("c%d", ch), "1")
		}
		synctest.Wait()
		if got := w.count() - before; got < 1 || got > 3 {
			t.Errorf("%d writes at once", got)
		}
		<-time.After(10 * time.Millisecond)
		synctest.Wait()
		got, at := w.heard()
		if n := w.count() - before; len(got) != 51 || n > 6 {
			t.Errorf("%d frames, %d writes in all", len(got), n)
		}
		if first, last := at[1].Sub(began), at[50].Sub(began); first != 0 || last > 5*time.Millisecond {
			t.Errorf("the first after %v, the last after %v", first, last)
		}
		close(w.in)
		run.Wait()
	})
}

// Who waits for room in the queue of a connection that breaks does not wait
// for ever.
func TestBrokenWhileFull(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		set := n.set(func(o *session.Options) { o.QueueBytes = 1000 })
		w := newWire()
		w.stuck = make(chan struct{})
		w.in = make(chan string, 1000)
		w.in <- n.hello()
		for i := range 100 {
			w.in <- fmt.Sprintf(`{"type":"ping","ref":%d}`, i+1)
		}
		var run sync.WaitGroup
		run.Go(func() { set.Serve(t.Context(), w, "") })
		synctest.Wait()
		if len(w.in) == 0 {
			t.Error("all was read: it did not have to wait")
		}
		w.Close(nil)
		run.Wait()
	})
}
