package qraudit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/cmd/fanfare/qraudit"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// flaw is a deployment that is broken in one way, and the check that has to
// find it.
type flaw struct {
	check, name string
	spoil       func(g *rig) func(http.Handler) http.Handler
}

func simple(spoil func(http.Handler) http.Handler) func(*rig) func(http.Handler) http.Handler {
	return func(*rig) func(http.Handler) http.Handler { return spoil }
}

func header(name, value string) func(*rig) func(http.Handler) http.Handler {
	return simple(after(func(_ *http.Request, h http.Header, body string) string {
		h.Set(name, value)
		return body
	}))
}

// rewrite changes what the answers to a path say.
func rewrite(path, pattern, with string) func(*rig) func(http.Handler) http.Handler {
	re := regexp.MustCompile(pattern)
	return simple(after(func(r *http.Request, _ http.Header, body string) string {
		if strings.HasPrefix(r.URL.Path, path) {
			return re.ReplaceAllString(body, with)
		}
		return body
	}))
}

func flaws() []flaw {
	noFlags := simple(after(func(_ *http.Request, h http.Header, body string) string {
		for i, c := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = strings.ReplaceAll(c, "; HttpOnly", "")
		}
		return body
	}))
	noOrigin := simple(before(func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Del("Origin") }))
	anyAddress := func(g *rig) func(http.Handler) http.Handler {
		return before(func(r *http.Request) {
			n := g.transport.n.Add(1)
			r.Header.Set("X-Test-IP", fmt.Sprintf("198.19.%d.%d", n>>8&255, n&255))
		})
	}
	whole := func(_ *http.Request, body string) string { return body }
	return []flaw{
		{"deploy-hsts", "no HSTS", header("Strict-Transport-Security", "max-age=60")},
		{"deploy-clock", "a clock that is an hour off", rewrite("/qr/attempts", `"server_time":"[^"]*"`, `"server_time":"`+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)+`"`)},
		{"deploy-csp", "inline scripts", header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")},
		{"deploy-framing", "frames", header("X-Frame-Options", "SAMEORIGIN")},
		{"deploy-referrer", "referrers", header("Referrer-Policy", "unsafe-url")},
		{"deploy-cache", "caches", header("Cache-Control", "public, max-age=60")},
		{"deploy-cors", "CORS for all", header("Access-Control-Allow-Origin", "*")},
		{"deploy-cookie", "a cookie that scripts read", noFlags},
		{"F1-bound", "an id is all that it takes", unbound},
		{"F2-turning", "codes that do not turn", stuck},
		{"F2-turning", "codes that last", rewrite("/qr/attempts", `"code_ends_at":"[^"]*"`, `"code_ends_at":"2099-01-01T00:00:00Z"`)},
		{"F3-random", "a counter", counting},
		{"F4-chosen", "the client's ticket", chosen},
		{"F5-unsigned", "everybody is Ada", simple(before(func(r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/qr/scan") && !strings.Contains(r.Header.Get("Cookie"), "phone=ada") {
				r.Header.Set("Cookie", "phone=ada/1")
			}
		}))},
		{"F6-leaks", "a token in the code", rewrite("/qr/attempts", `(/Q/[A-Z2-7]{26})`, "$1?token=secret")},
		{"F6-leaks", "the channel in the code", rewrite("/qr/attempts", `"channel":"qr:([A-Z2-7]{26})"(.*)/Q/[A-Z2-7]{26}`, `"channel":"qr:$1"$2/Q/$1`)},
		{"T03-channels", "a key for all channels", func(g *rig) func(http.Handler) http.Handler {
			return rewrite("/qr/attempts", `"channel_token":"[^"]*"`, `"channel_token":"`+g.node.SecretKey+`"`)(g)
		}},
		{"T05-prefetch", "GET scans", getScans},
		{"T05-cross-site", "nobody looks at Origin", noOrigin},
		{"T13-redirects", "next is believed", simple(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if to := r.URL.Query().Get("next"); to != "" && r.URL.Path == "/qr/login" {
					w.Header().Set("Location", to)
					w.WriteHeader(http.StatusFound)
					return
				}
				next.ServeHTTP(w, r)
			})
		})},
		{"T13-redirects", "next is a link", simple(after(func(r *http.Request, _ http.Header, body string) string {
			if strings.HasPrefix(body, "<!doctype") {
				body += `<a href="` + r.URL.Query().Get("next") + `">`
			}
			return body
		}))},
		{"T15-same-answer", "others' attempts are forbidden", telling},
		{"T16-asking", "nobody waits", simple(before(func(r *http.Request) { r.URL.RawQuery = "" }))},
		{"T17-host-keys", "a proxy that adds the key", simple(before(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+hostKey) }))},
		{"F2-reuse", "a code is good twice", simple(again("/qr/scan", whole))},
		{"T01-digits", "a yes is enough", rewrite("/qr/attempts", `"state":"challenge"`, `"state":"approved"`)},
		{"T04-replay", "a yes counts again", simple(again("/decision", func(r *http.Request, body string) string { return r.URL.Path + body }))},
		{"T12-links", "links are codes", noOrigin},
		{"T15-masked", "the whole name", rewrite("/qr/attempts", `"name":"A•••"`, `"name":"Ada Example"`)},
		{"T02-sign-in", "a session that scripts read", noFlags},
		{"T02-sign-in", "two sessions", simple(again("/exchange", func(r *http.Request, body string) string { return r.URL.Path + body }))},
		{"T02-sign-in", "the ticket is pushed", pushing},
		{"T18-second-account", "whoever scans", simple(again("/qr/scan", whole))},
		{"T14-elsewhere", "one site for all", func(g *rig) func(http.Handler) http.Handler {
			return func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/qr/scan" {
						next = g.there
					}
					next.ServeHTTP(w, r)
				})
			}
		}},
		{"T08-guesses", "no rates", anyAddress},
		{"T10-flood", "no rates", anyAddress},
	}
}

