package main

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// TestSignInByPhone is the whole way in real browsers: the code is read off a
// screenshot, opened on a phone that has to sign in first, and approved.
func TestSignInByPhone(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.likes("light", "no-preference")
	mobile.likes("light", "no-preference")

	screen.open(s.url + "/")
	screen.state("ready")
	code := screen.scan("login")
	if !regexp.MustCompile(`^HTTP://LOCALHOST:\d+/Q/[A-Z2-7]{26}$`).MatchString(code) {
		t.Fatalf("the code says %q", code)
	}
	mobile.open(code)
	mobile.shows("First, sign in on this phone")
	mobile.fits("sign-in")
	mobile.shot("phone-signin")
	if screen.state("ready"); evaluate[string](mobile, `location.search`) != "" {
		t.Error("the ticket went into a query")
	}
	mobile.signIn()
	mobile.state("ask")
	screen.state("scanned")
	screen.shows("Confirm on your phone")
	if text := screen.text(); strings.Contains(text, "Demo User") || !strings.Contains(text, "D•••") {
		t.Errorf("the screen shows more or less than a masked name: %s", text)
	}
	for _, want := range []string{"Sign in to Fanfare Demo", "Chrome on Linux", "127.0.0.1", "seconds ago", "Only go on if you see the code"} {
		mobile.shows(want)
	}
	mobile.fits("approve")
	mobile.shot("phone-ask")
	screen.fits("login")
	screen.shot("login-scanned")

	// A reload of the phone's page does not lose what was scanned.
	mobile.open(code)
	mobile.state("ask")

	mobile.click(`[data-decide="approve"]`)
	screen.state("done") // and on its way to the next page: no time for a picture
	screen.shows("Hello, Demo User")
	screen.shows("QR code, confirmed on Chrome on Linux")
	mobile.state("done")
	mobile.shows("Chrome on Linux is signed in")
	mobile.shot("phone-done")
	screen.until(`document.querySelector("#account").dataset.link === "live"`)
	screen.fits("account")
	screen.shot("account")

	// Nothing of it is in the log.
	ticket := code[strings.LastIndexByte(code, '/')+1:]
	for _, secret := range []string{ticket, testPassword} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(s.log.String(), "path=/Q/-") {
		t.Error("the log has no scrubbed line of the code's path")
	}
}

// TestApproveToPage signs in by the push alone: the page may not ask. It says
// how long after the tap the browser is signed in.
func TestApproveToPage(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	mobile.open(s.url + "/signin")
	mobile.signIn()
	mobile.shows("Hello, Demo User")
	var took []float64
	for range 5 {
		screen.open(s.url + "/login")
		screen.state("ready")
		screen.linked()
		evaluate[bool](screen, `(() => { const real = fetch; window.fetch = (path, init) => init.method === "GET" && /attempts\/[A-Z2-7]+(\?|$)/.test(path) ? Promise.reject(new TypeError("no answer")) : real(path, init); return true; })()`)
		mobile.open(screen.scan("login"))
		mobile.state("ask")
		screen.state("scanned")
		tapped := evaluate[float64](mobile, `(() => { const at = Date.now(); document.querySelector('[data-decide="approve"]').click(); return at; })()`)
		screen.until(`document.querySelector("fanfare-qr-login").dataset.at`)
		took = append(took, evaluate[float64](screen, `Number(document.querySelector("fanfare-qr-login").dataset.at)`)-tapped)
		screen.shows("Hello, Demo User")
		screen.click(`form[action="/signout"] button`)
		screen.shows("Sign in with your phone")
		mobile.state("done")
	}
	slices.Sort(took)
	t.Logf("tap on approve → browser signed in: p50 %.0f ms, all %v", took[2], took)
}

func TestSayNo(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	mobile.click(`[data-decide="reject"]`)
	mobile.state("rejected")
	mobile.shot("phone-rejected")
	screen.state("rejected")
	screen.shot("login-rejected")
	screen.tap(`[data-do="new"]`)
	screen.state("ready")

	// The page that goes away tells the phone.
	mobile.open(screen.scan("login"))
	mobile.state("ask")
	screen.open("about:blank")
	mobile.state("cancelled")
	mobile.shot("phone-cancelled")
	if len(s.app.sessions.list("demo")) != 1 {
		t.Error("somebody besides the phone is signed in")
	}
}

func TestCodesTurnAndEnd(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) {
		o.times = qrlogin.Times{FirstTicket: 4 * time.Second, NextTicket: 4 * time.Second, Rotations: 1, Grace: time.Second, Decide: 4 * time.Second}
	})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	mobile.open(s.url + "/signin")
	mobile.signIn()
	mobile.shows("Hello, Demo User")

	screen.open(s.url + "/login")
	screen.state("ready")
	first := screen.scan("login")
	screen.shows("This code ends in")
	if second := screen.scan("login"); first == second {
		t.Error("the code did not turn")
	}
	screen.state("expired")
	screen.shows("Click for a new code")
	screen.shot("login-expired")
	mobile.open(first)
	mobile.state("gone")
	mobile.shot("phone-gone")

	screen.tap(`[data-do="new"]`)
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.state("ask")
	screen.state("scanned")
	screen.state("expired")
	mobile.state("expired")
}

func TestSecondPhone(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	screen, first, second := desktop(t, browser), phone(t, browser), phone(t, browser)
	for _, m := range []*tab{first, second} {
		m.open(s.url + "/signin")
		m.signIn()
		m.shows("Hello, Demo User")
	}
	screen.open(s.url + "/login")
	screen.state("ready")
	code := screen.scan("login")
	first.open(code)
	first.state("ask")
	screen.state("scanned")
	second.open(code)
	second.state("used")
	second.shot("phone-used")
	first.shows("Somebody else scanned this code too")
	screen.shows("Another phone scanned this code too")
	first.shot("phone-suspicious")
	screen.shot("login-suspicious")
	first.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
}

