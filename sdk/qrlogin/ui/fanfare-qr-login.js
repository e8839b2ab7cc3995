// <fanfare-qr-login>: a QR code that signs a browser in when a phone has
// confirmed. It draws the code, follows the attempt, and fetches the session.
// The login code (PKCE verifier) stays in here. No dependencies.
//
// Attributes: src ("/qr"), lang, theme (light, dark), size (CSS px), password and
// passkey (paths), next (a path to go to in place of the server's), no-code (no
// typed code), start (manual: waits for start()).
// Events: qr-state {state}; qr-success {name, next}, which goes to next unless
// it is prevented; qr-error {code, status}.
import { Face, style } from "./face.js";
import { ask, follow, pause } from "./follow.js";
import english from "./lang/en.js";

const languages = ["en", "de", "fr", "es", "zh", "ar"];
const over = new Set(["done", "rejected", "expired", "cancelled", "failed", "phone"]);
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const sheet = new CSSStyleSheet();
sheet.replaceSync(style);

/** The texts for el: those of its language, else English. */
async function textsFor(el) {
  const wanted = [el.lang, el.closest("[lang]")?.lang, ...navigator.languages].filter(Boolean).map((l) => l.toLowerCase().split("-")[0]);
  const lang = wanted.find((l) => languages.includes(l)) ?? "en";
  if (lang === "en") return english.el;
  return import(`./lang/${lang}.js`).then((m) => m.default.el, () => english.el);
}

class FanfareQRLogin extends HTMLElement {
  #now = null; // the attempt on the screen: {id, seq, state, verifier, view, skew, stop}
  #face = null;
  #asker = null;
  #timer = 0;
  #root = this.attachShadow({ mode: "open" });
  #seen = () => this.#visible();
  #gone = () => this.#leave();
  #back = (e) => e.persisted && this.start();

