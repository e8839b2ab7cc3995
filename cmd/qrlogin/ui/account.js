// The account page hears at once of sign-ins and sign-outs of its user.
const root = document.querySelector("#account");
const $ = (id) => root.querySelector("#" + id);
const me = root.dataset.this;

async function refresh(fresh) {
  const r = await fetch("/account/devices", { credentials: "same-origin" }).catch(() => null);
  if (r?.status === 401) return location.replace("/login");
  if (!r?.ok) return;
  $("devices").innerHTML = await r.text(); // our own server's template, escaped there
  if (fresh) root.querySelector(`[data-id="${CSS.escape(fresh)}"]`)?.classList.add("fresh");
}

async function deeds() {
  const r = await fetch("/account/activity", { credentials: "same-origin" }).catch(() => null);
  if (r?.status === 401) return location.replace("/login");
  if (r?.ok) root.dataset.deeds = (await r.json()).activity.length;
}

function heard({ event, data }) {
  if (event === "activity") return deeds();
  if (event === "ask") {
    $("who-asks").textContent = data.label;
    $("answer").href = data.path;
    $("asked").hidden = false;
    return;
  }
  if (event === "signed_out" && data.id === me) return location.replace("/login");
  if (event === "signed_in" && data.id !== me) {
    $("what").textContent = `New sign-in from ${data.label}`;
    $("notme").action = `/account/devices/${encodeURIComponent(data.id)}/end`;
    $("news").hidden = false;
    root.dataset.news = data.id;
    return refresh(data.id);
  }
  if (event === "signed_out" && root.dataset.news === data.id) $("news").hidden = true;
  refresh();
}

async function live() {
  const grant = async () => {
    const r = await fetch("/account/live", { credentials: "same-origin" });
    if (r.status === 401) location.replace("/login");
    if (!r.ok) throw new Error("no token");
    return r.json();
  };
  const first = await grant();
  const { Fanfare } = await import("/sdk/fanfare.mjs");
  let token = first.token; // good for the first connection
  const getToken = async () => {
    const t = token ?? (await grant()).token;
    token = null;
    return t;
  };
  const ff = new Fanfare({ url: first.fanfare_url || location.origin, getToken });
  let subscribed = false;
  const say = (up) => {
    root.dataset.link = up ? "live" : "off";
    $("live").textContent = up ? "Changes show up here at once." : "Reconnecting…";
    refresh(root.dataset.news); // what happened meanwhile; or, cut off, whether this session has ended
  };
  ff.on("state", ({ current }) => subscribed && say(current === "connected"));
  await ff.subscribe(first.channel, heard);
  subscribed = true;
  say(true);
}

live().catch(() => { $("live").textContent = "Reload the page to see changes."; });

// Passkeys are added where the browser has them.
const json = (path, body) => fetch(path, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function add() {
  $("add-fault").hidden = true;
  try {
    const begun = await json("/account/passkeys/begin", {});
    const options = await begun.json();
    if (!begun.ok) throw new Error(options.detail);
    const key = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey) });
    const r = await json("/account/passkeys/finish", key.toJSON());
    if (!r.ok) throw new Error((await r.json()).detail);
    location.reload();
  } catch (e) {
    $("add-fault").textContent = e.name === "Error" ? e.message : "No passkey was made.";
    $("add-fault").hidden = false;
  }
}
if ($("add") && globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  $("add").hidden = false;
  $("add").addEventListener("click", add);
}
