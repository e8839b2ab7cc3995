// The login page: draws the code, follows the attempt, and fetches the session
// once the phone has approved. The login code (PKCE verifier) stays in here.
import { ask, follow, pause, viewer } from "./follow.js";

const root = document.querySelector("#login");
const $ = (id) => root.querySelector("#" + id);
const show = viewer(root);
const over = new Set(["done", "rejected", "expired", "cancelled", "failed", "phone"]);

let now = null; // the attempt on the screen: {id, seq, state, verifier, view, skew, stop}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function start() {
  leave();
  $("alarm").hidden = true;
  show("loading");
  if (!globalThis.crypto?.subtle) return fail("This page has to be opened by https", "Browsers do not let pages sign in safely over plain http.");
  const mine = (now = { seq: 0, state: "loading", verifier: base64url(crypto.getRandomValues(new Uint8Array(32))) });
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(mine.verifier))));
  const r = await ask("POST", "/qr/attempts", { code_challenge: challenge });
  if (now !== mine) return;
  if (!r.ok) return refused(r);
  mine.id = r.data.attempt_id;
  draw(r.data);
  apply(mine, r.data);
  mine.stop = follow({
    grant: r.data,
    path: `/qr/attempts/${mine.id}`,
    seq: () => mine.seq,
    onView: (v) => apply(mine, v),
    onEvent: (name, v) => {
      if (name === "suspicious_scan" && now === mine) $("alarm").hidden = false;
      apply(mine, v);
    },
    onLink: (up) => { root.dataset.link = up ? "live" : "off"; tick(); },
  });
}

function draw({ qr_svg_path, qr_url }) {
  $("code").src = qr_svg_path;
  $("link")?.setAttribute("href", qr_url);
}

function apply(mine, v) {
  // Once approved, the exchange alone says how it ends.
  if (now !== mine || v.seq < mine.seq || mine.state === "approved" || over.has(mine.state)) return;
  mine.seq = v.seq;
  if (v.server_time) mine.skew = Date.parse(v.server_time) - Date.now();
  const before = mine.state;
  mine.state = v.state;
  if (v.state === "pending") mine.view = v;
  if (v.state === before) return tick();
  switch (v.state) {
    case "pending":
      enter("ready");
      $("say").textContent = "A QR code is on the screen. Scan it with your phone.";
      break;
    case "scanned":
      $("initial").textContent = v.profile?.initial ?? "?";
      $("who").textContent = v.profile?.name ?? "a phone";
      enter("scanned");
      break;
    case "approved":
      enter("approved");
      exchange(mine);
      break;
    case "rejected":
      if (v.reason) $("why").textContent = "Several people scanned this code, so it was cancelled.";
      // falls through
    default:
      end(mine, v.state === "consumed" ? "expired" : v.state);
  }
}

function enter(name) {
  $("code").hidden = name !== "ready" && name !== "expired";
  show(name);
  tick();
}

function end(mine, name) {
  mine.state = name;
  mine.stop?.();
  mine.lateAt = document.visibilityState === "hidden"; // nobody saw it end: start anew on return
  enter(name);
}

async function exchange(mine) {
  for (let n = 0; n < 4 && now === mine; n++) {
    const r = await ask("POST", `/qr/attempts/${mine.id}/exchange`, { code_verifier: mine.verifier });
    if (r.ok) {
      $("name").textContent = r.data.name;
      root.dataset.at = String(Date.now()); // the session's cookie is here
      end(mine, "done");
      await pause(700);
      return location.assign(r.data.next);
    }
    if (r.status === 409 && r.data.state) return end(mine, r.data.state === "expired" ? "expired" : "failed");
    if (r.status !== 0 && r.status !== 429 && r.status !== 503) return refused(r);
    await pause(Math.max(r.wait * 1000, 300 * 2 ** n));
  }
  if (now === mine) refused({ status: 0, wait: 0 });
}

function refused(r) {
  if (r.status === 429) return fail("That was too often", `Please wait ${r.wait || 10} seconds.`);
  if (r.status === 0) return fail("No connection", "Check the network, then try again.");
  fail(r.data?.detail || "That did not work", r.data?.remedy || "Try again in a moment.");
}

function fail(fault, remedy) {
  $("fault").textContent = fault;
  $("remedy").textContent = remedy;
  now ??= { seq: 0 };
  end(now, "failed");
}

// leave tells the server that nobody waits for the old code any more.
function leave() {
  if (now?.id && !over.has(now.state)) ask("DELETE", `/qr/attempts/${now.id}`, undefined, { keepalive: true });
  now?.stop?.();
  now = null;
}

async function rotate(mine) {
  if (mine.rotating) return;
  mine.rotating = true;
  const r = await ask("POST", `/qr/attempts/${mine.id}/rotate`, {});
  if (r.ok && now === mine) {
    draw(r.data);
    apply(mine, r.data);
  } else if (now === mine) {
    const s = await ask("GET", `/qr/attempts/${mine.id}`);
    if (s.ok) apply(mine, s.data);
    else if (s.status === 404) apply(mine, { seq: Infinity, state: "expired" });
    await pause(Math.max(r.wait * 1000, 2000));
  }
  mine.rotating = false;
}

// tick keeps the one clock on the page, by the server's time.
function tick() {
  const ready = now?.state === "pending" && now.view;
  $("ring").toggleAttribute("hidden", !ready);
  $("try")?.toggleAttribute("hidden", !ready);
  if (!ready) {
    $("clock").textContent = now?.state === "scanned" && root.dataset.link === "off" ? "Reconnecting…" : "";
    return;
  }
  const at = Date.now() + (now.skew || 0);
  const left = Math.max(0, Date.parse(now.view.code_ends_at) - at);
  now.span = Math.max(now.span_of === now.view.code_ends_at ? now.span : 0, left);
  now.span_of = now.view.code_ends_at;
  $("arc").setAttribute("stroke-dashoffset", String(100 - (100 * left) / (now.span || 1)));
  const s = Math.ceil(left / 1000);
  const text = `${now.view.last_code ? "This code ends in" : "New code in"} ${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  if ($("clock").textContent !== text) $("clock").textContent = text;
  if (left > 0 || document.visibilityState === "hidden") return;
  if (!now.view.last_code) rotate(now);
  else if (at - Date.parse(now.view.expires_at) > 3000) apply(now, { seq: Infinity, state: "expired" });
}

for (const b of root.querySelectorAll("[data-again]")) b.addEventListener("click", start);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (now?.lateAt && now.state === "expired") start();
  else tick();
});
addEventListener("pagehide", leave);
addEventListener("pageshow", (e) => e.persisted && start());
setInterval(tick, 250);

if (matchMedia("(pointer: coarse) and (max-width: 600px)").matches) {
  now = { seq: 0, state: "phone" };
  show("phone");
} else start();
