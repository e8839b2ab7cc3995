package qrlogin_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

func TestWholeLogin(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, channel := g.scanned(phone)
	if got := s.state(); got != "scanned" {
		t.Fatalf("state %s after the scan", got)
	}
	if a := phone.decide(s.id, "approve", nonce); a.Code != 200 || a.text("state") != "approved" {
		t.Fatalf("approve: %d %s", a.Code, a.Body)
	}
	if g.count() != 0 {
		t.Fatal("signed in before the browser came")
	}
	a := s.exchange(s.verifier)
	if a.Code != 200 || a.text("next") != "/" {
		t.Fatalf("exchange: %d %s", a.Code, a.Body)
	}
	if s.cookies["session"] == "" || s.cookies["qrl-"+s.id] != "" {
		t.Errorf("cookies afterwards: %v", s.cookies)
	}
	if l := g.logins[0]; l.User.ID != "ada" || l.User.Session != "" || l.Attempt != s.id {
		t.Errorf("OnLogin got %+v", l)
	}
	equal(t, "pushed to the page", g.ff.states(t, s.channel), []string{"scanned", "approved"})
	equal(t, "pushed to the phone", g.ff.states(t, channel), []string{"consumed"})
	for _, p := range g.ff.pushes {
		if strings.Contains(p.data, `"approved"`) && strings.Count(p.data, ":") != 2 {
			t.Errorf("approved carries more than seq and state: %s", p.data)
		}
		if p.channel == s.channel && strings.Contains(p.data, "Example") {
			t.Errorf("the page was told the whole name before it was let in: %s", p.data)
		}
	}
}

func TestTokensGrantOneChannelOnly(t *testing.T) {
	g := newRig(t)
	g.scanned(g.phone("ada/1"))
	if len(g.ff.grants) != 2 {
		t.Fatalf("%d tokens", len(g.ff.grants))
	}
	for i, gr := range g.ff.grants {
		if len(gr.Subscribe) != 1 || strings.Contains(gr.Subscribe[0], "*") || len(gr.Publish)+len(gr.Presence)+len(gr.History) != 0 {
			t.Errorf("token %d grants %+v", i, gr)
		}
		if ttl := g.ff.ttls[i]; ttl > 10*time.Minute || ttl < 2*time.Minute {
			t.Errorf("token %d lives %v", i, ttl)
		}
	}
	if !strings.HasPrefix(g.ff.grants[0].Subscribe[0], "qr:") || !strings.HasPrefix(g.ff.grants[1].Subscribe[0], "qrp:") {
		t.Errorf("channels %v", g.ff.grants)
	}
}

func TestRejectedForGood(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, _ := g.scanned(phone)
	if a := phone.decide(s.id, "reject", nonce); a.Code != 200 || a.text("state") != "rejected" {
		t.Fatalf("reject: %d %s", a.Code, a.Body)
	}
	if a := phone.decide(s.id, "approve", nonce); a.Code != 409 {
		t.Errorf("approve after reject: %d", a.Code)
	}
	if a := s.exchange(s.verifier); a.Code != 409 {
		t.Errorf("exchange after reject: %d", a.Code)
	}
	equal(t, "pushed", g.ff.states(t, s.channel), []string{"scanned", "rejected"})
}

func TestClosedPageTellsThePhone(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, channel := g.scanned(phone)
	s.want(204, "DELETE", s.path(""), nil)
	equal(t, "pushed to the phone", g.ff.states(t, channel), []string{"cancelled"})
	if a := phone.decide(s.id, "approve", nonce); a.Code != 409 {
		t.Errorf("approve of a closed page: %d", a.Code)
	}
}

func TestOnePhoneOfAHundred(t *testing.T) {
	g := newRig(t)
	s := g.open()
	got := tally(100, func(i int) int { return g.phone(fmt.Sprintf("ada/%d", i)).scan(s.ticket).Code })
	if got[200] != 1 || got[409] != 99 {
		t.Fatalf("%v, want one 200 and 99 of 409", got)
	}
}

func TestOneExchangeOfAHundred(t *testing.T) {
	g := newRig(t)
	s := g.approved(g.phone("ada/1"))
	secret := s.cookies["qrl-"+s.id]
	got := tally(100, func(int) int {
		twin := &screen{client: g.client(), id: s.id}
		twin.cookies["qrl-"+s.id] = secret
		return twin.exchange(s.verifier).Code
	})
	if got[200] != 1 || got[409] != 99 || g.count() != 1 {
		t.Fatalf("%v and %d logins, want one 200, 99 of 409 and one login", got, g.count())
	}
}

func TestApproveAndRejectRace(t *testing.T) {
	for range 20 {
		g := newRig(t)
		phone := g.phone("ada/1")
		s, nonce, _ := g.scanned(phone)
		got := tally(20, func(i int) int {
			return g.phone("ada/1").decide(s.id, []string{"approve", "reject"}[i%2], nonce).Code
		})
		if got[200] != 1 || got[409] != 19 {
			t.Fatalf("%v, want one 200 and 19 of 409", got)
		}
		want := map[string]int{"approved": 200, "rejected": 409}[s.state()]
		if a := s.exchange(s.verifier); a.Code != want {
			t.Fatalf("exchange: %d, want %d", a.Code, want)
		}
	}
}

