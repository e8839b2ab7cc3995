package qrlogin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// typed sends the digits as the page does.
func (s *screen) typed(digits, verifier string) answer {
	s.g.t.Helper()
	return s.do("POST", s.path("/code"), map[string]string{"code": digits, "code_verifier": verifier})
}

func adaptive(o *qrlogin.Options) { o.Policy = qrlogin.Adaptive }

// challenged is a screen whose phone said yes and shows digits.
func challenged(g *rig, phone *client) (s *screen, nonce, digits string) {
	g.t.Helper()
	s, nonce, _ = g.scanned(phone)
	a := phone.decide(s.id, "approve", nonce)
	if a.Code != 200 || a.text("state") != "challenge" || a.text("check_code") == "" {
		g.t.Fatalf("approve of a new browser: %d %s", a.Code, a.Body)
	}
	return s, nonce, a.text("check_code")
}

// other is a string of digits that is not digits.
func other(digits string) string { return string('0'+(digits[0]-'0'+1)%10) + digits[1:] }

func TestDigitsLetTheRightBrowserIn(t *testing.T) {
	g := newRig(t, adaptive)
	s, _, digits := challenged(g, g.phone("ada/1"))
	if a := s.exchange(s.verifier); a.Code != 409 || a.text("state") != "challenge" {
		t.Errorf("exchange before the digits: %d %s", a.Code, a.Body)
	}
	for what, a := range map[string]answer{
		"another browser":   (&screen{client: g.client(), id: s.id}).typed(digits, s.verifier),
		"another verifier":  s.typed(digits, strings.Repeat("x", 43)),
		"no verifier":       s.typed(digits, ""),
		"an unknown number": (&screen{client: s.client, id: strings.Repeat("A", 26)}).typed(digits, s.verifier),
	} {
		if a.Code != 403 {
			t.Errorf("%s: %d, want 403", what, a.Code)
		}
	}
	if a := s.typed(other(digits), s.verifier); a.Code != 200 || a.text("state") != "challenge" || a.body["tries"] != 2.0 {
		t.Fatalf("wrong digits: %d %s", a.Code, a.Body)
	}
	if a := s.typed(digits, s.verifier); a.Code != 200 || a.text("state") != "approved" {
		t.Fatalf("right digits: %d %s", a.Code, a.Body)
	}
	if a := s.typed(digits, s.verifier); a.Code != 409 {
		t.Errorf("once more: %d, want 409", a.Code)
	}
	if a := s.exchange(s.verifier); a.Code != 200 || g.count() != 1 {
		t.Fatalf("exchange: %d, %d logins", a.Code, g.count())
	}
	for _, p := range g.ff.pushes {
		if strings.Contains(p.data, `"`+digits+`"`) {
			t.Errorf("the digits were pushed: %s", p.data)
		}
	}
	if strings.Contains(g.log.String(), digits+"\n") || strings.Contains(g.log.String(), "="+digits+" ") {
		t.Errorf("the digits were logged:\n%s", g.log)
	}
}

func TestWrongDigitsThreeTimes(t *testing.T) {
	var trail []string
	g := newRig(t, adaptive, func(o *qrlogin.Options) {
		o.Audit = func(_ context.Context, e qrlogin.Entry) { trail = append(trail, e.Action) }
	})
	s, _, digits := challenged(g, g.phone("ada/1"))
	for range 2 {
		s.typed(other(digits), s.verifier)
	}
	if a := s.typed(other(digits), s.verifier); a.text("state") != "rejected" || a.text("reason") != "wrong_code" {
		t.Fatalf("the third time: %s", a.Body)
	}
	if a := s.typed(digits, s.verifier); a.Code != 409 {
		t.Errorf("the right digits afterwards: %d", a.Code)
	}
	if a := s.exchange(s.verifier); a.Code != 409 || g.count() != 0 {
		t.Errorf("exchange: %d", a.Code)
	}
	want := []string{"created", "scanned", "challenged", "wrong_code", "wrong_code", "wrong_code", "rejected"}
	equal(t, "the audit trail", trail, want)
}

