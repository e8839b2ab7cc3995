package qrlogin_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// counted is a Store that counts what is asked of it.
type counted struct {
	*qrlogin.Memory
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what]++
}

func (c *counted) Get(ctx context.Context, id string) (qrlogin.Attempt, error) {
	c.count("get")
	return c.Memory.Get(ctx, id)
}

func (c *counted) ByTicket(ctx context.Context, h qrlogin.Hash) (qrlogin.Attempt, error) {
	c.count("ticket")
	return c.Memory.ByTicket(ctx, h)
}

func (c *counted) Swap(ctx context.Context, a qrlogin.Attempt) error {
	c.count("swap")
	return c.Memory.Swap(ctx, a)
}

// work is what one request asks of the store.
func (c *counted) work(do func() answer) (answer, map[string]int) {
	c.mu.Lock()
	before := maps.Clone(c.n)
	c.mu.Unlock()
	a := do()
	c.mu.Lock()
	defer c.mu.Unlock()
	did := map[string]int{}
	for k, v := range c.n {
		if v > before[k] {
			did[k] = v - before[k]
		}
	}
	return a, did
}

// route is one route of the library, who may use it, and how.
type route struct {
	pattern string
	who     string // "browser", "phone", "host", "device"
	form    bool   // takes a form, not JSON
	bare    bool   // takes nothing from its body
}

func routes() []route {
	return []route{
		{"POST /qr/attempts", "browser", false, false}, {"POST /qr/attempts/{id}/rotate", "browser", false, true}, {"GET /qr/attempts/{id}", "browser", false, true},
		{"GET /qr/attempts/{id}/qr.svg", "browser", false, true}, {"POST /qr/attempts/{id}/code", "browser", false, false}, {"POST /qr/attempts/{id}/exchange", "browser", false, false},
		{"DELETE /qr/attempts/{id}", "browser", false, true}, {"POST /qr/scan", "phone", false, false}, {"POST /qr/attempts/{id}/decision", "phone", false, false},
		{"GET /qr/attempts/{id}/phone", "phone", false, true}, {"GET /qr/login", "browser", false, true}, {"POST /qr/plain", "browser", true, true}, {"GET /qr/plain/{id}", "browser", false, true},
		{"GET /qr/plain/{id}/qr.svg", "browser", false, true}, {"POST /qr/plain/{id}/code", "browser", true, false}, {"POST /qr/plain/{id}/finish", "browser", true, true},
		{"POST /qr/plain-scan", "phone", true, false}, {"POST /qr/plain/{id}/decision", "phone", true, false}, {"GET /q/{ticket}", "phone", false, true}, {"GET /Q/{ticket}", "phone", false, true},
		{"GET /q/{$}", "phone", false, true}, {"GET /qr/ask/{id}", "phone", false, true}, {"GET /qr/assets/", "browser", false, true},
		{"POST /qr/host/attempts", "host", false, false}, {"GET /qr/host/attempts/{id}", "host", false, true}, {"POST /qr/host/attempts/{id}/rotate", "host", false, true},
		{"POST /qr/host/attempts/{id}/code", "host", false, false}, {"POST /qr/host/attempts/{id}/exchange", "host", false, false}, {"DELETE /qr/host/attempts/{id}", "host", false, true},
		{"POST /qr/host/scan", "host", false, false}, {"POST /qr/host/attempts/{id}/decision", "host", false, false}, {"POST /qr/host/phone", "host", false, false},
		{"POST /qr/oauth/device_authorization", "device", true, false}, {"POST /qr/oauth/token", "device", true, false},
	}
}

// TestEveryRouteIsTried: a route that is not in the table of bad inputs is not
// tried with any.
func TestEveryRouteIsTried(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"((?:GET|POST|PUT|PATCH|DELETE) /[qQ][^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			found++
			if !slices.ContainsFunc(routes(), func(r route) bool { return r.pattern == m[1] }) {
				t.Errorf("%s: the route %s is not in the table of bad inputs", file, m[1])
			}
		}
	}
	if found != len(routes()) {
		t.Errorf("%d routes in the source, %d in the table", found, len(routes()))
	}
}

// bench is a rig with all kinds of callers, and one attempt of each kind.
type bench struct {
	*rig
	screen *screen
	hosted answer
	phone  *client
	host   *client
}

const shopKey = "key-of-the-shop-key-of-the-shop"

func newBench(t *testing.T, change ...func(*qrlogin.Options)) *bench {
	t.Helper()
	b := &bench{rig: newRig(t, append([]func(*qrlogin.Options){devices, func(o *qrlogin.Options) {
		o.Hosts = []qrlogin.Host{{Name: "shop", Key: qrlogin.HashOf(shopKey)}, {Name: "other", Key: qrlogin.HashOf("key-of-another")}}
	}}, change...)...)}
	b.screen, b.phone, b.host = b.open(), b.rig.phone("ada/1"), b.client()
	b.host.header.Set("Authorization", "Bearer "+shopKey)
	b.hosted = b.host.want(201, "POST", "/qr/host/attempts", map[string]string{"ip": "192.0.2.9", "user_agent": "Firefox/140"})
	return b
}

