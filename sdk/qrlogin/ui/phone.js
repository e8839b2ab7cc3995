// The approve page on the phone: takes the code, shows what it is for, and
// sends the decision. It is the POST in here that scans, never the GET.
import { ask, follow, viewer } from "./follow.js";

const root = document.querySelector("#phone");
const $ = (id) => root.querySelector("#" + id);
const show = viewer(root);
const ticket = root.dataset.ticket;
const kept = "qr:" + ticket; // survives a reload of this tab: a code can be scanned once only

let it = null; // what POST /qr/scan answered
let seq = 0, stop = null, over = false;

async function scan() {
  show("loading");
  try {
    it = JSON.parse(sessionStorage.getItem(kept));
  } catch {}
  if (it) return asked();
  const r = await ask("POST", "/qr/scan", { ticket });
  if (r.ok) {
    it = { ...r.data, skew: Date.parse(r.data.server_time) - Date.now() };
    try {
      sessionStorage.setItem(kept, JSON.stringify(it));
    } catch {} // without it a reload has to scan anew
    return asked();
  }
  if (r.status === 401) return location.reload();
  if (r.status === 404) return show("gone");
  if (r.status === 409) return show("used");
  refused(r);
}

function asked() {
  $("label").textContent = it.session_label;
  $("ip").textContent = it.context.ip;
  $("network").textContent = it.same_network ? "Same as this phone" : "Not the same as this phone";
  show("ask");
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

function apply(v) {
  if (over || v.seq < seq) return;
  seq = v.seq;
  switch (v.state) {
    case "scanned": break;
    case "approved": show("approved"); break;
    case "consumed":
      $("where").textContent = it.session_label;
      end("done");
      break;
    case "rejected": end(v.reason ? "killed" : "rejected"); break;
    default: end(v.state);
  }
}

function end(name) {
  over = true;
  stop?.();
  sessionStorage.removeItem(kept);
  show(name);
}

async function decide(decision) {
  const buttons = root.querySelectorAll("[data-decide]");
  for (const b of buttons) b.disabled = true;
  const r = await ask("POST", `/qr/attempts/${it.attempt_id}/decision`, { decision, nonce: it.decision_nonce });
  for (const b of buttons) b.disabled = false;
  if (r.ok) return apply(r.data);
  if (r.status === 409 && r.data.state) return apply({ seq: Infinity, state: r.data.state, reason: r.data.state === "rejected" ? "elsewhere" : "" });
  refused(r);
}

function refused(r) {
  $("fault").textContent = r.status === 0 ? "No connection" : r.status === 429 ? "That was too often" : r.data.detail || "That did not work";
  $("remedy").textContent = r.status === 0 ? "Check the network, then try again." : r.status === 429 ? `Please wait ${r.wait || 10} seconds.` : r.data.remedy || "";
  show("failed");
}

function tick() {
  if (!it || root.dataset.state !== "ask") return;
  const at = Date.now() + it.skew;
  const ago = Math.max(0, Math.round((at - Date.parse(it.started_at)) / 1000));
  const text = ago < 2 ? "just now" : ago < 60 ? `${ago} seconds ago` : `${Math.floor(ago / 60)} min ${ago % 60} s ago`;
  if ($("started").textContent !== text) $("started").textContent = text;
  const left = Math.max(0, Math.ceil((Date.parse(it.expires_at) - at) / 1000));
  const rest = `You have ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} to decide.`;
  if ($("left").textContent !== rest) $("left").textContent = rest;
  if (left === 0 && at - Date.parse(it.expires_at) > 3000) end("expired");
}

for (const b of root.querySelectorAll("[data-decide]")) b.addEventListener("click", () => decide(b.dataset.decide));
$("goon").addEventListener("click", scan);
$("retry").addEventListener("click", () => (it ? show("ask") : scan()));
setInterval(tick, 500);

// A page that the browser only prepares must not scan.
const whenSeen = () => ("linked" in root.dataset && !sessionStorage.getItem(kept) ? show("linked") : scan());
if (document.prerendering) document.addEventListener("prerenderingchange", whenSeen, { once: true });
else whenSeen();