// unbound lets whoever knows an attempt's id act as its browser.
func unbound(*rig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var cookies sync.Map
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			parts := strings.Split(r.URL.Path, "/")
			if len(parts) > 3 {
				if c, ok := cookies.Load(parts[3]); ok {
					r.Header.Set("Cookie", c.(string))
				}
			}
			a := record(next, r)
			for _, c := range a.Result().Cookies() {
				cookies.Store(strings.TrimPrefix(c.Name, "__Host-qrl-"), c.Name+"="+c.Value)
			}
			a.send(w, a.Body.String())
		})
	}
}

// stuck shows the first ticket for ever.
func stuck(*rig) func(http.Handler) http.Handler {
	ticket, first := regexp.MustCompile(`/Q/[A-Z2-7]{26}`), ""
	return after(func(r *http.Request, _ http.Header, body string) string {
		if r.URL.Path == "/qr/attempts" {
			first = ticket.FindString(body)
		}
		return ticket.ReplaceAllString(body, first)
	})
}

func counting(*rig) func(http.Handler) http.Handler {
	n := 0
	return after(func(r *http.Request, _ http.Header, body string) string {
		n++
		return regexp.MustCompile(`/Q/[A-Z2-7]{26}`).ReplaceAllString(body, "/Q/"+strings.Repeat("A", 20)+fmt.Sprintf("%06d", n))
	})
}

func chosen(*rig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			var in struct{ Ticket string }
			_ = json.Unmarshal(body, &in)
			a := record(next, r)
			text := a.Body.String()
			if in.Ticket != "" && r.URL.Path == "/qr/attempts" {
				text = regexp.MustCompile(`/Q/[A-Z2-7]{26}`).ReplaceAllString(text, "/Q/"+in.Ticket)
			}
			a.send(w, text)
		})
	}
}

// getScans scans for whoever opens the code's address.
func getScans(*rig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ticket, ok := strings.CutPrefix(strings.ToLower(r.URL.Path), "/q/"); ok {
				scan := httptest.NewRequest("POST", "https://id.test/qr/scan", strings.NewReader(`{"ticket":"`+ticket+`"}`))
				scan.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {"phone=ada/1"}, "X-Test-Ip": {r.Header.Get("X-Test-IP")}}
				record(next, scan)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// telling says which attempts there are.
func telling(*rig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var known sync.Map
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := record(next, r)
			var out struct {
				ID string `json:"attempt_id"`
			}
			if json.Unmarshal(a.Body.Bytes(), &out) == nil && out.ID != "" {
				known.Store(out.ID, true)
			}
			if parts := strings.Split(r.URL.Path, "/"); len(parts) > 3 && a.Code == http.StatusNotFound {
				if _, ok := known.Load(parts[3]); ok {
					a.Code = http.StatusForbidden
				}
			}
			a.send(w, a.Body.String())
		})
	}
}

// pushing tells the channel what was scanned.
func pushing(g *rig) func(http.Handler) http.Handler {
	ff, err := fanfare.New(g.node.URL, g.node.SecretKey)
	return func(next http.Handler) http.Handler {
		channel := ""
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if r.URL.Path == "/qr/scan" && err == nil {
				_, _ = ff.Publish(context.WithoutCancel(r.Context()), channel, string(body), fanfare.Event("scanned"))
			}
			a := record(next, r)
			if r.URL.Path == "/qr/attempts" {
				var out struct{ Channel string }
				_ = json.Unmarshal(a.Body.Bytes(), &out)
				channel = out.Channel
			}
			a.send(w, a.Body.String())
		})
	}
}

