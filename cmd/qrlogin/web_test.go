package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	pages "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

const testPassword = "correct horse"

// cheap is a password's cost where nobody guesses: the real one is half a
// second of each sign-in under the race detector.
func cheap() *argon2id.Params {
	return &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// site is the whole of qrlogin on a free port, with an embedded Fanfare.
type site struct {
	t   *testing.T
	url string
	app *app
	log *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func startSite(t *testing.T, change ...func(*appOptions)) *site {
	t.Helper()
	return startSiteWith(t, config{}, change...)
}

func startSiteWith(t *testing.T, c config, change ...func(*appOptions)) *site {
	t.Helper()
	s := &site{t: t, log: &safeBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	c.data, c.demoPassword = t.TempDir(), testPassword
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = localURL(listener.Addr())
	list, _, err := openUsers(c.data, c.demoPassword, cheap())
	if err != nil {
		t.Fatal(err)
	}
	known, err := openBrowsers(c.data)
	if err != nil {
		t.Fatal(err)
	}
	src, err := openSource(t.Context(), c, s.url, log)
	if err != nil {
		t.Fatal(err)
	}
	apps, keys, grants, err := openApps(c, src, log)
	if err != nil {
		t.Fatal(err)
	}
	plenty := qrlogin.Rate{PerMinute: 100_000, Burst: 100_000}
	o := appOptions{
		ff: src.client, fanfareURL: src.browserURL, mounts: src.mounts, users: list, browsers: known, publicURL: s.url, site: "Fanfare Demo", policy: qrlogin.Never, log: log,
		clients: apps, keys: keys, grants: grants,
		limits: qrlogin.Limits{Create: plenty, Scan: plenty, Decide: plenty, Exchange: plenty, Read: plenty},
	}
	for _, f := range change {
		f(&o)
	}
	if s.app, err = newApp(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- work(ctx, listener, s.app, src, log) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the site stopped with %v", err)
		}
		if err := src.close(); err != nil {
			t.Errorf("Fanfare closed with %v", err)
		}
		if t.Failed() {
			t.Logf("the site's log:\n%s", s.log)
		}
	})
	return s
}

// tab is one window with cookies of its own. For one goroutine.
type tab struct {
	t    *testing.T
	ctx  context.Context
	mu   sync.Mutex
	said []string // errors on the console
}

// newTab opens a window as of another person: a context of its own.
func newTab(t *testing.T, browser context.Context, width, height int64, mobile bool, scheme string) *tab {
	t.Helper()
	parent, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	if err := chromedp.Do(parent); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(parent, 5*time.Minute)
	b := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError {
				b.mu.Lock()
				b.said = append(b.said, m.Text)
				b.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	b.size(width, height, mobile, scheme)
	return b
}

func (b *tab) size(width, height int64, mobile bool, scheme string) {
	b.t.Helper()
	opts := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if mobile {
		opts = []chromedp.EmulateViewportOption{chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait}
	}
	b.do("size", chromedp.EmulateViewport(width, height, opts...))
	b.likes(scheme, "reduce")
}

// likes is what the person prefers. Motion is "reduce" or "no-preference": what
// moves costs a machine without a graphics card much, so few tests have it.
func (b *tab) likes(scheme, motion string) {
	b.t.Helper()
	b.do("likes", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
		}})
		return chromedp.Void{}, err
	})
}

func desktop(t *testing.T, browser context.Context) *tab {
	return newTab(t, browser, 1200, 800, false, "light")
}

func phone(t *testing.T, browser context.Context) *tab {
	return newTab(t, browser, 390, 780, true, "light")
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\nthe page says: %s\nits console: %q", what, err, b.text(), b.console())
	}
}

func (b *tab) open(url string) { b.t.Helper(); b.do("open "+url, chromedp.Navigate(url)) }