func TestKnownBrowsersNeedNoDigits(t *testing.T) {
	g := newRig(t, adaptive)
	phone := g.phone("ada/1")
	s, _, digits := challenged(g, phone)
	s.typed(digits, s.verifier)
	if a := s.exchange(s.verifier); a.Code != 200 {
		t.Fatalf("exchange: %d", a.Code)
	}
	again := s.client.open()
	nonce := phone.scan(again.ticket).text("decision_nonce")
	synchronous(t, phone.decide(again.id, "approve", nonce), "approved")
	// Known to ada is not known to eve, and another browser is not known at all.
	third := s.client.open()
	eve := g.phone("eve/1")
	a := eve.scan(third.ticket)
	if a.body["new_browser"] != true {
		t.Errorf("eve's first time there: %s", a.Body)
	}
	// The cookie is new at each sign-in: a copy of the old one is worth nothing.
	old := s.cookies["qrb"]
	if a := again.exchange(again.verifier); a.Code != 200 || s.cookies["qrb"] == old || old == "" {
		t.Errorf("exchange: %d, the cookie was not replaced", a.Code)
	}
}

// synchronous is a decision that ended in that state, whatever haste is worth.
func synchronous(t *testing.T, a answer, state string) {
	t.Helper()
	if a.Code != 200 || a.text("state") != state {
		t.Errorf("%d %s, want %s", a.Code, a.Body, state)
	}
}

func TestPhoneTakesItsYesBack(t *testing.T) {
	g := newRig(t, adaptive)
	phone := g.phone("ada/1")
	s, nonce, digits := challenged(g, phone)
	if a := g.phone("eve/1").decide(s.id, "reject", nonce); a.Code != 404 {
		t.Errorf("somebody else: %d", a.Code)
	}
	synchronous(t, phone.decide(s.id, "reject", nonce), "rejected")
	if a := s.typed(digits, s.verifier); a.Code != 409 || g.count() != 0 {
		t.Errorf("the digits afterwards: %d", a.Code)
	}
}

func TestOneOfAHundredDigits(t *testing.T) {
	g := newRig(t, adaptive)
	s, _, digits := challenged(g, g.phone("ada/1"))
	got := tally(100, func(int) int {
		twin := &screen{client: g.client(), id: s.id}
		twin.cookies["qrl-"+s.id] = s.cookies["qrl-"+s.id]
		return twin.typed(digits, s.verifier).Code
	})
	if got[200] != 1 || got[409] != 99 {
		t.Errorf("%v, want one 200 and 99 of 409", got)
	}
}

func TestTypedCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		c, phone := g.client(), g.phone("ada/1")
		a := c.want(201, "POST", "/qr/attempts", map[string]string{"code_challenge": challenge(strings.Repeat("v", 43))})
		code := a.text("user_code")
		try := func(p *client, code string) answer {
			return p.do("POST", "/qr/scan", map[string]string{"user_code": code})
		}
		if a := try(phone, strings.ToLower(strings.ReplaceAll(code, "-", " "))); a.Code != 200 || a.text("attempt_id") == "" {
			t.Fatalf("the code, typed badly: %d %s", a.Code, a.Body)
		}
		if a := try(g.phone("eve/1"), code); a.Code != 409 {
			t.Errorf("a second phone: %d, want 409", a.Code)
		}
		for i := range 7 {
			want := 404
			if i >= 5 {
				want = 429
			}
			if a := try(phone, "BBBB-BBBB"); a.Code != want {
				t.Errorf("wrong code %d: %d, want %d", i+1, a.Code, want)
			}
		}
		if a := try(g.phone("bob/1"), "BBBB-BBBB"); a.Code != 404 {
			t.Errorf("another account: %d", a.Code)
		}
		time.Sleep(10*time.Minute + time.Second)
		if a := try(phone, "BBBB-BBBB"); a.Code != 404 {
			t.Errorf("ten minutes later: %d, want 404", a.Code)
		}
	})
}

