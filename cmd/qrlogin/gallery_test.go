package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// elementStates are the states of <fanfare-qr-login>, with what they show.
const elementStates = `[
	["loading", {}], ["ready", {}], ["asked", {initial: "A", name: "A•••"}], ["scanned", {initial: "A", name: "A•••"}], ["challenge", {initial: "A", name: "A•••", n: 4}],
	["approved", {}], ["done", {name: "Ada Lovelace"}], ["rejected", {}], ["rejected", {text: "multi_scan"}], ["rejected", {text: "wrong_code"}], ["rejected", {text: "risk"}], ["expired", {}], ["cancelled", {}],
	["failed", {}], ["failed", {title: "busy", text: "busy_text", n: 12}], ["failed", {title: "offline", text: "offline_text"}], ["failed", {title: "https", text: "https_text"}], ["phone", {here: "/signin"}]]`

// gallery shows the element in every state instead of the login page.
const gallery = `(async (lang) => {
	const { Face, style } = await import("/qr/assets/face.js");
	const texts = (await import("/qr/assets/lang/" + lang + ".js")).default.el;
	const sheet = new CSSStyleSheet(); sheet.replaceSync(style);
	const page = new CSSStyleSheet(); page.replaceSync("body{display:block;padding:24px} main{display:grid;grid-template-columns:repeat(auto-fill,292px);gap:28px;justify-content:center;align-items:start;max-width:none;width:auto}");
	document.adoptedStyleSheets = [page];
	const code = document.querySelector("fanfare-qr-login").shadowRoot.querySelector("img").src;
	const main = document.createElement("main"); main.className = "gallery"; main.style.inlineSize = "1250px";
	for (const e of document.body.children) e.style.display = "none"; // an element that is gone ends its code
	document.body.append(main);
	document.documentElement.lang = lang; document.documentElement.dir = texts.dir;
	for (const [state, values] of ` + elementStates + `) {
		const host = document.createElement("div"); host.dataset.state = state; host.style = "";
		main.append(host);
		const root = host.attachShadow({ mode: "open" }); root.adoptedStyleSheets = [sheet];
		const face = new Face(root, texts, () => {});
		face.$("img").src = code;
		face.show(state, values);
		face.button("passkey", face.text("passkey"), state !== "ready");
		face.button("ask", face.text("ask", { name: "A•••" }), state !== "ready");
		face.clock("");
		if (state === "ready") { face.userCode("WDJB-MJHT", "id.example.com/q"); face.clock(face.text("next", { time: "0:42" }), 42, 60); }
		if (state === "challenge") face.$(".wrong").textContent = face.text("digits_wrong", { n: 2 });
		if (state === "scanned") face.alarm(face.text("alarm"));
	}
	await Promise.all([...main.children].map((h) => h.shadowRoot.querySelector("img").decode().catch(() => {})));
	document.activeElement?.blur();
	return main.children.length; })`

