package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// node is the rooms below the sessions. The register of tenants is a real one;
// it stands outside of the bubbles of time, because the message server's client
// shares timers between all that use it. The hub is a real one over a loop.
type node struct {
	t       *testing.T
	tenants *tenant.Tenants
	hub     *hub.Hub
	secret  string
}

// inBubble runs f with a node, on a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T, n *node)) {
	t.Helper()
	tenants, secret := register(t)
	synctest.Test(t, func(t *testing.T) { f(t, startNode(t, tenants, secret)) })
}

func register(t *testing.T) (*tenant.Tenants, string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	bucket := func(name string) *bus.Bucket {
		k, err := b.Bucket(t.Context(), name, bus.BucketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	tenants, err := tenant.Open(t.Context(), tenant.Options{Records: bucket("tenant"), Tickets: bucket("tickets"), Sessions: bucket("sessions"), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tenants.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	account, _, err := tenants.CreateAccount(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	app, err := tenants.CreateApp(t.Context(), account.ID, tenant.AppInput{Name: "app"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := tenants.CreateKey(t.Context(), account.ID, app.ID, tenant.KeyInput{Kind: tenant.KindSecret})
	if err != nil {
		t.Fatal(err)
	}
	return tenants, key.Text
}

func startNode(t *testing.T, tenants *tenant.Tenants, secret string) *node {
	t.Helper()
	h, err := hub.New(hub.Options{Bus: &loop{in: make(chan bus.Packet, 1000)}, Stats: stats.New(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return &node{t: t, tenants: tenants, hub: h, secret: secret}
}

// loop is a bus of one node without a message server.
type loop struct{ in chan bus.Packet }

func (l *loop) PublishAll(_ context.Context, ps []bus.Packet) ([]bus.Receipt, error) {
	for _, p := range ps {
		l.in <- p
	}
	return make([]bus.Receipt, len(ps)), nil
}

func (l *loop) Last(protocol.AppID, protocol.Channel, bus.Keep) protocol.Position { return "" }
func (l *loop) Read(context.Context, bus.Query) (bus.Page, error)                 { return bus.Page{}, nil }
func (l *loop) Purge(context.Context, protocol.AppID, protocol.Channel, bus.Keep) error {
	return nil
}

func (l *loop) Feed(fn func(bus.Packet)) (func(), error) {
	var run sync.WaitGroup
	run.Go(func() {
		for p := range l.in {
			fn(p)
		}
	})
	return func() { close(l.in); run.Wait() }, nil
}

func (n *node) set(change ...func(*session.Options)) *session.Set {
	o := session.Options{Auth: n.tenants, Hub: n.hub, Presence: n.hub, Stats: stats.New(), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	return session.NewSet(o)
}

func (n *node) publish(ch, data string) {
	n.t.Helper()
	who, err := n.tenants.Authenticate(n.t.Context(), n.secret, "")
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.hub.Publish(n.t.Context(), server{who.App}, hub.Origin{}, []protocol.Outgoing{{Channel: protocol.Channel(ch), Data: json.RawMessage(data)}}); err != nil {
		n.t.Fatal(err)
	}
}

// server may publish anything at any rate: rates are told in the time outside
// of the bubble.
type server struct{ app protocol.AppID }

func (s server) AppID() protocol.AppID                       { return s.app }
func (s server) UserID() string                              { return "" }
func (s server) May(protocol.Action, protocol.Channel) error { return nil }
func (s server) AllowPublish(int) error                      { return nil }
func (s server) Keep(protocol.Channel) (int, time.Duration)  { return 0, 0 }
func (s server) MaxData() int                                { return 1 << 16 }

func (n *node) hello() string { return fmt.Sprintf(`{"type":"hello","key":%q}`, n.secret) }

// claims: 2.3
func TestHelloTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		w, began := newWire(), time.Now()
		n.set().Serve(t.Context(), w, "")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if r := w.last(); r.Type != protocol.TypeClose || r.Code != protocol.CodeHelloTimeout || w.why.CloseCode() != 4010 {
			t.Errorf("got %+v", r)
		}
	})
}

// claims: 5.1 5.3
func TestSilentClient(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		w, began := newWire(), time.Now()
		w.in <- n.hello()
		n.set().Serve(t.Context(), w, "")
		if took := time.Since(began); took != 50*time.Second {
			t.Errorf("it took %v, want twice the ping interval", took)
		}
		got, at := w.heard()
		if got[1].Type != protocol.TypePing || at[1].Sub(began) != 25*time.Second {
			t.Errorf("ping: %+v at %v", got[1], at[1].Sub(began))
		}
		if r := w.last(); r.Code != protocol.CodePingTimeout {
			t.Errorf("got %+v", r)
		}
	})
}

func TestAnsweringClientLives(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		w := newWire()
		w.in <- n.hello()
		var run sync.WaitGroup
		run.Go(func() { n.set().Serve(t.Context(), w, "") })
		for range 100 {
			<-time.After(25 * time.Second)
			w.in <- `{"type":"pong"}`
		}
		synctest.Wait()
		if r := w.last(); r.Type != protocol.TypePing {
			t.Errorf("got %+v", r)
		}
		close(w.in)
		run.Wait()
	})
}

// claims: 7.5
func TestStreamIsKeptAwake(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		who, err := n.tenants.Authenticate(t.Context(), n.secret, "")
		if err != nil {
			t.Fatal(err)
		}
		w, began := newWire(), time.Now()
		w.pongs = false
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := n.set().ServeAs(ctx, w, who, session.Stream{Channels: []protocol.Channel{"a", "b", "a"}}); err != nil {
			t.Fatal(err)
		}
		got, at := w.heard()
		var kinds []string
		for _, r := range got[:4] {
			kinds = append(kinds, r.Type)
		}
		if fmt.Sprint(kinds) != "[welcome subscribed subscribed ping]" || at[3].Sub(began) != 15*time.Second {
			t.Errorf("%v, ping at %v", kinds, at[3].Sub(began))
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("it ended after %v", took)
		}
	})
}

// claims: 8.6 6.5
func TestTokenEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		who, err := n.tenants.Authenticate(t.Context(), n.secret, "")
		if err != nil {
			t.Fatal(err)
		}
		token, expires, err := n.tenants.SignToken(who, "ann", protocol.AllGrants(), 15*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		w := newWire()
		w.in <- fmt.Sprintf(`{"type":"hello","token":%q}`, token)
		n.set().Serve(t.Context(), w, "")
		if r := w.last(); r.Code != protocol.CodeTokenExpired || time.Since(expires).Abs() > 6*time.Second {
			t.Errorf("got %+v, %v after the token's end", r, time.Since(expires))
		}
	})
}