  async connectedCallback() {
    this.#root.adoptedStyleSheets = [sheet];
    if (this.hasAttribute("size")) this.style.setProperty("--qr-size", `${Number(this.getAttribute("size")) || 292}px`);
    const texts = await textsFor(this);
    if (!this.isConnected || this.#face) return;
    this.#face = new Face(this.#root, texts, (what, value) => this.#act(what, value));
    document.addEventListener("visibilitychange", this.#seen);
    addEventListener("pagehide", this.#gone);
    addEventListener("pageshow", this.#back);
    this.#timer = setInterval(() => this.#tick(), 250);
    if (matchMedia("(pointer: coarse) and (max-width: 600px)").matches) {
      this.#now = { seq: 0, state: "phone" };
      this.#show("phone", { here: this.getAttribute("password") });
    } else this.start();
  }

  disconnectedCallback() {
    this.#leave();
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#seen);
    removeEventListener("pagehide", this.#gone);
    removeEventListener("pageshow", this.#back);
    this.#face = null;
  }

  get state() { return this.dataset.state; }

  #url(rest) { return (this.getAttribute("src") ?? "/qr") + rest; }

  #act(what, value) {
    if (what === "new" || what === "code") this.start();
    else if (what === "ask") this.start({ ask: true });
    else if (what === "passkey") this.#passkey();
    else if (what === "digits") this.#digits(value);
    else if (what === "here") location.assign(this.getAttribute("password"));
  }

  #show(state, values) {
    this.dataset.state = state;
    this.#face.show(state, values);
    const over = state === "done" || state === "approved" || state === "challenge";
    this.#face.button("passkey", this.#face.text("passkey"), !this.hasAttribute("passkey") || over || !globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);
    this.#face.button("ask", this.#face.text("ask", this.#asker ?? {}), !this.#asker || state !== "ready");
    if (state !== "ready") this.#face.userCode();
    this.dispatchEvent(new CustomEvent("qr-state", { detail: { state }, bubbles: true, composed: true }));
    this.#tick();
  }

  /** Begin anew, with a code or by asking the remembered person's phone. */
  async start(how = {}) {
    this.#leave();
    this.#face.alarm();
    this.#show("loading");
    if (!globalThis.crypto?.subtle) return this.#fail("https", "https_text", {}, "insecure", 0);
    const mine = (this.#now = { seq: 0, state: "loading", verifier: base64url(crypto.getRandomValues(new Uint8Array(32))) });
    const code_challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(mine.verifier))));
    const r = await ask("POST", this.#url("/attempts"), { code_challenge, ask: how.ask });
    if (this.#now !== mine) return;
    if (!r.ok) return this.#refused(r);
    mine.id = r.data.attempt_id;
    mine.path = this.#url(`/attempts/${mine.id}`);
    mine.code = this.hasAttribute("no-code") ? null : r.data;
    if (!how.ask) this.#asker = r.data.asker ?? null;
    this.#draw(r.data);
    this.#apply(mine, r.data);
    mine.stop = follow({
      grant: r.data,
      path: mine.path,
      seq: () => mine.seq,
      onView: (v) => this.#apply(mine, v),
      onEvent: (name, v) => {
        if (name === "suspicious_scan" && this.#now === mine) this.#face.alarm(this.#face.text("alarm"));
        this.#apply(mine, v);
      },
      onLink: (up) => { this.dataset.link = up ? "live" : "off"; this.#tick(); },
    });
  }

  // A host's backend passes the code on as it is; see the host API.
  #draw({ qr_svg, qr_svg_path, qr_url }) {
    if (!qr_svg && !qr_svg_path) return;
    this.#root.querySelector("img").src = qr_svg ? "data:image/svg+xml," + encodeURIComponent(qr_svg) : qr_svg_path;
    this.dispatchEvent(new CustomEvent("qr-code", { detail: { url: qr_url }, bubbles: true, composed: true }));
  }

  #apply(mine, v) {
    // Once approved, the exchange alone says how it ends.
    if (this.#now !== mine || v.seq < mine.seq || mine.state === "approved" || over.has(mine.state)) return;
    mine.seq = v.seq;
    if (v.server_time) mine.skew = Date.parse(v.server_time) - Date.now();
    const before = mine.state;
    mine.state = v.state;
    if (v.state === "pending") mine.view = v;
    if (v.state === before) {
      if (v.state === "challenge" && v.tries < mine.tries) this.#face.wrong(v.tries);
      mine.tries = v.tries;
      return this.#tick();
    }
    mine.tries = v.tries;
    const who = { initial: v.profile?.initial, name: v.profile?.name ?? "•••", n: v.digits };
    switch (v.state) {
      case "pending":
        this.#show(v.asked ? "asked" : "ready", who);
        if (!v.asked) this.#face.userCode(mine.code?.user_code, mine.code?.code_url);
        break;
      case "scanned":
      case "challenge":
        this.#show(v.state, who);
        break;
      case "approved":
        this.#show("approved");
        this.#exchange(mine);
        break;
      default:
        this.#end(mine, v.state === "consumed" ? "expired" : v.state, { text: v.reason });
    }
  }

  #end(mine, state, values) {
    mine.state = state;
    mine.stop?.();
    mine.unseen = document.visibilityState === "hidden"; // nobody saw it end: start anew on return
    this.#show(state, values);
  }

  async #exchange(mine) {
    for (let n = 0; n < 4 && this.#now === mine; n++) {
      const r = await ask("POST", mine.path + "/exchange", { code_verifier: mine.verifier });
      if (r.ok) return this.#welcome(mine, r.data);
      if (r.status === 409 && r.data.state) return this.#end(mine, r.data.state === "expired" ? "expired" : "failed");
      if (r.status !== 0 && r.status !== 429 && r.status !== 503) return this.#refused(r);
      await pause(Math.max(r.wait * 1000, 300 * 2 ** n));
    }
    if (this.#now === mine) this.#refused({ status: 0 });
  }

  async #welcome(mine, { name, next }) {
    next = this.getAttribute("next") || next;
    this.dataset.at = String(Date.now()); // the session's cookie is here
    this.#end(mine, "done", { name: name ?? "" });
    const goes = this.dispatchEvent(new CustomEvent("qr-success", { detail: { name, next }, bubbles: true, composed: true, cancelable: true }));
    await pause(700);
    if (goes && next) location.assign(next);
  }

  async #digits(code) {
    const mine = this.#now;
    const r = await ask("POST", mine.path + "/code", { code, code_verifier: mine.verifier });
    if (this.#now !== mine) return;
    if (r.ok) this.#apply(mine, r.data);
    else if (r.status === 409 && r.data.state) this.#apply(mine, { seq: Infinity, state: r.data.state });
    else if (r.status !== 429 && r.status !== 0) this.#refused(r);
    else this.#face.alarm(this.#face.text(r.status ? "busy_text" : "offline_text", { n: r.wait || 10 }));
  }

  async #passkey() {
    const path = this.getAttribute("passkey");
    this.#face.alarm();
    try {
      const begun = await ask("POST", path + "/begin", {});
      if (!begun.ok) return this.#refused(begun);
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.data.publicKey);
      const key = await navigator.credentials.get({ publicKey });
      const r = await ask("POST", path + "/finish", key.toJSON());
      if (!r.ok) throw r;
      this.#leave();
      this.#now = { seq: 0, state: "loading" };
      await this.#welcome(this.#now, r.data);
    } catch {
      this.#face.alarm(this.#face.text("passkey_failed"));
    }
  }

  #refused(r) {
    const text = r.status === 429 ? "busy" : r.status === 0 ? "offline" : "failed";
    this.#fail(text, text + "_text", { n: r.wait || 10 }, r.data?.code ?? text, r.status);
  }

