// The approve page on the phone: takes the code, shows what it is for, and
// sends the decision. It is the POST in here that scans, never the GET.
import { ask, follow, viewer } from "./follow.js";

const root = document.querySelector("#phone");
const $ = (id) => root.querySelector("#" + id);
const show = viewer(root);
const { ticket, asked: askedBy } = root.dataset;
const kept = "qr:" + (ticket || askedBy); // survives a reload of this tab: a code can be scanned once only

const { ph: texts, el } = (await import(`./lang/${document.documentElement.lang}.js`)).default;
const text = (key, v = {}) => (texts[key] ?? "").replace(/\{(\w+)\}/g, (all, k) => v[k] ?? all);

let it = null; // what POST /qr/scan answered
let digits = ""; // what the person has to type on the computer
let seq = 0, stop = null, over = false, ends = 0;
let next = null; // what "try again" does

const keep = () => {
  try {
    if (ticket || askedBy) sessionStorage.setItem(kept, JSON.stringify({ ...it, digits }));
  } catch {} // without it a reload has to scan anew
};

async function scan(body) {
  show("loading");
  try {
    it = JSON.parse(sessionStorage.getItem(kept));
    digits = it?.digits ?? "";
  } catch {}
  if (it) return asked();
  const r = await ask("POST", "/qr/scan", { ...body, linked: "linked" in root.dataset });
  if (r.ok) {
    it = { ...r.data, skew: Date.parse(r.data.server_time) - Date.now() };
    keep();
    return asked();
  }
  if (r.status === 401) return location.reload();
  if (body.user_code && (r.status === 404 || r.status === 429)) {
    show("type");
    $("mistyped").textContent = r.status === 404 ? text("gone") : `${el.busy}. ${el.busy_text.replace("{n}", r.wait)}`;
    $("mistyped").hidden = false;
    return $("user-code").focus();
  }
  if (r.status === 404) return show("gone");
  if (r.status === 409) return show("used");
  refused(r, () => scan(body));
}

function place({ country, city }, km) {
  const name = country ? new Intl.DisplayNames([document.documentElement.lang], { type: "region" }).of(country) : "";
  const where = [city, name].filter(Boolean).join(", ");
  return km > 50 ? text("far", { place: where, km: km.toLocaleString(document.documentElement.lang) }) : where;
}

function asked() {
  ends = Date.parse(it.expires_at);
  $("label").textContent = it.session_label;
  $("known").textContent = text(it.new_browser ? "new" : "known");
  $("known").className = it.new_browser ? "tag caution" : "tag";
  $("ip").textContent = it.context.ip;
  $("place").textContent = place(it.context.place, it.distance_km ?? 0);
  $("placed").hidden = !$("place").textContent;
  $("network").textContent = text(it.same_network ? "same" : "other");
  $("network").className = it.same_network ? "" : "caution";
  $("coded").hidden = !it.user_code;
  $("code-there").textContent = it.user_code ?? "";
  $("canask").hidden = !it.can_remember;
  root.dataset.risk = it.risk;
  show("ask");
  if (digits) challenge();
  tick();
  stop = follow({
    grant: it,
    path: `/qr/attempts/${it.attempt_id}/phone`,
    seq: () => seq,
    onView: apply,
    onEvent: (name, v) => {
      if (name === "suspicious_scan") $("alarm").hidden = false;
      else if (name === "failed") end("failed");
      else apply(v);
    },
  });
}

function challenge() {
  $("check").textContent = digits;
  $("check").setAttribute("aria-label", [...digits].join(" "));
  show("challenge");
}

function apply(v) {
  if (over || v.seq < seq) return;
  seq = v.seq;
  if (v.expires_at) ends = Date.parse(v.expires_at);
  switch (v.state) {
    case "scanned": break;
    case "challenge":
      if (!digits) break; // the answer with them is on its way
      challenge();
      break;
    case "approved": show("approved"); break;
    case "consumed":
      $("where").textContent = text("done_text", { label: it.session_label });
      end("done");
      break;
    case "rejected": end(v.reason || "rejected"); break;
    default: end(v.state);
  }
}

function end(name) {
  over = true;
  stop?.();
  sessionStorage.removeItem(kept);
  show(root.querySelector(`[data-view="${name}"]`) ? name : "failed");
}

/** A passkey's signed yes to just this, where the account has one. */
async function confirmed() {
  if (!it.confirm) return undefined;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(it.confirm);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}

async function decide(decision, without) {
  const buttons = root.querySelectorAll("[data-decide], #stop, #without");
  for (const b of buttons) b.disabled = true;
  $("unverified").hidden = true;
  try {
    let assertion;
    if (decision === "approve" && !without) {
      try {
        assertion = await confirmed();
      } catch {
        $("unverified").hidden = false;
        return;
      }
    }
    const r = await ask("POST", `/qr/attempts/${it.attempt_id}/decision`, { decision, nonce: it.decision_nonce, assertion, remember_browser: $("remember").checked });
    if (r.ok) {
      digits = r.data.check_code ?? "";
      keep();
      return apply(r.data);
    }
    if (r.status === 409 && r.data.state) return apply({ seq: Infinity, state: r.data.state, reason: r.data.state === "rejected" ? "multi_scan" : "" });
    refused(r, () => show("ask"));
  } finally {
    for (const b of buttons) b.disabled = false;
  }
}

function refused(r, again) {
  const kind = r.status === 0 ? "offline" : r.status === 429 ? "busy" : "failed";
  $("fault").textContent = el[kind];
  $("remedy").textContent = el[kind + "_text"].replace("{n}", r.wait || 10);
  next = again;
  show("failed");
}

function tick() {
  const state = root.dataset.state;
  if (!it || (state !== "ask" && state !== "challenge")) return;
  const at = Date.now() + it.skew;
  const ago = Math.max(0, Math.round((at - Date.parse(it.started_at)) / 1000));
  const since = ago < 2 ? text("just_now") : ago < 60 ? text("seconds_ago", { n: ago }) : text("minutes_ago", { n: Math.floor(ago / 60), s: ago % 60 });
  if ($("started").textContent !== since) $("started").textContent = since;
  const left = Math.max(0, Math.ceil((ends - at) / 1000));
  const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  const rest = state === "ask" ? text("left", { time }) : time;
  const line = $(state === "ask" ? "left" : "left2");
  if (line.textContent !== rest) line.textContent = rest;
  if (left === 0 && at - ends > 3000) end("expired");
}

for (const b of root.querySelectorAll("[data-decide]")) b.addEventListener("click", () => decide(b.dataset.decide));
$("without").addEventListener("click", () => decide("approve", true));
$("stop").addEventListener("click", () => decide("reject"));
$("goon").addEventListener("click", () => scan({ ticket }));
$("retry").addEventListener("click", () => (next ? next() : location.reload()));
$("typed").addEventListener("submit", (e) => {
  e.preventDefault();
  scan({ user_code: $("user-code").value });
});
setInterval(tick, 500);

// A page that the browser only prepares must not scan.
function whenSeen() {
  if ("type" in root.dataset) {
    show("type");
    $("user-code").focus();
  } else if ("linked" in root.dataset && !sessionStorage.getItem(kept)) show("linked");
  else scan(askedBy ? { asked: askedBy } : { ticket });
}
if (document.prerendering) document.addEventListener("prerenderingchange", whenSeen, { once: true });
else whenSeen();