// A client whose socket takes nothing is closed once its queue is full; its
// neighbour gets everything in time.
//
// claims: 5.4
func TestStuckSocket(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		set := n.set(func(o *session.Options) { o.QueueBytes = 10_000 })
		stuck, dead, fine := newWire(), newWire(), newWire()
		var run sync.WaitGroup
		for _, w := range []*wire{stuck, dead, fine} {
			w.in <- n.hello() + "\n" + `{"type":"subscribe","ref":2,"channel":"a"}`
			run.Go(func() { set.Serve(t.Context(), w, "") })
		}
		synctest.Wait()
		stuck.stuck, dead.stuck = make(chan struct{}), make(chan struct{})
		for i := range 100 {
			n.publish("a", fmt.Sprintf("%500d", i))
			<-time.After(5 * time.Millisecond) // what comes faster gathers
			synctest.Wait()
		}
		if got, _ := fine.heard(); len(got) != 102 {
			t.Errorf("the neighbour got %d frames", len(got))
		}
		close(stuck.stuck) // it takes again, too late
		synctest.Wait()
		got, _ := stuck.heard()
		if r := stuck.last(); r.Code != protocol.CodeSlowClient || len(got) > 25 {
			t.Errorf("the stuck one got %d frames, the last %+v", len(got), r)
		}
		<-time.After(time.Second)
		synctest.Wait()
		select {
		case <-dead.closed: // its writer hung in the socket and was cut off
		default:
			t.Error("the dead one is still there")
		}
		close(fine.in)
		run.Wait()
	})
}

// claims: 6.2 6.4
func TestDrainIsSpread(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		set := n.set()
		var run sync.WaitGroup
		var wires []*wire
		for range 20 {
			w := newWire()
			w.in <- n.hello()
			wires = append(wires, w)
			run.Go(func() { set.Serve(t.Context(), w, "") })
		}
		synctest.Wait()
		began := time.Now()
		set.Drain(t.Context(), 10*time.Second)
		run.Wait()
		seconds := map[int]int{}
		for _, w := range wires {
			_, at := w.heard()
			if r := w.last(); r.Code != protocol.CodeRestarting || r.Close != 4200 {
				t.Fatalf("got %+v", r)
			}
			seconds[int(at[len(at)-1].Sub(began)/time.Second)]++
		}
		for s, c := range seconds {
			if c != 2 {
				t.Errorf("second %d: %d of 20 were sent away", s, c)
			}
		}
		late := newWire()
		late.in <- n.hello()
		set.Serve(t.Context(), late, "")
		if r := late.last(); r.Code != protocol.CodeRestarting {
			t.Errorf("a late one got %+v", r)
		}
	})
}

// What is published while a subscription begins comes after its answer, and
// nothing comes after the answer to unsubscribe.
//
// claims: 3.2 3.5
func TestAnswersFrameTheMessages(t *testing.T) {
	tenants, secret := register(t)
	n := startNode(t, tenants, secret)
	set := n.set()
	stop := make(chan struct{})
	var run sync.WaitGroup
	run.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				n.publish("a", "1")
			}
		}
	})
	w := newWire()
	w.in = make(chan string, 1000)
	w.in <- n.hello()
	for i := range 200 {
		w.in <- fmt.Sprintf(`{"type":"subscribe","ref":%d,"channel":"a"}`, 2*i+1)
		w.in <- fmt.Sprintf(`{"type":"unsubscribe","ref":%d,"channel":"a"}`, 2*i+2)
	}
	w.in <- `{"type":"ping","ref":1000}`
	close(w.in)
	set.Serve(t.Context(), w, "")
	close(stop)
	run.Wait()
	subscribed := false
	got, _ := w.heard()
	for i, r := range got {
		switch r.Type {
		case protocol.TypeSubscribed:
			subscribed = true
		case protocol.TypeUnsubscribed:
			subscribed = false
		case protocol.TypeMessage:
			if !subscribed {
				t.Fatalf("frame %d is a message outside of its subscription", i)
			}
		case protocol.TypeError:
			t.Fatalf("%+v", r)
		}
	}
}
