package tenant_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 9.4
func TestTicketIsGoodOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		grants := protocol.Grants{Subscribe: []string{"a"}}
		token, _, err := w.SignToken(w.is(w.secret.Text), "ann", grants, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, credential := range []string{w.secret.Text, w.public.Text, token} {
			p := w.is(credential)
			ticket, expires, err := w.NewTicket(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Until(expires); d > tenant.TicketTTL || d < tenant.TicketTTL-10*time.Second {
				t.Errorf("the ticket is good for %s", d)
			}
			got, err := w.RedeemTicket(t.Context(), ticket, "")
			if err != nil {
				t.Fatal(err)
			}
			if got.App != p.App || got.Account != p.Account || got.Kind != p.Kind || got.KeyID != p.KeyID || got.User != p.User || !got.Expires.Equal(p.Expires) {
				t.Errorf("the ticket stands for %v %q, want %v %q", got, got.User, p, p.User)
			}
			for _, ch := range []protocol.Channel{"a", "b", "public:x"} {
				if a, b := p.May(protocol.Subscribe, ch), got.May(protocol.Subscribe, ch); (a == nil) != (b == nil) {
					t.Errorf("%s: subscribe on %s is %v with the credential and %v with the ticket", p.Kind, ch, a, b)
				}
			}
			_, err = w.RedeemTicket(t.Context(), ticket, "")
			want(t, err, protocol.CodeTicketInvalid)
		}
		for _, bad := range []string{"", "x", "fft_" + strings.Repeat("x", 32), "fft_" + strings.Repeat("x", 31), strings.Repeat("x", 1<<20), "fft_*.>\x00" + strings.Repeat("x", 27)} {
			_, err := w.RedeemTicket(t.Context(), bad, "")
			want(t, err, protocol.CodeTicketInvalid)
		}
	})
}

// claims: 9.4
func TestTicketHasOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ticket, _, err := w.NewTicket(t.Context(), w.is(w.public.Text))
		if err != nil {
			t.Fatal(err)
		}
		var winners atomic.Int64
		var wg sync.WaitGroup
		errs := make([]error, 100)
		for i := range errs {
			wg.Go(func() {
				if _, errs[i] = w.RedeemTicket(t.Context(), ticket, ""); errs[i] == nil {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d redeemed the ticket, want 1", winners.Load())
		}
		for _, err := range errs {
			if err != nil {
				want(t, err, protocol.CodeTicketInvalid)
			}
		}
	})
}

// claims: 9.4 8.7 8.8
func TestTicketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		page := w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "n", Origins: []string{"https://a.example"}})
		p, err := w.Authenticate(t.Context(), page.Text, "")
		if err != nil {
			t.Fatal(err)
		}
		ticket := func() string {
			t.Helper()
			text, _, err := w.NewTicket(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		late, good := ticket(), ticket()
		time.Sleep(tenant.TicketTTL - time.Millisecond)
		if _, err := w.RedeemTicket(t.Context(), good, "https://a.example"); err != nil {
			t.Errorf("a millisecond before its end: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		_, err = w.RedeemTicket(t.Context(), late, "https://a.example")
		want(t, err, protocol.CodeTicketInvalid)

		_, err = w.RedeemTicket(t.Context(), ticket(), "https://b.example")
		want(t, err, protocol.CodeOriginNotAllowed)

		// The token behind a ticket may end before it.
		token, _, err := w.SignToken(w.is(w.secret.Text), "u", protocol.Grants{}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := w.NewTicket(t.Context(), w.is(token))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		_, err = w.RedeemTicket(t.Context(), text, "")
		want(t, err, protocol.CodeTokenExpired)

		revoked := ticket()
		if err := w.RevokeKey(t.Context(), w.account, w.app, page.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.RedeemTicket(t.Context(), revoked, "https://a.example")
		want(t, err, protocol.CodeKeyExpired)
		_, _, err = w.NewTicket(t.Context(), p)
		want(t, err, protocol.CodeKeyExpired)
	})
}

// A bucket may keep what is over for a while; it is refused all the same.
func TestWhatTheBucketKeepsTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		ticket, _, err := w.NewTicket(t.Context(), w.is(w.secret.Text))
		if err != nil {
			t.Fatal(err)
		}
		code, _, err := w.NewLink(t.Context(), w.account)
		if err != nil {
			t.Fatal(err)
		}
		used, _, err := w.NewLink(t.Context(), w.account)
		if err != nil {
			t.Fatal(err)
		}
		session, _, err := w.RedeemLink(t.Context(), used)
		if err != nil {
			t.Fatal(err)
		}
		w.vault.mu.Lock()
		for _, e := range w.vault.entries {
			e.until = time.Time{}
		}
		w.vault.mu.Unlock()
		time.Sleep(tenant.SessionTTL)
		_, err = w.RedeemTicket(t.Context(), ticket, "")
		want(t, err, protocol.CodeTicketInvalid)
		_, _, err = w.RedeemLink(t.Context(), code)
		want(t, err, protocol.CodeLinkInvalid)
		_, err = w.Session(t.Context(), session)
		want(t, err, protocol.CodeLinkInvalid)
	})
}

func TestSignInLinkIsGoodOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		code, expires, err := w.NewLink(t.Context(), w.account)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Until(expires); d > tenant.LinkTTL || d < tenant.LinkTTL-10*time.Second {
			t.Errorf("the link is good for %s", d)
		}
		var mu sync.Mutex
		var sessions []string
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				s, _, err := w.RedeemLink(t.Context(), code)
				if err != nil {
					want(t, err, protocol.CodeLinkInvalid)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				sessions = append(sessions, s)
			})
		}
		wg.Wait()
		if len(sessions) != 1 {
			t.Fatalf("%d sessions came of one link", len(sessions))
		}
		p, err := w.Session(t.Context(), sessions[0])
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != tenant.KindSession || p.Account != w.account || p.App != "" || time.Until(p.Expires) > tenant.SessionTTL {
			t.Errorf("the session is %v", p)
		}
		for range 2 { // ending it again is no error
			if err := w.EndSession(t.Context(), sessions[0]); err != nil {
				t.Error(err)
			}
		}
		_, err = w.Session(t.Context(), sessions[0])
		want(t, err, protocol.CodeLinkInvalid)
		for _, bad := range []string{"", code, "ffd_" + strings.Repeat("x", 32), w.token} {
			_, err = w.Session(t.Context(), bad)
			want(t, err, protocol.CodeLinkInvalid)
			_, _, err = w.RedeemLink(t.Context(), bad)
			want(t, err, protocol.CodeLinkInvalid)
			if err := w.EndSession(t.Context(), bad); err != nil {
				t.Error(err)
			}
		}
		_, _, err = w.NewLink(t.Context(), "zzzzzzzzzz")
		want(t, err, protocol.CodeNotFound)
	})
}

func TestSessionEndsAfterTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		code, _, err := w.NewLink(t.Context(), w.account)
		if err != nil {
			t.Fatal(err)
		}
		late, _, err := w.NewLink(t.Context(), w.account)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(15*time.Minute - time.Second)
		session, _, err := w.RedeemLink(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Session(t.Context(), session)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		_, _, err = w.RedeemLink(t.Context(), late)
		want(t, err, protocol.CodeLinkInvalid)
		time.Sleep(12*time.Hour - 3*time.Second)
		if _, err := w.Session(t.Context(), session); err != nil || p.Check() != nil {
			t.Errorf("a second before its end: %v, %v", err, p.Check())
		}
		time.Sleep(2 * time.Second)
		_, err = w.Session(t.Context(), session)
		want(t, err, protocol.CodeLinkInvalid)
		want(t, p.Check(), protocol.CodeLinkInvalid)
	})
}
