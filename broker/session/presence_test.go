package session_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// token is one for user that grants everything.
func (n *node) token(user string) string {
	n.t.Helper()
	who, err := n.tenants.Authenticate(n.t.Context(), n.secret, "")
	if err != nil {
		n.t.Fatal(err)
	}
	text, _, err := n.tenants.SignToken(who, user, protocol.AllGrants(), time.Hour)
	if err != nil {
		n.t.Fatal(err)
	}
	return text
}

// told is what a client was told of presence, as action user …
func (w *wire) told() (out []string) {
	got, _ := w.heard()
	for _, r := range got {
		if r.Type == protocol.TypePresence {
			said := []string{r.Action}
			for _, m := range r.Members {
				said = append(said, fmt.Sprintf("%s:%d", m.User, m.Connections))
			}
			out = append(out, strings.Join(said, " "))
		}
	}
	return out
}

// A connection that ends is seen to leave after the grace, however it ends;
// one that comes back sooner is not.
//
// claims: 11.3
func TestDropIsForgiven(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		set := n.set()
		var run sync.WaitGroup
		watcher := newWire()
		watcher.in <- n.hello() + "\n" + `{"type":"subscribe","channel":"a","presence":true}`
		run.Go(func() { set.Serve(t.Context(), watcher, "") })
		synctest.Wait() // it watches before anybody comes
		token := n.token("ann")
		connect := func() *wire {
			w := newWire()
			w.in <- fmt.Sprintf(`{"type":"hello","token":%q}`, token) + "\n" + `{"type":"presence","channel":"a","action":"enter"}`
			run.Go(func() { set.Serve(t.Context(), w, "") })
			synctest.Wait()
			return w
		}
		is := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, watcher.told()); diff != "" {
				t.Error(diff)
			}
		}
		w := connect()
		time.Sleep(time.Second)
		is("sync", "enter ann:1")
		for range 3 { // a bad line
			close(w.in)
			time.Sleep(4 * time.Second)
			w = connect()
		}
		is("sync", "enter ann:1")
		close(w.in)
		time.Sleep(4900 * time.Millisecond)
		is("sync", "enter ann:1")
		time.Sleep(time.Second)
		is("sync", "enter ann:1", "leave ann:0")
		close(watcher.in)
		run.Wait()
	})
}

// A channel with more members than a client's queue takes is sent all the
// same, and what changes meanwhile comes behind it.
//
// claims: 11.4 5.4
func TestSnapshotLargerThanTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		set := n.set(func(o *session.Options) { o.QueueBytes = 200_000 })
		who, err := n.tenants.Authenticate(t.Context(), n.secret, "")
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(`"` + strings.Repeat("x", 100) + `"`)
		for i := range 5000 {
			n.hub.Attend(who.App, "a", fmt.Sprintf("user%04d", i), 0, data)
		}
		time.Sleep(time.Minute)
		w := newWire()
		w.in <- n.hello() + "\n" + `{"type":"subscribe","channel":"a","presence":true}`
		var run sync.WaitGroup
		run.Go(func() { set.Serve(t.Context(), w, "") })
		n.hub.Attend(who.App, "a", "late", 0, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		members := map[string]bool{}
		got, _ := w.heard()
		for _, r := range got {
			for _, m := range r.Members {
				members[m.User] = true
			}
			if r.Type == protocol.TypeClose {
				t.Fatalf("%+v", r)
			}
		}
		if len(members) != 5001 {
			t.Errorf("it knows %d members", len(members))
		}
		close(w.in)
		run.Wait()
	})
}
