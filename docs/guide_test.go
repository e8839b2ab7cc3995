package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

const guide = "guides/qrlogin.md"

// linesOf counts the lines that are not empty.
func linesOf(text string) (n int) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}

// plain is text without what depends on where it stands.
func plain(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestGuide follows the guide: the lines that it shows are those of the two
// small apps, fewer than thirty each; without them the apps work as before, and
// with them somebody signs in with a phone, in real browsers.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	shown := plain(string(text))
	for _, app := range []string{"notes/main.go", "shop.mjs"} {
		_, regions := without(t, filepath.Join("guides", "qrlogin", app))
		n := 0
		for _, r := range regions {
			// Webhooks are for those who want them; TestBackends tries them.
			if strings.Contains(r, "hook") && !strings.Contains(r, "process.env") {
				continue
			}
			n += linesOf(r)
			if !strings.Contains(shown, plain(r)) {
				t.Errorf("%s does not show these lines of %s:\n%s", guide, app, r)
			}
		}
		if n >= 30 || n < 10 {
			t.Errorf("%s needs %d lines", app, n)
		}
		t.Logf("%s needs %d lines", app, n)
	}
	node := brokertest.Start(t)
	browser := chromium(t)
	notes := buildNotes(t)
	t.Run("go", func(t *testing.T) {
		port := freePort(t)
		e := runExample(t, port, []string{"FANFARE_URL=" + node.URL, "FANFARE_SECRET_KEY=" + node.SecretKey, "PUBLIC_URL=http://localhost:" + port}, notes)
		screen, mobile := newTab(t, browser), newTab(t, browser)
		screen.open(e.url + "/")
		screen.until(`document.querySelector('a[href="/login"]')`)
		screen.open(e.url + "/login")
		mobile.open(screen.scan())
		mobile.signIn()
		mobile.click(`[data-decide="approve"]`)
		screen.digits(mobile.read(`document.querySelector("#check")?.textContent`))
		screen.until(`document.body.innerText.includes("Hello, ada")`)
	})
	t.Run("node", func(t *testing.T) {
		port := freePort(t)
		service := startService(t, node, qrlogin.Host{PublicURL: "http://localhost:" + port})
		path, err := exec.LookPath("node")
		if err != nil {
			t.Fatal("this test needs node: apt-get install nodejs")
		}
		e := runExample(t, port, []string{"QR_URL=" + service, "QR_KEY=" + hostKey}, path, filepath.Join("guides", "qrlogin", "shop.mjs"))
		screen, mobile := newTab(t, browser), newTab(t, browser)
		screen.open(e.url + "/")
		screen.until(`document.querySelector("fanfare-qr-login")?.dataset.link === "live"`) // pushed to, from another origin
		mobile.open(screen.scan())
		mobile.signIn()
		mobile.click(`button.button`)
		mobile.click(`[value="approve"]`)
		screen.digits(mobile.read(`document.querySelector(".digits")?.textContent`))
		screen.until(`document.body.innerText.includes("Hello, ada")`)
	})
}

// buildNotes builds the Go app, and the one that it was before.
func buildNotes(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("guides", "qrlogin", "notes", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := without(t, source)
	dir := t.TempDir()
	old, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: old}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{old: []byte(before), overlay: replace} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "notes")
	for _, args := range [][]string{{"vet", "-overlay", overlay, "./guides/qrlogin/notes"}, {"build", "-o", out, "./guides/qrlogin/notes"}} {
		if said, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said)
		}
	}
	return out
}

// chromium starts the browser that all windows share.
func chromium(t *testing.T) context.Context {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU,
			chromedp.Flag("test-third-party-cookie-phaseout", true)) // what the element needs is no cookie of another site
		if os.Getuid() == 0 {
			opts = append(opts, chromedp.NoSandbox) // Chromium's does not start for root
		}
		alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
		t.Cleanup(stop)
		ctx, stop := chromedp.NewContext(alloc)
		t.Cleanup(stop)
		if err := chromedp.Do(ctx); err != nil {
			t.Fatalf("start Chromium: %v", err)
		}
		return ctx
	}
	t.Fatal("this test needs Chromium: apt-get install chromium")
	return nil
}

// tab is a window of another person. For one goroutine.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	parent, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	if err := chromedp.Do(parent); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(parent, 4*time.Minute)
	t.Cleanup(stop)
	return &tab{t, ctx}
}

func (b *tab) open(url string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("open %s: %v", url, err)
	}
}

// until waits until the expression is true, whichever page is there by then.
func (b *tab) until(js string) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+js+")")); err == nil && ok {
			return
		}
	}
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.t.Fatalf("never true: %s\nthe page says: %s", js, text)
}

// read waits until the expression is a text that is not empty.
func (b *tab) read(js string) string {
	b.t.Helper()
	b.until(js)
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](js))
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.until("document.querySelector(`" + selector + "`)?.checkVisibility()")
	b.until("(document.querySelector(`" + selector + "`).click(), true)")
}

func (b *tab) signIn() {
	b.t.Helper()
	b.until(`document.querySelector("[name=password]")`)
	if err := chromedp.Do(b.ctx, chromedp.SendKeys(chromedp.CSS(`[name=user]`), "ada"), chromedp.SendKeys(chromedp.CSS(`[name=password]`), "correct horse")); err != nil {
		b.t.Fatal(err)
	}
	b.click("form button")
}

// digits types what the phone shows.
func (b *tab) digits(d string) {
	b.t.Helper()
	const input = `document.querySelector("fanfare-qr-login").shadowRoot.querySelector("input")`
	b.until(input)
	b.until(`(` + input + `.value = "` + d + `", ` + input + `.form ? ` + input + `.form.requestSubmit() : 0, true)`)
}

// scan reads the code off a picture of the window.
func (b *tab) scan() string {
	b.t.Helper()
	b.until(`(c => c?.complete && c.naturalWidth > 0 && !c.hidden)(document.querySelector("fanfare-qr-login")?.shadowRoot?.querySelector("img"))`)
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.t.TempDir(), "code.png")
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
	out, err := exec.CommandContext(b.ctx, "zbarimg", "--raw", "-q", path).Output()
	if err != nil {
		b.t.Fatalf("no code can be read (is zbar-tools installed?): %v", err)
	}
	return string(bytes.TrimSpace(out))
}
