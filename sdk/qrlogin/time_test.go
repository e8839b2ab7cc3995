package qrlogin_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// running is a rig whose Run runs until the test ends.
func running(t *testing.T) *rig {
	g := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return g
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := running(t)
		s := g.open()
		tickets := []string{s.ticket}
		for i := range 4 {
			time.Sleep(map[bool]time.Duration{true: 60 * time.Second, false: 30 * time.Second}[i == 0])
			a := s.want(200, "POST", s.path("/rotate"), map[string]string{})
			tickets = append(tickets, ticketOf(a))
			if last, _ := a.body["last_code"].(bool); last != (i == 3) {
				t.Errorf("rotation %d: last_code %v", i, last)
			}
		}
		if a := s.do("POST", s.path("/rotate"), map[string]string{}); a.Code != 409 || a.text("state") != "pending" {
			t.Errorf("a fifth rotation: %d", a.Code)
		}
		time.Sleep(9 * time.Second)
		for _, old := range tickets[:3] {
			if a := g.phone("ada/1").scan(old); a.Code != 404 {
				t.Errorf("an old code: %d, want 404", a.Code)
			}
		}
		if a := g.phone("ada/1").scan(tickets[3]); a.Code != 200 {
			t.Errorf("the code before, within its grace: %d, want 200", a.Code)
		}
	})
}

func TestGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := running(t)
		s := g.open()
		time.Sleep(60 * time.Second)
		a := s.want(200, "POST", s.path("/rotate"), map[string]string{})
		time.Sleep(11 * time.Second)
		if a := g.phone("ada/1").scan(s.ticket); a.Code != 404 {
			t.Errorf("after the grace: %d, want 404", a.Code)
		}
		if a := g.phone("ada/1").scan(ticketOf(a)); a.Code != 200 {
			t.Errorf("the present code: %d, want 200", a.Code)
		}
	})
}

func TestAPageThatDoesNotRotateLosesItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := running(t)
		s := g.open()
		time.Sleep(71 * time.Second) // a photo of the code, scanned later
		if a := g.phone("ada/1").scan(s.ticket); a.Code != 404 {
			t.Errorf("a stale code: %d, want 404", a.Code)
		}
		if s.state() != "pending" {
			t.Errorf("state %s", s.state())
		}
	})
}

func TestExpiryIsPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := running(t)
		phone := g.phone("ada/1")

		pending := g.open()
		time.Sleep(181 * time.Second)
		synctest.Wait()
		equal(t, "pending", g.ff.states(t, pending.channel), []string{"expired"})

		scanned, nonce, channel := g.scanned(phone)
		time.Sleep(119 * time.Second)
		synctest.Wait()
		equal(t, "scanned, before its time", g.ff.states(t, scanned.channel), []string{"scanned"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		equal(t, "scanned", g.ff.states(t, scanned.channel), []string{"scanned", "expired"})
		equal(t, "its phone", g.ff.states(t, channel), []string{"expired"})
		if a := phone.decide(scanned.id, "approve", nonce); a.Code != 409 {
			t.Errorf("approve too late: %d, want 409", a.Code)
		}

		approved := g.approved(phone)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		equal(t, "approved", g.ff.states(t, approved.channel), []string{"scanned", "approved", "expired"})
		if a := approved.exchange(approved.verifier); a.Code != 409 || g.count() != 0 {
			t.Errorf("exchange too late: %d, want 409", a.Code)
		}

		time.Sleep(10 * time.Minute)
		if n := g.store.Len(); n != 0 {
			t.Errorf("%d attempts are left", n)
		}
	})
}

func TestExpiryWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t) // nobody runs the timers; the clock counts all the same
		phone := g.phone("ada/1")
		late, nonce, _ := g.scanned(phone)
		time.Sleep(120*time.Second + time.Millisecond)
		if a := phone.decide(late.id, "approve", nonce); a.Code != 409 || a.text("state") != "expired" {
			t.Errorf("a late yes: %d %s", a.Code, a.Body)
		}
		s := g.approved(phone)
		time.Sleep(60*time.Second + time.Millisecond)
		if a := s.exchange(s.verifier); a.Code != 409 || a.text("state") != "expired" {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}

func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := qrlogin.NewMemory(10)
		ctx := t.Context()
		attempt := func(id string, life time.Duration) qrlogin.Attempt {
			return qrlogin.Attempt{ID: id, State: qrlogin.Pending, Deadline: time.Now().Add(life), Ticket: qrlogin.Ticket{Hash: qrlogin.HashOf(id)}}
		}
		for i := range 10 {
			if err := m.Create(ctx, attempt(string(rune('a'+i)), time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Create(ctx, attempt("one too many", time.Minute)); err != qrlogin.ErrFull {
			t.Errorf("an eleventh: %v", err)
		}
		if err := m.Create(ctx, attempt("a", time.Minute)); err == nil {
			t.Error("the same id twice")
		}
		a, err := m.Get(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		a.Deadline = a.Deadline.Add(time.Hour)
		if err := m.Swap(ctx, a); err != nil {
			t.Fatal(err)
		}
		if err := m.Swap(ctx, a); err != qrlogin.ErrConflict {
			t.Errorf("a second swap of one revision: %v", err)
		}
		time.Sleep(3 * time.Minute)
		if n := m.Len(); n != 1 {
			t.Errorf("%d are left, want the one that got more time", n)
		}
		if _, err := m.ByTicket(ctx, qrlogin.HashOf("b")); err != qrlogin.ErrNotFound {
			t.Errorf("a forgotten ticket: %v", err)
		}
		if _, err := m.ByTicket(ctx, qrlogin.HashOf("a")); err != nil {
			t.Errorf("the live ticket: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if n := m.Len(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}
