package main

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browsing is the one browser of all tests. The first that asks starts it, and
// TestMain ends it. Each tab is of another person: they share nothing.
type browsing struct {
	mu   sync.Mutex
	ctx  context.Context
	stop func()
}

var shared browsing

// chromium is the browser that all tabs share. One that died is started anew.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := need(t, "chromium", "chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.ctx == nil || shared.ctx.Err() != nil {
		if err := shared.start(path); err != nil {
			t.Fatalf("start Chromium (apt-get install chromium): %v", err)
		}
	}
	return shared.ctx
}

func (b *browsing) start(path string) error {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.DisableGPU, chromedp.Flag("test-third-party-cookie-phaseout", true), // as browsers do, or will
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP lan.test 127.0.0.1")) // a name that browsers do not take for this computer
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's does not start for root
	}
	alloc, free := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, leave := chromedp.NewContext(alloc)
	if err := chromedp.Do(ctx); err != nil {
		leave()
		free()
		return err
	}
	if b.stop != nil {
		b.stop() // of the one that died
	}
	b.ctx, b.stop = ctx, func() { leave(); free() }
	return nil
}

// end ends the browser, after all tests.
func (b *browsing) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
	}
}

// need finds a program, or says what to install.
func need(t *testing.T, pkg string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("this test needs %s: apt-get install %s", names[0], pkg)
	return ""
}