func TestRememberedBrowserAsks(t *testing.T) {
	var asks []qrlogin.Ask
	g := newRig(t, adaptive, func(o *qrlogin.Options) {
		o.OnAsk = func(_ context.Context, a qrlogin.Ask) error { asks = append(asks, a); return nil }
	})
	phone := g.phone("ada/1")
	ask := func(c *client) answer {
		return c.do("POST", "/qr/attempts", map[string]any{"code_challenge": challenge(strings.Repeat("v", 43)), "ask": true})
	}
	s, nonce, _ := g.scanned(phone)
	if a := ask(s.client); a.Code != 403 {
		t.Errorf("a browser that nobody remembers: %d", a.Code)
	}
	a := phone.do("POST", s.path("/decision"), map[string]any{"decision": "approve", "nonce": nonce, "remember_browser": true})
	s.typed(a.text("check_code"), s.verifier)
	if a := s.exchange(s.verifier); a.Code != 200 {
		t.Fatalf("%d", a.Code)
	}
	next := s.client.want(201, "POST", "/qr/attempts", map[string]string{"code_challenge": challenge(strings.Repeat("v", 43))})
	if p, _ := next.body["asker"].(map[string]any); p["name"] != "A•••" {
		t.Errorf("whom the browser may ask: %v", next.body["asker"])
	}
	a = ask(s.client)
	if a.Code != 201 || a.text("qr_url") != "" || a.text("user_code") != "" || len(asks) != 1 || asks[0].User.ID != "ada" {
		t.Fatalf("%d %s, asked %+v", a.Code, a.Body, asks)
	}
	id := a.text("attempt_id")
	scan := func(p *client) answer { return p.do("POST", "/qr/scan", map[string]string{"asked": id}) }
	if a := scan(g.phone("eve/1")); a.Code != 404 {
		t.Errorf("somebody else answers: %d, want 404", a.Code)
	}
	got := scan(phone)
	if got.Code != 200 || got.body["new_browser"] != false {
		t.Fatalf("ada answers: %d %s", got.Code, got.Body)
	}
	synchronous(t, phone.decide(id, "approve", got.text("decision_nonce")), "approved")
	mine := &screen{client: s.client, id: id}
	if a := mine.exchange(strings.Repeat("v", 43)); a.Code != 200 || g.count() != 2 {
		t.Fatalf("exchange: %d", a.Code)
	}
	// A phone is not asked until it says yes to have peace.
	codes := []int{}
	for range 4 {
		codes = append(codes, ask(s.client).Code)
	}
	if !slices.Equal(codes, []int{201, 201, 201, 429}) {
		t.Errorf("asked without answer: %v", codes)
	}
}

// stampConfirmer takes the base64 of the challenge for a passkey's signature.
type stampConfirmer struct {
	mu   sync.Mutex
	seen [][]byte
}

func (c *stampConfirmer) Options(_ *http.Request, u qrlogin.User, challenge []byte) (json.RawMessage, error) {
	if u.ID != "ada" {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, challenge)
	return json.Marshal(map[string]string{"challenge": base64.StdEncoding.EncodeToString(challenge)})
}

func (c *stampConfirmer) Check(_ *http.Request, _ qrlogin.User, challenge []byte, assertion json.RawMessage) error {
	var got []byte
	if err := json.Unmarshal(assertion, &got); err != nil || !bytes.Equal(got, challenge) {
		return errors.New("another challenge was signed")
	}
	return nil
}

func TestPasskeySignsJustThis(t *testing.T) {
	g := newRig(t, func(o *qrlogin.Options) { o.Confirm = &stampConfirmer{} })
	phone := g.phone("ada/1")
	scan := func() (s *screen, nonce, stamp string) {
		s = g.open()
		a := phone.scan(s.ticket)
		c, _ := a.body["confirm"].(map[string]any)
		stamp, _ = c["challenge"].(string)
		return s, a.text("decision_nonce"), stamp
	}
	one, nonce1, stamp1 := scan()
	two, nonce2, stamp2 := scan()
	if stamp1 == stamp2 || len(stamp1) != 44 {
		t.Fatalf("challenges %q and %q", stamp1, stamp2)
	}
	decide := func(s *screen, nonce, stamp string) answer {
		return phone.do("POST", s.path("/decision"), map[string]any{"decision": "approve", "nonce": nonce, "assertion": stamp})
	}
	if a := decide(two, nonce2, stamp1); a.Code != 400 {
		t.Errorf("the assertion of another attempt: %d, want 400", a.Code)
	}
	if two.state() != "scanned" {
		t.Errorf("state %s", two.state())
	}
	synchronous(t, decide(one, nonce1, stamp1), "approved")
	one.exchange(one.verifier)
	if !g.logins[0].Verified {
		t.Error("OnLogin does not know of the passkey")
	}
	// Without the passkey it counts as a risk; somebody without one is not asked.
	if a := g.phone("eve/1").scan(g.open().ticket); a.body["confirm"] != nil {
		t.Errorf("eve has no passkey: %v", a.body["confirm"])
	}
}