func TestGETsChangeNothing(t *testing.T) {
	g := newRig(t, func(o *qrlogin.Options) { o.PasswordURL = "/signin" })
	phone, other := g.phone("ada/1"), g.phone("eve/1")
	s := g.open()
	before, err := g.store.Get(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	pushed := len(g.ff.pushes)
	for _, c := range []*client{s.client, phone, other, g.client()} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{
				"/q/" + s.ticket, "/Q/" + s.ticket, "/q/" + strings.ToLower(s.ticket), s.path(""), s.path("/phone"), s.path("/qr.svg?t=" + s.ticket),
				"/qr/login", "/qr/scan", s.path("/decision"), s.path("/exchange"), s.path("/rotate"), "/qr/attempts", "/qr/scan?ticket=" + s.ticket,
			} {
				for range 3 {
					c.do(method, path, nil)
				}
			}
		}
	}
	after, err := g.store.Get(t.Context(), s.id)
	if err != nil || after.Rev != before.Rev || after.State != qrlogin.Pending || len(g.ff.pushes) != pushed || g.store.Len() != 1 {
		t.Fatalf("a GET changed something: %+v, %v", after, err)
	}
	if a := phone.scan(s.ticket); a.Code != 200 {
		t.Fatalf("the code did not outlive the GETs: %d", a.Code)
	}
}

func TestExchangeWantsAllProofs(t *testing.T) {
	g := newRig(t)
	s := g.approved(g.phone("ada/1"))
	other := g.approved(g.phone("ada/1"))
	name := "qrl-" + s.id
	for what, try := range map[string]func() answer{
		"another verifier": func() answer { return s.exchange(other.verifier) },
		"no verifier":      func() answer { return s.exchange("") },
		"the challenge":    func() answer { return s.exchange(challenge(s.verifier)) },
		"no cookie": func() answer {
			return (&screen{client: g.client(), id: s.id}).exchange(s.verifier)
		},
		"another attempt's cookie": func() answer {
			c := &screen{client: g.client(), id: s.id}
			c.cookies[name] = other.cookies["qrl-"+other.id]
			return c.exchange(s.verifier)
		},
		"another attempt": func() answer {
			return (&screen{client: s.client, id: other.id}).exchange(s.verifier)
		},
		"an attempt that is none": func() answer {
			return (&screen{client: s.client, id: strings.Repeat("A", 26)}).exchange(s.verifier)
		},
		"the cookie's __Host- twin": func() answer {
			c := &screen{client: g.client(), id: s.id}
			c.cookies["__Host-"+name] = s.cookies[name]
			return c.exchange(s.verifier)
		},
	} {
		if a := try(); a.Code != 403 {
			t.Errorf("%s: %d, want 403", what, a.Code)
		}
	}
	if g.count() != 0 {
		t.Fatal("somebody was let in")
	}
	if a := s.exchange(s.verifier); a.Code != 200 {
		t.Errorf("the right proofs: %d", a.Code)
	}
}

func TestOnlyThePhoneThatScannedDecides(t *testing.T) {
	g := newRig(t)
	phone := g.phone("ada/1")
	s, nonce, _ := g.scanned(phone)
	_, foreign, _ := g.scanned(g.phone("ada/1"))
	for what, c := range map[string]struct {
		answer
		want int
	}{
		"another session of the same user": {g.phone("ada/2").decide(s.id, "approve", nonce), 404}, // as if there were no such attempt
		"another user":                     {g.phone("eve/1").decide(s.id, "approve", nonce), 404},
		"another attempt's nonce":          {phone.decide(s.id, "approve", foreign), 403},
		"no nonce":                         {phone.decide(s.id, "approve", ""), 403},
	} {
		if c.Code != c.want {
			t.Errorf("%s: %d, want %d", what, c.Code, c.want)
		}
	}
	if a := g.client().decide(s.id, "approve", nonce); a.Code != 401 {
		t.Errorf("nobody: %d, want 401", a.Code)
	}
	if a := phone.decide(s.id, "maybe", nonce); a.Code != 400 {
		t.Errorf("maybe: %d, want 400", a.Code)
	}
	if s.state() != "scanned" {
		t.Fatalf("state %s", s.state())
	}
	if a := phone.decide(s.id, "approve", nonce); a.Code != 200 {
		t.Fatalf("the right phone: %d", a.Code)
	}
	if a := phone.decide(s.id, "approve", nonce); a.Code != 409 {
		t.Errorf("replay: %d, want 409", a.Code)
	}
	if a := g.phone("eve/1").do("GET", s.path("/phone"), nil); a.Code != 404 {
		t.Errorf("another user's snapshot: %d, want 404", a.Code)
	}
	if a := phone.want(200, "GET", s.path("/phone"), nil); a.text("state") != "approved" {
		t.Errorf("the phone's snapshot: %s", a.Body)
	}
}

