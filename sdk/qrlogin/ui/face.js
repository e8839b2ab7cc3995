// The face of <fanfare-qr-login>: what each state looks like. It knows texts and
// shapes, nothing of attempts.

const icons = {
  check: ["good", "m15 24.5 6.4 6.5L33.5 18"],
  cross: ["bad", "m17 17 14 14M31 17 17 31"],
  clock: ["", "M24 13v11.5l7.5 4.5"],
  warn: ["warn", "M24 13.5v13M24 33.4v.2"],
};

// state → [icon, title, text, [action, label, looks like a button]…]
const views = {
  loading: ["spinner", "loading"],
  asked: ["avatar", "asked", "asked_text", ["code", "use_code"]],
  scanned: ["avatar", "scanned", "scanned_by", ["new", "not_you"]],
  challenge: ["avatar", "digits", "digits_text"],
  approved: ["spinner", "approved", "approved_text"],
  done: ["check", "done", "done_text"],
  rejected: ["cross", "rejected", "rejected_text", ["new", "new_code", 1]],
  expired: ["clock", "expired", "", ["new", "fresh", 1]],
  cancelled: ["cross", "cancelled", "", ["new", "new_code", 1]],
  failed: ["warn", "failed", "failed_text", ["new", "again", 1]],
  phone: ["", "phone", "phone_text", ["here", "phone_here", 1], ["new", "phone_anyway"]],
};

const svg = (inner, more) => `<svg ${more} aria-hidden="true">${inner}</svg>`;

const frame = `
<slot name="logo"></slot>
<div class="plate" part="plate"><img part="code" width="260" height="260" hidden><div class="view" part="view"></div></div>
<p class="alert" part="alert" role="alert" hidden></p>
<p class="clock" part="clock">${svg('<circle cx="10" cy="10" r="8"/><circle class="arc" cx="10" cy="10" r="8" pathLength="100"/>', 'class="ring" viewBox="0 0 20 20"')}<span></span></p>
<p class="type" part="user-code" hidden></p>
<div class="more" part="more"><button type="button" data-do="ask" part="button" hidden></button><button type="button" data-do="passkey" part="button" hidden></button></div>
<slot name="footer"></slot>
<p class="unseen" role="status" aria-live="polite"></p>`;

/** Write text into el, with some of its {words} as elements. */
function fill(el, text, parts) {
  el.replaceChildren(...text.split(/(\{\w+\})/).map((word) => parts[word.slice(1, -1)] ?? word));
}

export class Face {
  /** root is a shadow root; t the texts; act(name, value) what people do. */
  constructor(root, t, act) {
    this.t = t;
    this.box = document.createElement("div");
    this.box.className = "box";
    this.box.setAttribute("part", "box");
    this.box.dir = t.dir;
    this.box.innerHTML = frame; // our own constant
    root.replaceChildren(this.box);
    this.$ = (q) => this.box.querySelector(q);
    this.$("img").alt = t.code_alt;
    this.box.addEventListener("click", (e) => {
      const b = e.target.closest("[data-do]");
      if (b) act(b.dataset.do);
    });
    this.box.addEventListener("submit", (e) => {
      e.preventDefault();
      act("digits", this.$("input").value);
    });
  }

  text(key, values = {}) {
    return (this.t[key] ?? "").replace(/\{(\w+)\}/g, (all, k) => values[k] ?? all);
  }

  /** Show a state. v: {name, initial, n, title, text, here} */
  show(state, v = {}) {
    const [icon, title, text, ...actions] = views[state] ?? [];
    const view = this.$(".view");
    const had = view.contains(view.getRootNode().activeElement);
    view.hidden = !views[state];
    const say = [v.title ? this.text(v.title, v) : this.text(title, v), this.text(v.text || text, v)];
    view.innerHTML = // texts come below, as text
      icon === "spinner" ? '<span class="spinner" aria-hidden="true"></span>'
      : icon === "avatar" ? '<span class="avatar" aria-hidden="true"></span>'
      : icons[icon] ? svg(`<circle cx="24" cy="24" r="21" pathLength="100"/><path d="${icons[icon][1]}" pathLength="100"/>`, `class="sign ${icons[icon][0]}" viewBox="0 0 48 48"`) : "";
    if (icon === "avatar") view.firstChild.textContent = v.initial ?? "?";
    if (!views[state]) say[0] = this.text("ready");
    else {
      view.append(this.make("p", "big", say[0]));
      if (say[1]) view.append(this.make("p", "", say[1]));
    }
    if (state === "challenge") view.append(...this.digits(v.n));
    for (const [name, label, looks] of actions) {
      if (name === "here" && !v.here) continue;
      const b = this.make("button", looks ? "button" : "link", this.text(label, v));
      b.type = "button";
      b.dataset.do = name;
      b.setAttribute("part", looks ? "button" : "link");
      view.append(b);
    }
    this.$("img").hidden = state !== "ready" && state !== "expired";
    if (state !== "loading") this.$(".unseen").textContent = say.join(". ");
    if (state === "challenge") view.querySelector("input").focus();
    else if (had) view.querySelector("button")?.focus(); // who used the keyboard stays in here
  }

