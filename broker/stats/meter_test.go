package stats_test

import (
	"sync"
	"testing"

	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func TestMetersAddUpFromManyGoroutines(t *testing.T) {
	s := stats.New()
	account := s.Account("acc")
	var wg sync.WaitGroup
	for _, app := range []string{"a", "b"} {
		for range 4 {
			wg.Go(func() {
				m := s.App(protocol.AppID(app))
				m.Join(account)
				for range 1000 {
					m.Publish(2, 30)
					m.Deliver(5)
					m.Refuse(protocol.NewError(protocol.CodeNotGranted), protocol.Refusal{})
					if _, ok := m.Connect(1 << 40); !ok {
						t.Error("no room")
					}
				}
				for range 400 {
					m.Disconnect()
				}
			})
		}
	}
	wg.Wait()
	a := s.App("a")
	if a.Messages.Load() != 8000 || a.Bytes.Load() != 120_000 || a.Delivered.Load() != 20_000 || a.Refused.Load() != 4000 || a.Connections.Load() != 2400 {
		t.Errorf("app: %d messages, %d bytes, %d delivered, %d refused, %d connections", a.Messages.Load(), a.Bytes.Load(), a.Delivered.Load(), a.Refused.Load(), a.Connections.Load())
	}
	if account.Messages.Load() != 16_000 || account.Connections.Load() != 4800 {
		t.Errorf("account: %d messages, %d connections", account.Messages.Load(), account.Connections.Load())
	}
	if p := account.Peak(); p < 4800 || p > 8000 {
		t.Errorf("the peak %d is not between what stayed and what came", p)
	}
	if p := account.Peak(); p != 4800 {
		t.Errorf("since then the peak is %d, want those who are there: 4800", p)
	}
}

func TestConnectStopsAtTheMost(t *testing.T) {
	s := stats.New()
	m := s.App("a")
	m.Others(3)
	m.Join(s.Account("acc"))
	m.Others(7) // the account follows
	if n := s.Account("acc").Elsewhere.Load(); n != 7 {
		t.Fatalf("the account has %d elsewhere, want 7", n)
	}
	for range 3 {
		if _, ok := m.Connect(10); !ok {
			t.Fatal("refused too early")
		}
	}
	if all, ok := m.Connect(10); ok || all != 10 {
		t.Errorf("an eleventh: %t with %d", ok, all)
	}
}

func TestQuotas(t *testing.T) {
	s := stats.New()
	m, up := s.App("a"), s.Account("acc")
	if _, over := m.Exceeds(1 << 50); over {
		t.Error("an app without an account has a quota")
	}
	m.Join(up)
	if _, over := m.Exceeds(1 << 50); over || up.Uses() != nil {
		t.Error("an account without quotas has one")
	}
	up.SetQuotas(stats.Quotas{Messages: 10, Bytes: 100, Stored: 5, Connections: 2})
	up.MonthMessages.Store(4)
	m.Publish(5, 50)
	if _, over := m.Exceeds(1); over {
		t.Error("the tenth is over")
	}
	if u, over := m.Exceeds(2); !over || u != (stats.Use{Quota: "messages", Used: 9, Most: 10}) {
		t.Errorf("two more: %+v %t", u, over)
	}
	m.Publish(0, 50)
	if u, over := m.Exceeds(1); !over || u.Quota != "bytes" || u.Percent() != 100 {
		t.Errorf("with all bytes used: %+v %t", u, over)
	}
	up.SetQuotas(stats.Quotas{Stored: 5, Connections: 2})
	up.Stored.Store(5)
	if u, over := m.Exceeds(1); !over || u.Quota != "stored" {
		t.Errorf("with history full: %+v %t", u, over)
	}
	for i, want := range []bool{false, false, true} {
		m.Connect(100)
		if _, over := m.Crowded(); over != want {
			t.Errorf("%d connections of 2: crowded %t", i+1, over)
		}
	}
	if n := len(up.Uses()); n != 2 {
		t.Errorf("%d uses, want 2", n)
	}
	up.Warn("messages 90%")
	if m.Warning() != "messages 90%" {
		t.Errorf("the app is told %q", m.Warning())
	}
}