  #fail(title, text, values, code, status) {
    this.#now ??= { seq: 0 };
    this.#end(this.#now, "failed", { ...values, title, text });
    this.dispatchEvent(new CustomEvent("qr-error", { detail: { code, status }, bubbles: true, composed: true }));
  }

  // leave tells the server that nobody waits for the old code any more.
  #leave() {
    const old = this.#now;
    this.#now = null;
    if (old?.id && !over.has(old.state)) ask("DELETE", old.path, undefined, { keepalive: true });
    old?.stop?.();
  }

  async #rotate(mine) {
    if (mine.rotating) return;
    mine.rotating = true;
    const r = await ask("POST", mine.path + "/rotate", {});
    if (r.ok && this.#now === mine) {
      this.#draw(r.data);
      this.#apply(mine, r.data);
    } else if (this.#now === mine) {
      const s = await ask("GET", mine.path);
      if (s.ok) this.#apply(mine, s.data);
      else if (s.status === 404) this.#apply(mine, { seq: Infinity, state: "expired" });
      await pause(Math.max(r.wait * 1000, 2000));
    }
    mine.rotating = false;
  }

  #visible() {
    if (document.visibilityState !== "visible") return;
    if (this.#now?.unseen && this.#now.state === "expired") this.start();
    else this.#tick();
  }

  // tick keeps the one clock, by the server's time.
  #tick() {
    const now = this.#now, view = now?.state === "pending" && now.view;
    if (!view || view.asked) {
      const waiting = now && this.dataset.link === "off" && ["scanned", "challenge", "pending"].includes(now.state);
      return this.#face?.clock(waiting ? this.#face.text("reconnecting") : "");
    }
    const at = Date.now() + (now.skew || 0);
    const left = Math.max(0, Date.parse(view.code_ends_at) - at);
    now.span = Math.max(now.spanOf === view.code_ends_at ? now.span : 0, left);
    now.spanOf = view.code_ends_at;
    const s = Math.ceil(left / 1000);
    const time = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    this.#face.clock(this.#face.text(view.last_code ? "last" : "next", { time }), left, now.span);
    if (left > 0 || document.visibilityState === "hidden") return;
    if (!view.last_code) this.#rotate(now);
    else if (at - Date.parse(view.expires_at) > 3000) this.#apply(now, { seq: Infinity, state: "expired" });
  }
}

if (!customElements.get("fanfare-qr-login")) customElements.define("fanfare-qr-login", FanfareQRLogin);