func TestSecondPhoneIsReported(t *testing.T) {
	g := newRig(t)
	first := g.phone("ada/1")
	s, _, channel := g.scanned(first)
	if a := first.scan(s.ticket); a.Code != 409 {
		t.Errorf("the same phone again: %d, want 409", a.Code)
	}
	equal(t, "after the same phone", g.ff.states(t, s.channel), []string{"scanned"})
	if a := g.phone("eve/1").scan(s.ticket); a.Code != 409 {
		t.Errorf("a second phone: %d, want 409", a.Code)
	}
	equal(t, "pushed to the page", g.ff.states(t, s.channel), []string{"scanned", "scanned"})
	equal(t, "pushed to the phone", g.ff.states(t, channel), []string{"scanned"})
	if a := g.phone("mallory/1").scan(s.ticket); a.Code != 409 {
		t.Errorf("a third account: %d, want 409", a.Code)
	}
	equal(t, "after three accounts", g.ff.states(t, channel), []string{"scanned", "rejected"})
	if a := s.want(200, "GET", s.path(""), nil); a.text("state") != "rejected" || a.text("reason") != "multi_scan" {
		t.Errorf("after three accounts: %s", a.Body)
	}
}

func TestUnknownForeignAndSpentAreAllTheSame(t *testing.T) {
	g := newRig(t)
	s := g.open()
	old := s.ticket
	s.want(204, "DELETE", s.path(""), nil)
	stranger, phone := g.client(), g.phone("ada/1")
	mine, theirs := g.open(), g.open()
	mine.cookies["qrl-"+theirs.id] = mine.cookies["qrl-"+mine.id] // a cookie, but of another attempt
	var bodies []string
	for _, path := range []string{theirs.path(""), theirs.path("/qr.svg?t=" + theirs.ticket)} {
		bodies = append(bodies, mine.want(404, "GET", path, nil).Body.String())
	}
	for _, path := range []string{s.path(""), "/qr/attempts/" + strings.Repeat("B", 26), "/qr/attempts/x", s.path("/qr.svg?t=" + old)} {
		bodies = append(bodies, stranger.want(404, "GET", path, nil).Body.String())
	}
	bodies = append(bodies,
		stranger.want(404, "DELETE", g.open().path(""), nil).Body.String(),
		stranger.want(404, "POST", g.open().path("/rotate"), map[string]string{}).Body.String(),
		phone.scan(strings.Repeat("A", 26)).Body.String(), phone.scan("AAAA").Body.String(), phone.scan("").Body.String())
	if n := len(slices.Compact(bodies)); n != 1 {
		t.Errorf("%d different answers: %q", n, slices.Compact(bodies))
	}
}

func TestClientsChooseNothing(t *testing.T) {
	g := newRig(t)
	c := g.client()
	id := strings.Repeat("A", 26)
	c.cookies["qrl-"+id] = "chosen-by-the-client"
	a := c.want(201, "POST", "/qr/attempts", map[string]string{
		"code_challenge": challenge(strings.Repeat("v", 43)), "ticket": id, "attempt_id": id, "channel": "qr:" + id, "secret": "x",
	})
	for _, v := range a.body {
		if s, _ := v.(string); strings.Contains(s, id) || s == "x" {
			t.Errorf("the client chose %q", s)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("*", 43), strings.Repeat("A", 44)} {
		c.want(400, "POST", "/qr/attempts", map[string]string{"code_challenge": bad})
	}
}

func TestLoginThatFails(t *testing.T) {
	g := newRig(t, func(o *qrlogin.Options) {
		o.OnLogin = func(http.ResponseWriter, *http.Request, qrlogin.Login) error { return errors.New("database says no") }
	})
	s := g.approved(g.phone("ada/1"))
	a := s.exchange(s.verifier)
	if a.Code != 500 || strings.Contains(a.Body.String(), "database") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if a := s.exchange(s.verifier); a.Code != 409 {
		t.Errorf("a second try: %d, want 409", a.Code)
	}
}

func TestPushesAreAHintOnly(t *testing.T) {
	g := newRig(t)
	g.ff.down = true
	s := g.approved(g.phone("ada/1"))
	if a := s.exchange(s.verifier); a.Code != 200 {
		t.Errorf("without Fanfare: %d %s", a.Code, a.Body)
	}
}

func TestSnapshotWaits(t *testing.T) {
	g := newRig(t)
	s := g.open()
	waiter := &screen{client: g.client(), id: s.id}
	waiter.cookies["qrl-"+s.id] = s.cookies["qrl-"+s.id]
	waiter.header.Set("Prefer", "wait=20")
	got := make(chan string, 1)
	go func() { got <- waiter.do("GET", s.path("?after=1"), nil).text("state") }()
	began := time.Now()
	g.phone("ada/1").scan(s.ticket)
	if state := <-got; state != "scanned" || time.Since(began) > 10*time.Second {
		t.Errorf("state %q after %v", state, time.Since(began))
	}
}
