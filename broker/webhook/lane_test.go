package webhook_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// A receiver that hangs, with a thousand events before it, delays nobody: not
// other endpoints of its app, not other apps, whatever partition they share.
func TestSlowReceiverDelaysNobody(t *testing.T) {
	w := start(t, t.TempDir())
	release := make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, int) { <-release })
	t.Cleanup(func() { close(release) }) // before the server is closed, which waits for it
	fast := receive(t, nil)
	h := w.create("app1", slow.URL)
	for i := range 1000 {
		w.Emit("app1", occupied(i))
	}
	eventually(t, "all are queued", func() bool { return w.one("app1", h.ID).Waiting == 1000 })
	for range 4 {
		slow.next(t)
	}
	const others = 8 // so many that each partition has some
	for i := range others {
		w.create(protocol.AppID(fmt.Sprint("other", i)), fast.URL)
	}
	w.create("app1", fast.URL)
	var worst time.Duration
	for round := range 10 {
		for i := range others {
			began := time.Now()
			w.Emit(protocol.AppID(fmt.Sprint("other", i)), occupied(round))
			fast.next(t)
			worst = max(worst, time.Since(began))
		}
	}
	w.Emit("app1", occupied(-1))
	if a := fast.next(t); a.data(t)["channel"] != "c:-1" {
		t.Errorf("the app's other endpoint got %s", a.body)
	}
	if worst > 2*time.Second {
		t.Errorf("somebody waited %v", worst)
	}
	t.Logf("the longest that others waited: %v", worst)
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if slow.most != 4 || slow.n != 4 {
		t.Errorf("the slow one had %d requests, %d at a time; want 4", slow.n, slow.most)
	}
}

// What does not fit into memory waits in the queue, and comes once each.
func TestABurstIsDrained(t *testing.T) {
	w := start(t, t.TempDir())
	r := receive(t, func(http.ResponseWriter, int) { <-time.After(time.Millisecond) })
	h := w.create("app1", r.URL)
	const n = 4000 // more than has room in memory
	for i := range n {
		w.Emit("app1", occupied(i))
	}
	seen := map[string]int{}
	for range n {
		seen[r.next(t).id()]++
	}
	if len(seen) != n || len(r.got) != 0 {
		t.Errorf("%d events came, of %d; %d more requests", len(seen), n, len(r.got))
	}
	eventually(t, "nothing waits", func() bool { return w.one("app1", h.ID).Waiting == 0 })
	if r.most > 4 {
		t.Errorf("%d requests at a time", r.most)
	}
}

// Stopping gives back what is not delivered; the next start goes on with it,
// and with what was never handed over.
func TestStopKeepsWhatIsNotDelivered(t *testing.T) {
	dir, release := t.TempDir(), make(chan struct{})
	w := start(t, dir)
	r := receive(t, func(_ http.ResponseWriter, n int) {
		if n <= 4 {
			<-release
		}
	})
	h := w.create("app1", r.URL)
	for i := range 40 {
		w.Emit("app1", occupied(i))
	}
	for range 4 {
		r.next(t)
	}
	began := time.Now()
	w.close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	close(release)
	w = openRoom(t, dir)
	if n := w.one("app1", h.ID).Waiting; n != 40 {
		t.Errorf("after the stop %d events wait, want 40", n)
	}
	w.run()
	seen := map[string]bool{}
	for range 40 {
		seen[r.next(t).id()] = true
	}
	if len(seen) != 40 {
		t.Errorf("%d events came, want 40", len(seen))
	}
	eventually(t, "nothing waits", func() bool { return w.one("app1", h.ID).Waiting == 0 })
}