// axe runs axe-core and returns what it takes for serious, as text.
func (b *tab) axe() []string {
	b.t.Helper()
	source, err := os.ReadFile("../../sdk/js/node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("axe-core is missing (run .ci/tools): %v", err)
	}
	if !evaluate[bool](b, `Boolean(window.axe)`) {
		evaluate[bool](b, string(source)+`; true`)
	}
	return evaluate[[]string](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary.slice(0, 300))))`)
}

// zbar is what another program's eye reads on a picture: all of its codes.
func zbar(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), need(t, "zbar-tools", "zbarimg"), "--raw", "-q", path).Output()
	if err != nil {
		t.Errorf("no code can be read on %s: %v", path, err)
	}
	return strings.Fields(string(out))
}

// sizes replaces the gallery by codes of many sizes: zbar reads all
// of a picture at once.
const sizes = `((list) => { const ready = [...document.querySelectorAll(".gallery > div")].find((h) => h.dataset.state === "ready");
	const code = ready.shadowRoot.querySelector("img").src;
	document.querySelector(".gallery").replaceChildren(...list.map((px) => { const host = document.createElement("div"); host.style.setProperty("--qr-size", px + "px");
		const root = host.attachShadow({ mode: "open" }); root.adoptedStyleSheets = ready.shadowRoot.adoptedStyleSheets;
		root.innerHTML = ready.shadowRoot.innerHTML; root.querySelector("img").src = code; return host; }));
	return Promise.all([...document.querySelectorAll(".gallery > div")].map((h) => h.shadowRoot.querySelector("img").decode())).then((all) => all.length); })`

// TestEveryCodeIsRead: theme × size × density of the screen.
func TestEveryCodeIsRead(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) { o.times.FirstTicket = 10 * time.Minute })
	screen := newTab(t, chromium(t), 1360, 900, false, "light")
	screen.open(s.url + "/login")
	screen.state("ready")
	evaluate[int](screen, gallery+`("en")`)
	list := []int{120, 150, 180, 240, 292, 360}
	evaluate[int](screen, fmt.Sprintf("%s(%s)", sizes, strings.ReplaceAll(fmt.Sprint(list), " ", ",")))
	for _, scheme := range []string{"light", "dark"} {
		for _, density := range []float64{1, 1.5, 2, 3} {
			screen.do("density", chromedp.EmulateViewport(1360, 900, chromedp.EmulateScale(density)))
			screen.likes(scheme, "reduce")
			codes := zbar(t, screen.shot(fmt.Sprintf("sizes-%s-%g", scheme, density)))
			if len(codes) != len(list) || slices.ContainsFunc(codes, func(c string) bool { return c != codes[0] }) || !strings.HasPrefix(codes[0], "HTTP://LOCALHOST") {
				t.Errorf("%s, %g pixels each: %q, want %d times the same", scheme, density, codes, len(list))
			}
		}
	}
}

// TestEveryStateLooksRight shows the element and the phone's page in each
// state, in light and dark: axe-core finds nothing serious, and the code can
// be read. The pictures are for people to look at.
func TestEveryStateLooksRight(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *appOptions) { o.times.FirstTicket = 10 * time.Minute })
	browser := chromium(t)
	screen := newTab(t, browser, 1360, 900, false, "light")
	for _, look := range []struct{ lang, scheme string }{{"en", "light"}, {"en", "dark"}, {"ar", "light"}, {"de", "dark"}} {
		screen.likes(look.scheme, "reduce")
		screen.open(s.url + "/login")
		screen.state("ready")
		if n := evaluate[int](screen, gallery+`("`+look.lang+`")`); n < 15 {
			t.Fatalf("only %d states", n)
		}
		for _, fault := range screen.axe() {
			t.Errorf("the element, %s, %s: %s", look.lang, look.scheme, fault)
		}
		path := screen.shot("states-" + look.lang + "-" + look.scheme)
		if codes := zbar(t, path); len(codes) != 1 || !strings.HasPrefix(codes[0], "HTTP://LOCALHOST") {
			t.Errorf("%s, %s: of all states %q can be read, want the code of one", look.lang, look.scheme, codes)
		}
		if out := evaluate[[]string](screen, `[...document.querySelectorAll(".gallery > div")].filter(h => [...h.shadowRoot.querySelectorAll(".plate *, .box > *")].some(e => e.getClientRects().length && !e.closest(".unseen") && (e.getBoundingClientRect().right > h.getBoundingClientRect().right + 1 || e.getBoundingClientRect().left < h.getBoundingClientRect().left - 1))).map(h => h.dataset.state)`); len(out) > 0 {
			t.Errorf("%s: sticks out: %v", look.lang, out)
		}
	}
	mobile := phone(t, browser)
	mobile.open(s.url + "/q/")
	mobile.signIn()
	mobile.state("type")
	for _, scheme := range []string{"light", "dark"} {
		mobile.likes(scheme, "reduce")
		views := evaluate[[]string](mobile, `[...document.querySelectorAll("[data-view]")].map(v => v.dataset.view)`)
		for _, view := range views {
			evaluate[bool](mobile, fmt.Sprintf(`(() => { const root = document.querySelector("#phone"); root.dataset.state = %[1]q;
				for (const v of root.querySelectorAll("[data-view]")) v.hidden = v.dataset.view !== %[1]q;
				const set = (id, text) => { root.querySelector("#" + id).textContent = text; };
				set("label", "Firefox on Windows"); set("known", "New: you never signed in from it"); root.querySelector("#known").className = "caution"; set("started", "12 seconds ago"); set("place", "Lyon, France, 5,400 km away"); set("network", "Not the same as this phone"); set("ip", "203.0.113.7"); set("check", "4711"); set("where", "Firefox on Windows is signed in."); set("left", "You have 1:48 to decide."); set("left2", "1:12"); set("remedy", "Check the network, then try again.");
				root.querySelector("#canask").hidden = false; root.querySelector("#alarm").hidden = root.querySelector("#unverified").hidden = true; return true; })()`, view))
			for _, fault := range mobile.axe() {
				t.Errorf("the phone, %s, %s: %s", view, scheme, fault)
			}
			if view == "ask" || view == "challenge" || view == "type" || view == "linked" || view == "done" {
				mobile.shot("phone-" + view + "-" + scheme)
			}
		}
	}
	for _, path := range []string{"/", "/funnel", "/signin"} {
		mobile.open(s.url + path)
		mobile.shows("Fanfare Demo")
		for _, fault := range mobile.axe() {
			t.Errorf("%s: %s", path, fault)
		}
		mobile.shot("phone-page" + strings.ReplaceAll(path, "/", "-"))
	}
}