  make(tag, className, text) {
    const el = document.createElement(tag);
    el.className = className;
    el.textContent = text;
    return el;
  }

  digits(n) {
    const form = document.createElement("form");
    form.innerHTML = '<input type="text" inputmode="numeric" pattern="[0-9]*" autocomplete="one-time-code" required>';
    const input = form.firstChild;
    input.maxLength = n;
    input.size = n;
    input.setAttribute("aria-label", this.text("digits_label"));
    input.addEventListener("input", () => {
      input.value = input.value.replace(/[٠-٩۰-۹]/g, (d) => d.charCodeAt(0) & 15).replace(/\D/g, "");
      if (input.value.length === n) form.requestSubmit();
    });
    const wrong = this.make("p", "wrong", "");
    wrong.setAttribute("role", "alert");
    return [form, wrong];
  }

  wrong(n) {
    const input = this.$("input");
    input.value = "";
    input.focus();
    this.$(".wrong").textContent = this.text("digits_wrong", { n });
  }

  /** The code that is typed where none is scanned; letters one by one for those who listen. */
  userCode(code, url) {
    const p = this.$(".type");
    p.hidden = !code;
    if (!code) return;
    const c = this.make("b", "", code);
    c.setAttribute("role", "text");
    c.setAttribute("aria-label", [...code.replace("-", ",")].join(" "));
    c.dir = "ltr";
    const u = this.make("bdi", "", url);
    fill(p, this.text("type"), { code: c, url: u });
  }

  alarm(text) {
    this.$(".alert").hidden = !text;
    this.$(".alert").textContent = text ?? "";
  }

  /** The one clock: left of span in ms, or only words. */
  clock(text, left, span) {
    const s = this.$(".clock span");
    if (s.textContent !== text) s.textContent = text;
    this.$(".ring").toggleAttribute("hidden", left === undefined);
    if (left !== undefined) this.$(".arc").setAttribute("stroke-dashoffset", String(100 - (100 * left) / (span || 1)));
  }

  button(name, label, hidden) {
    const b = this.$(`.more [data-do=${name}]`);
    b.textContent = label;
    b.hidden = hidden;
  }
}

