package dashboard_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is one tab of a real Chromium. Its methods fail the test; they are
// for the test's goroutine only. It lives as long as the test.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	said []string // what the page put on the console as an error
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	opts := chromedp.DefaultExecAllocatorOptions[:]
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's does not start for root
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	first, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	if err := chromedp.Do(first); err != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", err)
	}
	ctx, stop := context.WithTimeout(first, 3*time.Minute)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
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
	return b
}

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\nthe page says: %s", what, err, b.text())
	}
}

func (b *browser) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	return text
}

func evaluate[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// shows waits until the page has the text.
func (b *browser) shows(text string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 30*time.Second)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.PollFunction[bool](`t => document.body.innerText.includes(t)`, chromedp.WithPollingArgs(text), chromedp.WithPollingInterval(20*time.Millisecond))); err != nil {
		b.t.Fatalf("the page never says %q: %v\nit says: %s", text, err, b.text())
	}
}

// click clicks the button or link with the text, as a person sees it.
func (b *browser) click(label string) {
	b.t.Helper()
	b.do("click "+label, chromedp.Click(`//*[self::button or self::a][normalize-space(.)="`+label+`"]`))
}

func (b *browser) look(scheme string, width, height int64) {
	b.t.Helper()
	b.do("look", chromedp.EmulateViewport(width, height), func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
}

// shot keeps a picture of the page for people, in a folder that git ignores.
func (b *browser) shot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("screenshot: %v", err)
	}
	dir := filepath.Join("..", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dashboard-"+name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fits checks that nothing of the page is wider than the window.
func (b *browser) fits() {
	b.t.Helper()
	if wide := evaluate[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		b.t.Errorf("the page is %d px wider than the window", wide)
	}
}

// named checks that everything that a person can operate has a name for
// screen readers, and that all ids are single.
func (b *browser) named() {
	b.t.Helper()
	const js = `[...document.querySelectorAll("button,a,input,select,textarea,[tabindex='0']")]
		.filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() && !e.matches("input,select,textarea,ol") || e.labels?.length))
		.map(e => e.outerHTML.slice(0, 120))
		.concat([...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i))`
	if nameless := evaluate[[]string](b, js); len(nameless) > 0 {
		b.t.Errorf("no name for screen readers, or an id twice: %q", nameless)
	}
}

// quiet checks that the page put no error on the console but those that the
// test expects: the browser itself reports each answer of 400 and more there.
func (b *browser) quiet(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, line := range b.said {
		for _, e := range expected {
			if strings.Contains(line, e) {
				continue next
			}
		}
		b.t.Errorf("the console says: %s", line)
	}
}

func TestSignInListenPublishSignOut(t *testing.T) {
	f, b := newFake(t), newBrowser(t)
	b.look("light", 1200, 900)
	b.do("open the link", chromedp.Navigate(f.URL+"/dashboard/#code=good"))
	b.shows("demo page")
	if got := evaluate[string](b, `location.href`); got != f.URL+"/dashboard/" {
		t.Errorf("the code is still in the address: %s", got)
	}
	b.named()
	b.fits()

	b.click("Listen")
	b.shows("Listening to orders:42")
	b.click("Publish")
	b.shows("Or publish from a server")
	b.shot("light-refused")
	b.click("Let this page publish for an hour")
	b.shows("Published as m1")
	b.shows(`"hello": "world"`)
	b.shot("light")
	b.look("dark", 1200, 900)
	b.shot("dark")
	b.look("light", 360, 740)
	b.fits()
	b.shot("narrow")
	b.look("dark", 1200, 900)

	b.click("<b>shop</b>")
	b.shows("shop2")
	b.shows("Not listening")
	b.click("Sign out")
	b.shows("You are signed out")
	if got := evaluate[string](b, `document.activeElement.tagName`); got != "H1" {
		t.Errorf("the focus is on %s, not on the heading that says what happened", got)
	}
	b.quiet("403")
}

func TestLinkUsedUp(t *testing.T) {
	f, b := newFake(t), newBrowser(t)
	b.look("dark", 900, 700)
	b.do("open the link", chromedp.Navigate(f.URL+"/dashboard/#code=stale"))
	b.shows("This link cannot be used")
	b.shows("fanfare link")
	b.named()
	b.shot("used-up")
	b.look("light", 360, 640)
	b.fits()
	b.do("paste the link", chromedp.SendKeys(`#link`, f.URL+"/dashboard/#code=good\r"))
	b.shows("Lines to copy")
	b.do("open a stale link with a live session", chromedp.Navigate(f.URL+"/dashboard/#code=stale"))
	b.shows("Lines to copy")
	b.quiet("401")
}

func TestSessionEnds(t *testing.T) {
	f, b := newFake(t), newBrowser(t)
	b.do("open the link", chromedp.Navigate(f.URL+"/dashboard/#code=good"))
	b.shows("Lines to copy")
	f.set(func() { f.session = false })
	b.click("<b>shop</b>")
	b.shows("Your session has ended")
	b.shows("fanfare link")
	b.shot("ended")
	b.quiet("401")
}

func TestServerOddOrGone(t *testing.T) {
	f, b := newFake(t), newBrowser(t)
	f.set(func() { f.odd = true })
	b.do("open", chromedp.Navigate(f.URL+"/dashboard/"))
	b.shows("That went wrong")
	f.set(func() { f.odd = false })
	b.click("Try again")
	b.shows("Sign in")
	b.quiet("401")
	f.CloseClientConnections()
	f.Listener.Close()
	b.do("paste a code", chromedp.SendKeys(`#link`, "good\r"))
	b.shows("The server does not answer")
	b.shot("unreachable")
}

// TestKeyboard walks the page by Tab alone: everything that can be operated is
// reached, in the order in which it is read, and Ctrl+Enter publishes.
func TestKeyboard(t *testing.T) {
	f, b := newFake(t), newBrowser(t)
	b.do("open the link", chromedp.Navigate(f.URL+"/dashboard/#code=good"))
	b.shows("demo page")
	var seen []string
	for range 12 {
		b.do("Tab", chromedp.KeyEvent("\t"))
		seen = append(seen, evaluate[string](b, `document.activeElement.id || document.activeElement.textContent.trim()`))
	}
	want := []string{"Skip to the app", "Sign out", "demo", "<b>shop</b>", "Copy", "channel", "livekey", "Listen", "Messages, newest first", "data", "event", "Publish"}
	want[8] = "Listen to a channel to see its messages arrive."
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("Tab goes %q, want %q", seen, want)
		}
	}
	b.do("type", chromedp.Clear(`#data`), chromedp.SendKeys(`#data`, "not json"))
	b.click("Publish")
	if evaluate[bool](b, `document.querySelector("#data").checkValidity()`) {
		t.Error("data that is no JSON is not marked")
	}
	b.quiet()
}