func TestSitesShareAStore(t *testing.T) {
	one := newRig(t)
	two := newRig(t, func(o *qrlogin.Options) { o.Store, o.Tenant = one.store, "other.example" })
	s := one.open()
	phone := two.phone("ada/1")
	foreign, unknown := phone.scan(s.ticket), phone.scan(strings.Repeat("A", 26))
	if foreign.Code != 404 || foreign.Body.String() != unknown.Body.String() {
		t.Errorf("a ticket of another site: %d %s", foreign.Code, foreign.Body)
	}
	mine, nonce, _ := one.scanned(one.phone("ada/1"))
	twin := &screen{client: two.client(), id: mine.id, verifier: mine.verifier}
	twin.cookies = mine.cookies
	for what, a := range map[string]answer{
		"read": twin.do("GET", twin.path(""), nil), "decide": phone.decide(mine.id, "approve", nonce), "phone": phone.do("GET", twin.path("/phone"), nil), "cancel": twin.do("DELETE", twin.path(""), nil),
	} {
		if a.Code != 404 {
			t.Errorf("%s: %d, want 404", what, a.Code)
		}
	}
	if a := twin.exchange(mine.verifier); a.Code != 403 {
		t.Errorf("exchange: %d, want 403", a.Code)
	}
	if mine.state() != "scanned" || s.state() != "pending" {
		t.Error("the other site changed something")
	}
}

func TestPagesWithoutScripts(t *testing.T) {
	g := newRig(t, adaptive)
	c, phone := g.client(), g.phone("ada/1")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}}
	c.header, phone.header = form, form
	page := c.want(303, "POST", "/qr/plain", nil).Header().Get("Location")
	html := c.want(200, "GET", page, nil).Body.String()
	if !strings.Contains(html, page+"/qr.svg") || !strings.Contains(html, `http-equiv="refresh"`) || strings.Contains(html, "<script") {
		t.Errorf("the page: %s", html)
	}
	if svg := c.want(200, "GET", page+"/qr.svg", nil); !strings.Contains(svg.Body.String(), "<svg") || svg.Body.String() != c.want(200, "GET", page+"/qr.svg", nil).Body.String() {
		t.Error("the code changes from one look to the next")
	}
	if a := g.client().do("GET", page, nil); a.Code != 404 {
		t.Errorf("a stranger sees the page: %d", a.Code)
	}
	code := html[strings.Index(html, "Type ")+5:][:9]
	ask := phone.formed("/qr/plain-scan", "user_code="+code)
	nonce := between(ask.Body.String(), `name="nonce" value="`, `"`)
	if ask.Code != 200 || nonce == "" || strings.Index(ask.Body.String(), "reject") > strings.Index(ask.Body.String(), "approve") {
		t.Fatalf("the phone: %d %s", ask.Code, ask.Body)
	}
	if a := c.want(200, "GET", page, nil); !strings.Contains(a.Body.String(), "Confirm on your phone") {
		t.Errorf("after the scan: %s", a.Body)
	}
	done := phone.formed(page+"/decision", "decision=approve&nonce="+nonce)
	digits := between(done.Body.String(), `class="digits" dir="ltr">`, "<")
	if done.Code != 200 || digits == "" {
		t.Fatalf("approve: %d %s", done.Code, done.Body)
	}
	c.formed(page+"/code", "code="+other(digits))
	if a := c.want(200, "GET", page, nil); !strings.Contains(a.Body.String(), "Tries left: 2") {
		t.Errorf("wrong digits: %s", a.Body)
	}
	c.formed(page+"/code", "code="+digits)
	if a := c.formed(page+"/finish", ""); a.Code != 303 || a.Header().Get("Location") != "/" || g.count() != 1 || c.cookies["session"] == "" {
		t.Fatalf("finish: %d %s", a.Code, a.Body)
	}
	if a := c.formed(page+"/finish", ""); a.Code == 303 && g.count() != 1 {
		t.Error("signed in twice")
	}
}

// formed sends a form.
func (c *client) formed(path, body string) answer {
	c.g.t.Helper()
	return c.do("POST", path, rawForm(body))
}

func between(text, from, to string) string {
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return ""
	}
	out, _, _ := strings.Cut(rest, to)
	return out
}