// TestOtherDeviceHears: an account page that is open on another device of the
// same user tells of the new sign-in at once, and can end it.
func TestOtherDeviceHears(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	tablet, mobile, screen := desktop(t, browser), phone(t, browser), desktop(t, browser)
	tablet.open(s.url + "/signin")
	tablet.signIn()
	tablet.until(`document.querySelector("#account")?.dataset.link === "live"`)
	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	mobile.click(`[data-decide="approve"]`)
	screen.until(`document.querySelector("#account")?.dataset.link === "live"`)
	tablet.shows("New sign-in from Chrome on Linux")
	tablet.until(`document.querySelectorAll("#devices li").length === 3 && document.querySelector(".fresh")`)
	tablet.fits("account")
	tablet.shot("account-news")
	tablet.click("#notme button")
	screen.shows("Sign in with your phone")
	if n := len(s.app.sessions.list("demo")); n != 2 {
		t.Errorf("%d sessions, want the tablet's and the phone's", n)
	}
}

// TestT16NoPushGetsThrough: nothing but plain HTTP gets through; sign-in works all the
// same, by asking.
func TestT16NoPushGetsThrough(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) {
		node := o.mounts["/v1/"]
		o.mounts["/v1/"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/messages" { // the server may publish; nobody hears it
				node.ServeHTTP(w, r)
				return
			}
			http.Error(w, "blocked", http.StatusForbidden)
		})
	})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	screen.state("scanned")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	mobile.state("done")
}

// TestLooks reads the code in light and dark, wide and narrow, and keeps
// pictures of all.
func TestLooks(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) { o.showLink = true })
	browser := chromium(t)
	screen, m := desktop(t, browser), desktop(t, browser)
	m.open(s.url + "/signin")
	m.signIn()
	m.shows("Hello, Demo User")
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"wide-light", "light", 1280, 820}, {"wide-dark", "dark", 1280, 820},
		{"middle-light", "light", 780, 700}, {"narrow-light", "light", 375, 780}, {"narrow-dark", "dark", 375, 780}, {"tiny-dark", "dark", 320, 640},
	} {
		screen.size(look.width, look.height, false, look.scheme)
		m.size(look.width, look.height, false, look.scheme)
		screen.open(s.url + "/login")
		screen.state("ready")
		if code := screen.scan("look-" + look.name); !strings.HasPrefix(code, "HTTP://LOCALHOST") {
			t.Errorf("%s: the code says %q", look.name, code)
		}
		screen.fits(look.name)
		m.open(evaluate[string](screen, `document.querySelector("#link").href`))
		m.state("ask")
		screen.state("scanned")
		m.fits("approve " + look.name)
		m.shot("look-ask-" + look.name)
		screen.shot("look-scanned-" + look.name)
		m.open(s.url + "/")
		m.until(`document.querySelector("#account")?.dataset.link === "live"`)
		m.fits("account " + look.name)
		m.shot("look-account-" + look.name)
	}
	onPhone := phone(t, browser)
	onPhone.open(s.url + "/login")
	onPhone.state("phone")
	onPhone.shot("look-on-a-phone")
	onPhone.tap(`[data-do="new"]`)
	onPhone.state("ready")
}

// TestFanfareElsewhere: the same with a Fanfare that another process runs, so
// of another origin.
func TestFanfareElsewhere(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t)
	s := startSiteWith(t, config{fanfareURL: node.URL, fanfareKey: node.SecretKey})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	screen.linked()
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	screen.until(`document.querySelector("#account").dataset.link === "live"`)
	screen.fits("account")
}

// TestPlainHTTPOnALan: the phone comes over plain http of a network, where
// browsers take a page for unsafe. The computer's own page must not.
func TestPlainHTTPOnALan(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) { o.publicURL = strings.Replace(o.publicURL, "localhost", "lan.test", 1) })
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.app.o.publicURL + "/login")
	screen.state("failed")
	screen.shows("This page has to be opened by https")
	screen.open(s.url + "/login")
	screen.state("ready")
	code := screen.scan("login")
	if !strings.HasPrefix(code, "HTTP://LAN.TEST:") {
		t.Fatalf("the code says %q", code)
	}
	mobile.open(code)
	mobile.signIn()
	mobile.state("ask")
	screen.state("scanned")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	mobile.state("done")
}

// lost is a Fanfare whose pushes all get lost on the way.
type lost struct{ broadcaster }

func (lost) Publish(context.Context, string, any, ...fanfare.PublishOption) (protocol.Published, error) {
	return protocol.Published{}, nil
}

// TestT16PushesAreLost: the connection lives and nothing comes over it. The page
// finds out by itself.
func TestT16PushesAreLost(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) { o.ff = lost{o.ff} })
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	screen.linked()
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	mobile.state("done")
}

// TestT16FanfareDiesBeforeDelivery: the connection is cut and nobody answers
// there any more when the phone says yes. The page signs in all the same.
func TestT16FanfareDiesBeforeDelivery(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t)
	front := newWire(t, strings.TrimPrefix(node.URL, "http://"))
	s := startSiteWith(t, config{fanfareURL: "http://" + front.addr, fanfareKey: node.SecretKey})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	screen.linked()
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	screen.state("scanned")
	front.cut()
	screen.until(`document.querySelector("fanfare-qr-login").dataset.link === "off"`)
	screen.shows("Reconnecting")
	screen.shot("login-reconnecting")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	mobile.state("done")
}