// caller is a new one for a route, and the path with an attempt that it knows.
func (b *bench) caller(r route) (c *client, method, path string) {
	method, path, _ = strings.Cut(r.pattern, " ")
	c = b.client()
	id := b.screen.id
	switch r.who {
	case "browser":
		c.cookies = maps.Clone(b.screen.cookies)
	case "phone":
		c.cookies = maps.Clone(b.phone.cookies)
	case "host":
		c.header, id = b.host.header.Clone(), b.hosted.text("attempt_id")
	}
	if r.form {
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c, method, strings.NewReplacer("{id}", id, "{ticket}", b.screen.ticket, "{$}", "").Replace(path)
}

// isProblem wants a plain answer that says what to do: no success, and none of
// the server's own faults.
func isProblem(t *testing.T, what string, a answer) {
	t.Helper()
	if a.Code < 400 || a.Code >= 500 {
		t.Errorf("%s: status %d: %.200s", what, a.Code, a.Body)
		return
	}
	told := a.text("detail") != "" && a.text("remedy") != "" && a.text("code") != "" || a.text("error") != "" || strings.HasPrefix(a.Header().Get("Content-Type"), "text/html")
	if !told {
		t.Errorf("%s: status %d does not say what to do: %.200s", what, a.Code, a.Body)
	}
}

func TestBadInput(t *testing.T) {
	b := newBench(t)
	for _, r := range routes() {
		c, method, path := b.caller(r)
		for _, other := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			plain := regexp.MustCompile(`\{\w*\$?\}`).ReplaceAllString(path, "")
			another := func(o route) bool {
				return strings.HasPrefix(o.pattern, other+" ") && strings.HasSuffix(o.pattern, r.pattern[strings.Index(r.pattern, " "):])
			}
			if other != method && plain == path && !slices.ContainsFunc(routes(), another) {
				isProblem(t, other+" "+r.pattern, c.do(other, path, map[string]string{}))
			}
		}
		if method == "GET" || method == "DELETE" || r.bare {
			continue
		}
		for what, body := range map[string]string{
			"nothing": "", "rubbish": "\x00\xff{", "half": `{"a":`, "a list": `[]`, "null": `null`, "a number": `1`, "wrong types": `{"ticket":1,"code":[],"code_verifier":{},"decision":7,"code_challenge":1,"ip":1,"attempt_secret":1}`,
			"too much": `{"ticket":"` + strings.Repeat("A", 20<<10) + `"}`, "deep": strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000),
			"hostile": `{"ticket":"'\"><script>","user_code":"%00","subject":"a","session":"b","ip":"::ffff:1.2.3.4%eth0","decision":"maybe","nonce":"\u202e"}`,
		} {
			isProblem(t, r.pattern+" with "+what, c.do(method, path, rawForm(body)))
		}
		if !r.form && r.who != "device" {
			c.header.Set("Content-Type", "text/plain")
			if a := c.do(method, path, rawForm("{}")); a.Code != 415 {
				t.Errorf("%s as text: %d, want 415", r.pattern, a.Code)
			}
		}
	}
	if b.screen.state() != "pending" {
		t.Errorf("bad input made the attempt %s", b.screen.state())
	}
	if strings.Contains(b.log.String(), "level=ERROR") || strings.Contains(b.log.String(), "panic") {
		t.Errorf("bad input is logged as the server's fault:\n%s", b.log)
	}
}

// TestOtherSitesEverywhere: nothing that changes something is done for another
// site, by any route.
func TestOtherSitesEverywhere(t *testing.T) {
	b := newBench(t)
	for _, r := range routes() {
		c, method, path := b.caller(r)
		if method == "GET" {
			continue
		}
		for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.test"}, {"Origin", "null"}} {
			evil := *c
			evil.header = c.header.Clone()
			evil.header.Set(h[0], h[1])
			if a := evil.do(method, path, map[string]string{}); a.Code != 403 {
				t.Errorf("%s with %s: %s: %d, want 403", r.pattern, h[0], h[1], a.Code)
			}
		}
	}
}

// TestStrangersEverywhere: who lacks the proof of a route gets nothing by it.
func TestStrangersEverywhere(t *testing.T) {
	b := newBench(t)
	open := []string{"POST /qr/attempts", "GET /qr/login", "POST /qr/plain", "GET /qr/assets/"} // for everybody
	for _, r := range routes() {
		if slices.Contains(open, r.pattern) {
			continue
		}
		c, method, path := b.caller(r)
		stranger := b.client()
		stranger.header.Set("Content-Type", c.header.Get("Content-Type"))
		if stranger.header.Get("Content-Type") == "" {
			stranger.header.Del("Content-Type")
		}
		isProblem(t, r.pattern+" by a stranger", stranger.do(method, path, map[string]string{"code_verifier": b.screen.verifier}))
	}
	if b.screen.state() != "pending" {
		t.Errorf("a stranger made the attempt %s", b.screen.state())
	}
}