// TestTheAuditBites: a good deployment passes every check, and each check finds
// a deployment that is broken in just that way.
func TestTheAuditBites(t *testing.T) {
	g := newRig(t)
	good := g.audit(t)
	g.transport.one.Store(false)
	var ids []string
	for _, f := range good.Findings {
		ids = append(ids, f.ID)
		if f.Verdict != qraudit.Pass {
			t.Errorf("a good deployment: %+v", f)
		}
		if f.Tried == "" || len(f.Against) == 0 {
			t.Errorf("%s does not say what it tries, and against what", f.ID)
		}
	}
	if !good.OK || good.Requests > 400 {
		t.Errorf("ok is %v, after %d requests", good.OK, good.Requests)
	}
	t.Run("plain http", func(t *testing.T) { plainHTTP(t, g) })
	t.Run("what cannot be tried", func(t *testing.T) { notTried(t, g) })
	bitten := map[string]bool{"deploy-https": true} // plainHTTP
	for _, f := range flaws() {
		bitten[f.check] = true
		t.Run(f.check+" "+f.name, func(t *testing.T) {
			g.put(f.spoil(g))
			r := g.audit(t, f.check)
			if got := r.Findings[0]; got.Verdict != qraudit.Fail || got.Remedy == "" || got.Detail == "" || r.OK {
				t.Errorf("not found: %+v", got)
			} else {
				t.Logf("%s", got.Detail)
			}
		})
	}
	for _, id := range ids {
		if !bitten[id] {
			t.Errorf("nobody knows whether %s can fail", id)
		}
	}
}

// plainHTTP: a site that answers without TLS too is found.
func plainHTTP(t *testing.T, g *rig) {
	same := &twin{g.transport}
	r, err := qraudit.Run(t.Context(), qraudit.Options{URL: "id.test/qr/login", Only: []string{"deploy-https"}, Pace: -1, Transport: same})
	if err != nil || r.OK || !strings.Contains(r.Findings[0].Detail, "plain http is answered with status 200") {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = qraudit.Run(t.Context(), qraudit.Options{URL: "http://id.test", Pace: -1, Transport: same})
	if err != nil || r.OK || r.Findings[0].Verdict != qraudit.Fail {
		t.Errorf("%+v, %v", r, err)
	}
}

// twin answers plain http by what https answers.
type twin struct{ base http.RoundTripper }

func (t *twin) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && r.URL.Host == "id.test" {
		r = r.Clone(r.Context())
		r.URL.Scheme = "https"
	}
	return t.base.RoundTrip(r)
}

// notTried: what an audit lacks is told, and is no fault of the site.
func notTried(t *testing.T, g *rig) {
	r, err := qraudit.Run(t.Context(), qraudit.Options{URL: g.url, Pace: -1, Transport: g.transport})
	if err != nil || !r.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, f := range r.Findings {
		if f.Verdict == qraudit.NotTried && !strings.Contains(f.Detail, "needs") && !strings.Contains(f.Detail, "would use up") {
			t.Errorf("%s does not say why it was not tried: %q", f.ID, f.Detail)
		}
	}
	if n := r.Count(qraudit.NotTried); n != 10 {
		t.Errorf("%d checks were not tried", n)
	}
	stale, err := qraudit.Run(t.Context(), qraudit.Options{URL: g.url, Phone: "phone=nobody", Only: []string{"T01-digits"}, Pace: -1, Transport: g.transport})
	if err != nil || stale.Findings[0].Verdict != qraudit.NotTried || !strings.Contains(stale.Findings[0].Detail, "cookie") {
		t.Errorf("a stale cookie: %+v, %v", stale, err)
	}
	for _, bad := range []string{"", "ftp://x", "https://", "https://me:pw@x", "https://x?a=b"} {
		if _, err := qraudit.Run(t.Context(), qraudit.Options{URL: bad}); err == nil || errors.Is(err, qraudit.ErrNotOurs) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := qraudit.Run(t.Context(), qraudit.Options{URL: g.url, Only: []string{"F9"}}); err == nil || !strings.Contains(err.Error(), "F9") {
		t.Errorf("a check that there is not: %v", err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, err := qraudit.Run(t.Context(), qraudit.Options{URL: other.URL, Pace: -1}); !errors.Is(err, qraudit.ErrNotOurs) {
		t.Errorf("another program: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = qraudit.Run(ctx, qraudit.Options{URL: g.url, Pace: -1, Transport: g.transport, OnFinding: func(qraudit.Finding) { stop() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