export const style = `
:host { display: inline-block; inline-size: var(--qr-size, 292px); max-inline-size: 100%; color-scheme: light dark;
  --card: light-dark(#fffefb, #1f1c19); --sunk: light-dark(#f3eee6, #292521); --line: light-dark(#e5ddd1, #393430); --ink: light-dark(#211d19, #f1ebe3); --soft: light-dark(#6a6159, #afa59a);
  --accent: var(--qr-accent, light-dark(#a84a14, #f0985a)); --accent-ink: var(--qr-accent-ink, light-dark(#fff, #241303)); --halo: light-dark(#f8e6d8, #40291a);
  --good: light-dark(#1f7a4d, #66c795); --bad: light-dark(#b3261e, #f2857c); --warn: light-dark(#8f5a00, #efbd62); --warn-soft: light-dark(#fbefd6, #3a2e18);
  color: var(--ink); font: 16px/1.5 var(--qr-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif); }
:host([theme=light]) { color-scheme: light; } :host([theme=dark]) { color-scheme: dark; }
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
p { margin: 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 6px; }
.box { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; justify-items: center; text-align: center; }
.plate { position: relative; overflow: clip; inline-size: 100%; min-block-size: min(var(--qr-size, 292px), 100cqw, 292px); aspect-ratio: 1; border-radius: 20px; background: var(--sunk); border: 1px solid var(--line); display: grid; place-items: center; }
:host([data-state=ready]) .plate { background: #fff; } /* white in both themes: readers fail on inverted codes */
.plate > * { grid-area: 1 / 1; }
img { inline-size: 100%; block-size: 100%; display: block; border-radius: 19px; animation: appear .25s ease-out; }
:host([data-state=expired]) img { filter: blur(7px); opacity: .13; }
.view { position: relative; display: grid; gap: 9px; justify-items: center; padding: 16px; text-wrap: balance; animation: appear .25s ease-out; }
.view p:not(.big, .wrong) { color: var(--soft); }
.big { font-size: 1.1875rem; font-weight: 650; letter-spacing: -.01em; line-height: 1.3; }
.clock { min-block-size: 24px; display: flex; align-items: center; gap: 8px; color: var(--soft); font-size: .9375rem; font-variant-numeric: tabular-nums; }
.ring { inline-size: 18px; block-size: 18px; transform: rotate(-90deg) scaleY(-1); fill: none; stroke-width: 2.6; stroke: var(--line); }
.arc { stroke: var(--accent); stroke-dasharray: 100; stroke-linecap: round; }
.type { color: var(--soft); font-size: .875rem; text-wrap: balance; } .type b { color: var(--ink); font-family: ui-monospace, monospace; letter-spacing: .04em; white-space: nowrap; unicode-bidi: isolate; } .type bdi { color: var(--ink); }
.avatar { inline-size: 68px; block-size: 68px; border-radius: 50%; display: grid; place-items: center; background: var(--accent); color: var(--accent-ink); font-size: 1.8rem; font-weight: 650; box-shadow: 0 0 0 6px var(--halo); margin: 4px; animation: breathe 2.4s ease-in-out infinite; }
:host([data-state=challenge]) .avatar { display: none; }
button { font: inherit; cursor: pointer; }
.button, .more button { border: 1px solid transparent; border-radius: 14px; min-block-size: 46px; padding: 8px 20px; font-weight: 600; line-height: 1.25; background: var(--accent); color: var(--accent-ink); }
.more { display: grid; gap: 8px; inline-size: 100%; } .more:not(:has(:not([hidden]))) { display: none; }
.more button { background: transparent; color: var(--ink); border-color: var(--line); }
.button:hover { filter: brightness(1.07); } .more button:hover { border-color: var(--accent); }
.link { border: 0; background: none; font-size: .9375rem; color: var(--accent); text-decoration: underline; text-underline-offset: 3px; padding: 6px 8px; min-block-size: 32px; }
form { margin: 4px 0 0; }
input { font: 650 1.9rem/1 ui-monospace, monospace; letter-spacing: .3em; text-indent: .3em; text-align: center; direction: ltr; inline-size: 7em; max-inline-size: 100%; min-block-size: 60px; color: var(--ink); background: var(--card); border: 1px solid var(--soft); border-radius: 14px; }
.wrong { color: var(--bad); font-size: .9375rem; min-block-size: 1.5em; }
.alert { background: var(--warn-soft); color: var(--warn); border-radius: 12px; padding: 10px 14px; font-size: .9375rem; text-wrap: pretty; }
.sign { inline-size: 60px; block-size: 60px; fill: none; stroke: var(--soft); stroke-width: 3; stroke-linecap: round; stroke-linejoin: round; }
.sign circle { opacity: .35; } .sign path { stroke-dasharray: 100; animation: draw .5s .1s ease-out backwards; }
.good { stroke: var(--good); } .bad { stroke: var(--bad); } .warn { stroke: var(--warn); }
.spinner { inline-size: 36px; block-size: 36px; border-radius: 50%; border: 3px solid var(--line); border-block-start-color: var(--accent); animation: turn .9s linear infinite; }
.unseen { position: absolute; inline-size: 1px; block-size: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@keyframes appear { from { opacity: 0; transform: scale(.985); } }
@keyframes draw { from { stroke-dashoffset: 100; } }
@keyframes turn { to { transform: rotate(1turn); } }
@keyframes breathe { 50% { box-shadow: 0 0 0 11px var(--halo); } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } .spinner { border-style: dotted; } }
@media (forced-colors: active) { .plate, .button, .more button, input { border: 1px solid; } img { forced-color-adjust: none; } }
`;