// TestUnknownTakesAsLong: an id or ticket that is none is answered as one that
// is over, of somebody else, or of another site; and the same is asked of the
// store for each, so that the time says nothing either.
func TestUnknownTakesAsLong(t *testing.T) {
	store := &counted{Memory: qrlogin.NewMemory(0), n: map[string]int{}}
	pepper := func(o *qrlogin.Options) { o.Store, o.Pepper = store, []byte("0123456789abcdef") }
	b := newBench(t, pepper)
	elsewhere := newRig(t, pepper, func(o *qrlogin.Options) { o.PublicURL = "http://127.0.0.1:8091" })
	elsewhere.host = "127.0.0.1:8091"
	over, foreign, held := b.open(), elsewhere.open(), b.open()
	over.want(204, "DELETE", over.path(""), nil)
	bob := b.rig.phone("bob/1")
	if a := bob.scan(held.ticket); a.Code != 200 {
		t.Fatal(a.Body)
	}
	unknown := strings.Repeat("B", 26)
	ids := map[string]string{"one that is over": over.id, "another site's": foreign.id, "somebody else's": held.id}
	cookie := func(id string) *client {
		c := b.client()
		c.cookies["qrl-"+id] = strings.Repeat("A", 52)
		return c
	}
	for _, r := range []struct {
		name  string
		by    func(id string) *client
		path  string
		body  any
		ids   map[string]string
		count string
	}{
		{"the state", cookie, "/qr/attempts/%", nil, ids, "get"}, {"the exchange", cookie, "/qr/attempts/%/exchange", map[string]string{"code_verifier": b.screen.verifier}, ids, "get"},
		{"the digits", cookie, "/qr/attempts/%/code", map[string]string{"code": "00", "code_verifier": b.screen.verifier}, ids, "get"},
		{"the decision", func(string) *client { return b.rig.phone("ada/1") }, "/qr/attempts/%/decision", map[string]string{"decision": "approve", "nonce": unknown}, ids, "get"},
		{"the phone's state", func(string) *client { return b.rig.phone("ada/1") }, "/qr/attempts/%/phone", nil, ids, "get"},
		{"the host's state", func(string) *client { return b.host }, "/qr/host/attempts/%", nil, ids, "get"},
		{"the scan", func(string) *client { return b.rig.phone("ada/1") }, "/qr/scan", "ticket", map[string]string{"one that is over": over.ticket, "another site's": foreign.ticket, "a host's": ticketOf(b.hosted)}, "ticket"},
	} {
		ask := func(id string) (answer, map[string]int) {
			return store.work(func() answer {
				method, body := "POST", r.body
				if body == nil {
					method = "GET"
				}
				if body == "ticket" {
					body = map[string]string{"ticket": id}
				}
				return r.by(id).do(method, strings.Replace(r.path, "%", id, 1), body)
			})
		}
		want, did := ask(unknown)
		if want.Code != 404 && want.Code != 403 || did[r.count] != 1 {
			t.Errorf("%s of an id that is none: %d, having asked %v", r.name, want.Code, did)
		}
		for what, id := range r.ids {
			got, work := ask(id)
			if got.Code != want.Code || got.Body.String() != want.Body.String() || !maps.Equal(work, did) {
				t.Errorf("%s of %s: %d %s, having asked %v; of one that is none: %d, %v", r.name, what, got.Code, got.Body, work, want.Code, did)
			}
		}
	}
}

// TestLogsOfAllRoutes: after each route was used rightly and wrongly, the log
// has none of the secrets.
func TestLogsOfAllRoutes(t *testing.T) {
	b := newBench(t)
	tv := form(b.client())
	device := tv.want(200, "POST", "/qr/oauth/device_authorization", rawForm("client_id=tv"))
	asked := b.phone.scan(b.open().ticket)
	secrets := map[string]string{
		"ticket": b.screen.ticket, "cookie": b.screen.cookies["qrl-"+b.screen.id], "verifier": b.screen.verifier, "host key": shopKey, "attempt secret": b.hosted.text("attempt_secret"),
		"host's ticket": ticketOf(b.hosted), "host's typed code": b.hosted.text("user_code"), "device code": device.text("device_code"), "device's typed code": device.text("user_code"), "nonce": asked.text("decision_nonce"),
		"token": "token-",
	}
	for _, r := range routes() {
		c, method, path := b.caller(r)
		for name, v := range secrets {
			c.do(method, path+"?x="+v, map[string]string{"ticket": v, "code": v, "nonce": v, "decision": "approve", "code_verifier": v, "attempt_secret": v, "device_code": v, "user_code": v})
			if name == "ticket" {
				c.do(method, path, rawForm("ticket="+v+"&code="+v+"&nonce="+v+"&device_code="+v+"&client_id=tv"))
			}
			c.do(http.MethodGet, "/q/"+v, nil)
		}
	}
	if len(b.log.String()) < 1000 {
		t.Fatalf("the log is empty:\n%s", b.log)
	}
	for name, v := range secrets {
		if v == "" || strings.Contains(b.log.String(), v) {
			t.Errorf("the log holds the %s (%q)", name, v)
		}
	}
}