func (b *tab) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText + "\n" + (document.querySelector("fanfare-qr-login")?.shadowRoot?.querySelector(".box")?.innerText ?? "")`))
	return text
}

func (b *tab) console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said
}

func evaluate[T any](b *tab, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits until the expression is true. It may be asked of several pages
// in turn, as a page may go to another meanwhile. The page looks by itself,
// often; from here it is asked anew now and then.
func (b *tab) until(js string) {
	b.t.Helper()
	look := `new Promise((done) => { const end = Date.now() + 2000, look = () => {
		let ok = false; try { ok = Boolean(` + js + `); } catch {}
		if (ok || Date.now() > end) done(ok); else setTimeout(look, 15); }; look(); })`
	tick := time.NewTicker(10 * time.Millisecond) // for a page that is not there yet
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise))
		if cancel(); err == nil && ok {
			return
		}
	}
	b.t.Fatalf("never true: %s\nthe page says: %s\nits console: %q", js, b.text(), b.console())
}

// state waits for a state of the login or the approve page.
func (b *tab) state(name string) {
	b.t.Helper()
	b.until(`document.querySelector("fanfare-qr-login, main")?.dataset.state === "` + name + `" || document.querySelector("fanfare-qr-login")?.dataset.state === "` + name + `"`)
}

func (b *tab) shows(text string) {
	b.t.Helper()
	b.until(`document.body?.innerText.includes("` + text + `") || document.querySelector("fanfare-qr-login")?.shadowRoot?.querySelector(".box")?.innerText.includes("` + text + `")`)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// tap clicks inside of the login element, as a person does.
func (b *tab) tap(selector string) {
	b.t.Helper()
	b.until(`document.querySelector("fanfare-qr-login").shadowRoot.querySelector(` + "`" + selector + "`" + `)`)
	evaluate[bool](b, `document.querySelector("fanfare-qr-login").shadowRoot.querySelector(`+"`"+selector+"`"+`).click() ?? true`)
}

// linked waits until the login element listens.
func (b *tab) linked() {
	b.t.Helper()
	b.until(`document.querySelector("fanfare-qr-login")?.dataset.link === "live"`)
}

// signIn fills the sign-in form that is on the page.
func (b *tab) signIn() {
	b.t.Helper()
	b.shows("Password")
	b.do("sign in", chromedp.SendKeys(chromedp.CSS(`[name=user]`), "demo"), chromedp.SendKeys(chromedp.CSS(`[name=password]`), testPassword))
	b.click("form.fields button")
}

// shot keeps a picture of the page for people, in a folder that git ignores.
func (b *tab) shot(name string) string {
	b.t.Helper()
	// What moves has to come to rest, or the picture shows the middle of it.
	evaluate[bool](b, `Promise.allSettled([document, document.querySelector("fanfare-qr-login")?.shadowRoot].flatMap(root => root?.getAnimations() ?? []).filter(a => a.effect.getTiming().iterations !== Infinity).map(a => a.finished)).then(() => true)`)
	// A browser that is busy with other tabs may forget to draw one: asked again,
	// it does.
	var png []byte
	var err error
	for range 3 {
		ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
		png, err = chromedp.Run(ctx, picture)
		if cancel(); err == nil {
			break
		}
	}
	if err != nil {
		b.t.Fatalf("screenshot: %v", err)
	}
	// Tests that run at once, of one site each, have pictures of one name.
	dir := filepath.Join("..", "..", "screenshots", "qrlogin", filepath.FromSlash(b.t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(dir, name+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// picture is the whole page, beyond the window too.
func picture(ctx context.Context, t *chromedp.Target) ([]byte, error) {
	yes := true
	r, err := cdp.Call(ctx, t, pages.CaptureScreenshot, pages.CaptureScreenshotParams{CaptureBeyondViewport: &yes, OptimizeForSpeed: &yes})
	if err != nil {
		return nil, err
	}
	return r.Data, nil
}

// scan reads the code off the screen, as another program's eye sees it.
func (b *tab) scan(name string) string {
	b.t.Helper()
	b.until(`(c => c?.complete && c.naturalWidth > 0 && !c.hidden)(document.querySelector("fanfare-qr-login")?.shadowRoot?.querySelector("img"))`)
	out, err := exec.CommandContext(b.ctx, need(b.t, "zbar-tools", "zbarimg"), "--raw", "-q", b.shot(name)).Output()
	if err != nil {
		b.t.Fatalf("no code can be read on %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// fits checks that nothing is wider than the window, all has a name, and the
// console is clean.
func (b *tab) fits(name string) {
	b.t.Helper()
	if wide := evaluate[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		b.t.Errorf("%s is %d px wider than the window", name, wide)
	}
	// A card that clips hides it from the scroll width.
	if out := evaluate[[]string](b, `[...document.querySelectorAll("main *:not(.unseen)")].filter(e => e.getClientRects().length && e.getBoundingClientRect().right > document.querySelector("main").getBoundingClientRect().right).map(e => e.outerHTML.slice(0, 90))`); len(out) > 0 {
		b.t.Errorf("%s: sticks out of its card: %q", name, out)
	}
	if bad := evaluate[[]string](b, `[...document.querySelectorAll("button,a,input:not([type=hidden])")].filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)`); len(bad) > 0 {
		b.t.Errorf("%s: no name for screen readers: %q", name, bad)
	}
	for _, line := range b.console() {
		if !strings.Contains(line, "the server responded with a status of 4") {
			b.t.Errorf("%s: the console says %q", name, line)
		}
	}
}
