package qrlogin_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// TestStores holds every Store to the same contract.
func TestStores(t *testing.T) {
	node := brokertest.Start(t)
	client := func() *fanfare.Client {
		c, err := fanfare.New(node.URL, node.SecretKey)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	key := []byte(strings.Repeat("k", 32))
	channels, err := qrlogin.NewChannels(client(), key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := qrlogin.NewChannels(client(), key)
	if err != nil {
		t.Fatal(err)
	}
	memory := qrlogin.NewMemory(0)
	for name, c := range map[string]struct{ one, two qrlogin.Store }{
		"memory": {memory, memory}, "channels of two processes": {channels, other},
	} {
		t.Run(name, func(t *testing.T) { contract(t, c.one, c.two) })
	}
	t.Run("what lies in the channels is sealed", func(t *testing.T) { sealed(t, client(), channels) })
	if _, err := qrlogin.NewChannels(client(), []byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}

func attempt(id string) qrlogin.Attempt {
	return qrlogin.Attempt{
		ID: id, Tenant: "t", State: qrlogin.Pending, Created: time.Now(), Deadline: time.Now().Add(time.Minute), PKCE: "c", UserName: "Ada",
		Ticket: qrlogin.Ticket{Hash: qrlogin.HashOf("ticket " + id)}, UserCode: qrlogin.HashOf("code " + id), Browser: qrlogin.Browser{Name: "Chrome", Place: qrlogin.Place{Country: "FR", Lat: 1, Network: "AS1"}},
	}
}

func contract(t *testing.T, one, two qrlogin.Store) {
	ctx := t.Context()
	if _, err := one.Get(ctx, "nobody"); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("an attempt that is none: %v", err)
	}
	if _, err := one.ByTicket(ctx, qrlogin.HashOf("nothing")); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("a ticket that is none: %v", err)
	}
	a := attempt("a" + t.Name()[10:12])
	if err := one.Create(ctx, a); err != nil {
		t.Fatal(err)
	}
	twin := attempt("b" + t.Name()[10:12])
	twin.UserCode = a.UserCode
	for what, x := range map[string]qrlogin.Attempt{"the same id": a, "the same user code": twin} {
		if err := two.Create(ctx, x); !errors.Is(err, qrlogin.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var got qrlogin.Attempt
	for _, h := range a.Lookups() {
		var err error
		if got, err = two.ByTicket(ctx, h); err != nil || got.ID != a.ID || got.Ticket.Hash != a.Ticket.Hash || got.UserCode != a.UserCode || got.UserName != "Ada" {
			t.Fatalf("by a look-up: %+v %v", got, err)
		}
	}
	// A hundred phones, one winner.
	var won, lost atomic.Int32
	tally(100, func(i int) int {
		b := got
		b.State, b.UserID = qrlogin.Scanned, "u"
		switch err := []qrlogin.Store{one, two}[i%2].Swap(ctx, b); {
		case err == nil:
			won.Add(1)
		case errors.Is(err, qrlogin.ErrConflict):
			lost.Add(1)
		default:
			t.Errorf("swap: %v", err)
		}
		return 0
	})
	if won.Load() != 1 || lost.Load() != 99 {
		t.Errorf("%d won and %d lost, want 1 and 99", won.Load(), lost.Load())
	}
	// Another ticket: the old one leads nowhere, the one before does.
	b, err := two.Get(ctx, a.ID)
	if err != nil || b.State != qrlogin.Scanned {
		t.Fatalf("%+v, %v", b, err)
	}
	b.Previous, b.Ticket = b.Ticket, qrlogin.Ticket{Hash: qrlogin.HashOf("second " + a.ID)}
	if err := one.Swap(ctx, b); err != nil {
		t.Fatal(err)
	}
	if b, err = one.Get(ctx, a.ID); err != nil {
		t.Fatal(err)
	}
	b.Previous, b.Ticket = b.Ticket, qrlogin.Ticket{Hash: qrlogin.HashOf("third " + a.ID)}
	if err := two.Swap(ctx, b); err != nil {
		t.Fatal(err)
	}
	for ticket, want := range map[string]error{"ticket ": qrlogin.ErrNotFound, "second ": nil, "third ": nil} {
		if _, err := one.ByTicket(ctx, qrlogin.HashOf(ticket+a.ID)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", ticket, err, want)
		}
	}
	gone := attempt("c" + t.Name()[10:12])
	if err := one.Swap(ctx, gone); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("swap of what is not there: %v", err)
	}
	// What is over is forgotten, whatever the store keeps.
	old := attempt("d" + t.Name()[10:12])
	old.Deadline = time.Now().Add(-time.Hour)
	if err := one.Create(ctx, old); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Get(ctx, old.ID); !errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("what was over an hour ago: %v", err)
	}
}

func sealed(t *testing.T, ff *fanfare.Client, c *qrlogin.Channels) {
	a := attempt("sealed")
	a.UserName = "Ada Lovelace"
	if err := c.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	n := 0
	for m, err := range ff.History(t.Context(), "qrs:sealed", fanfare.HistoryOptions{}) {
		if n++; err != nil || strings.Contains(string(m.Data), "Ada") || strings.Contains(string(m.Data), a.Ticket.Hash.String()) {
			t.Errorf("message %s, %v", m.Data, err)
		}
	}
	if n != 1 {
		t.Errorf("%d messages", n)
	}
	// Whoever may publish there can break an attempt, and make none up.
	stranger, err := qrlogin.NewChannels(ff, []byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Get(t.Context(), "sealed"); err == nil || errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("another key reads it: %v", err)
	}
	for m, err := range ff.History(t.Context(), "qrs:sealed", fanfare.HistoryOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ff.Publish(t.Context(), "qrs:copied", m.Data, fanfare.IfPosition(protocol.Position(""))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Get(t.Context(), "copied"); err == nil || errors.Is(err, qrlogin.ErrNotFound) {
		t.Errorf("a copy under another name is read: %v", err)
	}
}
