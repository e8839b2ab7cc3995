// signal.ts
var running = null;
function signal(initial) {
  let current2 = initial;
  const listeners = /* @__PURE__ */ new Set();
  return {
    get value() {
      if (running) {
        listeners.add(running.run);
        running.sources.add(listeners);
      }
      return current2;
    },
    set value(next) {
      if (Object.is(next, current2)) return;
      current2 = next;
      for (const run of [...listeners]) if (listeners.has(run)) run();
    },
    peek: () => current2
  };
}
function effect(fn) {
  const self = { run, sources: /* @__PURE__ */ new Set(), ends: [] };
  function run() {
    end();
    const outer = running;
    running = self;
    try {
      const cleanup = fn();
      if (cleanup) self.ends.push(cleanup);
    } finally {
      running = outer;
    }
  }
  function end() {
    for (const listeners of self.sources) listeners.delete(run);
    self.sources.clear();
    for (const e of self.ends.splice(0)) e();
  }
  running?.ends.push(end);
  run();
  return end;
}

// api.ts
var Problem = class extends Error {
  constructor(status2, code2, message, remedy) {
    super(message);
    this.status = status2;
    this.code = code2;
    this.remedy = remedy;
  }
  status;
  code;
  remedy;
  /** ended says that the session is over, or never was. */
  get ended() {
    return this.status === 401;
  }
};
var base = new URL("../", new URL(".", document.baseURI));
async function call(method, path, body, key) {
  const headers = { Accept: "application/json" };
  if (body !== void 0) headers["Content-Type"] = "application/json";
  if (key) headers["Authorization"] = "Bearer " + key;
  let answer;
  try {
    answer = await fetch(new URL(path, base), {
      method,
      headers,
      body: body === void 0 ? void 0 : JSON.stringify(body),
      credentials: key ? "omit" : "same-origin",
      cache: "no-store"
    });
  } catch {
    throw new Problem(0, "unreachable", "The server does not answer.", "See that it runs (fanfare doctor), then try again.");
  }
  const text = await answer.text();
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    if (answer.ok) throw new Problem(answer.status, "bad_answer", "The server's answer is not JSON.", "See whether a proxy stands between.");
  }
  if (!answer.ok) {
    throw new Problem(
      answer.status,
      String(value["code"] ?? "http_" + answer.status),
      String(value["detail"] ?? value["title"] ?? "The server refused."),
      String(value["remedy"] ?? "")
    );
  }
  return value;
}
var app = (id) => "v1/apps/" + encodeURIComponent(id);
var api = {
  signIn: (code2) => call("POST", "v1/session", { code: code2 }),
  signOut: () => call("DELETE", "v1/session"),
  account: () => call("GET", "v1/account"),
  apps: async () => (await call("GET", "v1/apps")).apps,
  keys: async (id) => (await call("GET", app(id) + "/keys")).keys,
  createKey: (id, key) => call("POST", app(id) + "/keys", key),
  publish: (key, message) => call("POST", "v1/messages", message, key)
};

// state.ts
var phase = signal({ name: "loading" });
var account = signal(null);
var apps = signal([]);
var current = signal(null);
var keys = signal(null);
var keysProblem = signal(null);
async function start(code2) {
  let used = false;
  try {
    if (code2) {
      try {
        await api.signIn(code2);
      } catch (e) {
        if (!(e instanceof Problem) || e.code === "unreachable") throw e;
        used = true;
      }
    }
    account.value = await api.account();
    apps.value = await api.apps();
    choose(location.hash);
    if (phase.peek().name !== "console") phase.value = { name: "console" };
  } catch (e) {
    fail(e, used ? "used" : "none");
  }
}
function choose(hash) {
  const id = /^#\/apps\/(.+)$/.exec(hash)?.[1];
  const list = apps.peek();
  const next = list.find((a) => a.id === id) ?? list[0] ?? null;
  if (next?.id === current.peek()?.id) return;
  current.value = next;
  if (next) void loadKeys(next);
}
async function loadKeys(app2) {
  keys.value = null;
  keysProblem.value = null;
  try {
    const list = await api.keys(app2.id);
    if (current.peek()?.id === app2.id) keys.value = list;
  } catch (e) {
    if (e instanceof Problem && e.ended) fail(e, "ended");
    else if (current.peek()?.id === app2.id) keysProblem.value = asProblem(e);
  }
}
var temporary = "dashboard, temporary";
var hour = 60 * 60 * 1e3;
async function makeKey(app2) {
  try {
    const key = await api.createKey(app2.id, {
      kind: "publishable",
      name: temporary,
      grants: { subscribe: ["*"], publish: ["*"] },
      allowed_origins: [location.origin],
      expires: new Date(Date.now() + hour).toISOString()
    });
    if (current.peek()?.id === app2.id) keys.value = [...keys.peek() ?? [], key];
    return key;
  } catch (e) {
    if (e instanceof Problem && e.ended) fail(e, "ended");
    throw asProblem(e);
  }
}
function usable(list) {
  const alive = list.filter((k) => k.kind === "publishable" && k.key && !(k.expires && Date.parse(k.expires) < Date.now()));
  const rank = (k) => k.grants?.publish?.length ? 0 : 1;
  return alive.sort((a, b) => rank(a) - rank(b));
}
async function signOut() {
  try {
    await api.signOut();
  } catch (e) {
    if (!(e instanceof Problem) || !e.ended) return fail(e, "ended");
  }
  leave("out");
}
function fail(e, why) {
  const problem = asProblem(e);
  if (problem.ended) leave(why);
  else phase.value = { name: "unreachable", problem };
}
function leave(why) {
  account.value = null;
  apps.value = [];
  current.value = null;
  keys.value = null;
  phase.value = { name: "door", why };
}
function asProblem(e) {
  return e instanceof Problem ? e : new Problem(0, "page", e instanceof Error ? e.message : String(e), "Load the page again.");
}

// dom.ts
function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === void 0) continue;
    if (name.startsWith("on")) {
      el.addEventListener(name.slice(2).toLowerCase(), value);
    } else {
      el.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(el, children);
  return el;
}
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== void 0 && child !== false) {
      parent.appendChild(document.createTextNode(String(child)));
    }
  }
}
function live(el, view) {
  effect(() => {
    const next = document.createDocumentFragment();
    append(next, [view()]);
    el.replaceChildren(next);
  });
  return el;
}
function logo() {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 32 32", class: "logo", "aria-hidden": "true" })) {
    svg.setAttribute(name, value);
  }
  for (const d of ["M5 16h6l7-6v12l-7-6", "M22 11.5a6.5 6.5 0 0 1 0 9", "M25.5 8a11.5 11.5 0 0 1 0 16"]) {
    const path = document.createElementNS(ns, "path");
    path.setAttribute("d", d);
    svg.appendChild(path);
  }
  return svg;
}

// view/copy.ts
function copyButton(what, text) {
  const button = h("button", { type: "button", class: "quiet", "aria-label": "Copy " + what }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy by hand";
    }
    setTimeout(() => button.textContent = "Copy", 1600);
  });
  return button;
}
function recipe(title, text, note) {
  return h(
    "figure",
    { class: "recipe" },
    h("figcaption", null, h("span", null, title), copyButton(title, () => text)),
    h("pre", { tabindex: "0", "aria-label": title }, h("code", null, text)),
    note ? h("p", { class: "note" }, note) : null
  );
}

// view/keys.ts
function keyTable() {
  return live(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Keys" }), () => {
    const problem = keysProblem.value;
    if (problem) return h("p", { class: "bad", role: "alert" }, problem.message + " " + problem.remedy);
    const list = keys.value;
    if (!list) return h("p", { class: "note" }, "Loading…");
    if (list.length === 0) return h("p", { class: "note" }, "This app has no keys yet. Make one with: fanfare key create");
    return h(
      "table",
      null,
      h("thead", null, h("tr", null, ...["Name", "Kind", "Key", "May", "Good until"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", null, list.map(row))
    );
  });
}
function row(k) {
  const over = !!k.expires && Date.parse(k.expires) < Date.now();
  return h(
    "tr",
    { class: over ? "over" : null },
    h("th", { scope: "row" }, k.name || "—"),
    h("td", null, h("span", { class: "tag " + k.kind }, k.kind)),
    h("td", { class: "keytext" }, h("code", null, k.key ?? k.id + "…"), k.key ? copyButton("the key " + (k.name || k.id), () => k.key ?? "") : null),
    h("td", null, may(k)),
    h("td", null, k.expires ? (over ? "over since " : "") + date(k.expires) : "no end set")
  );
}
function may(k) {
  if (k.kind === "secret") return "everything in this app";
  const parts = Object.entries(k.grants ?? {}).filter(([, list]) => list?.length);
  if (parts.length === 0) return "nothing";
  return parts.map(([action, list]) => h("div", null, action + " ", h("code", null, list.join(" "))));
}
function date(text) {
  return new Date(text).toLocaleString(void 0, { dateStyle: "medium", timeStyle: "short" });
}

// feed.ts
var keep = 200;
var off = { mood: "off", text: "Not listening" };
var Feed = class {
  status = signal(off);
  messages = signal([]);
  // newest first
  channel = signal("");
  #client = null;
  #round = 0;
  // which start the answers of the SDK belong to
  async start(key, channel) {
    this.stop();
    const round = this.#round;
    const mine = () => round === this.#round;
    this.channel.value = channel;
    this.messages.value = [];
    this.status.value = { mood: "busy", text: "Connecting…" };
    try {
      const address = new URL("sdk/fanfare.mjs", base).href;
      const { Fanfare } = await import(address);
      if (!mine()) return;
      const client = this.#client = new Fanfare({ url: base.href.replace(/\/$/, ""), key });
      let subscribed = false;
      client.on("state", (s) => {
        if (!mine()) return;
        if (s.current === "connected") this.status.value = subscribed ? this.#listening() : { mood: "busy", text: "Subscribing…" };
        else if (s.current === "closed") this.#fail(s.error ?? { message: "The connection is closed." });
        else this.status.value = { mood: "busy", text: s.current === "connecting" ? "Connecting…" : "Reconnecting…" };
      });
      client.on("unsubscribed", (e) => {
        if (mine()) this.#fail(e.error);
      });
      await client.subscribe(channel, (m) => {
        if (mine()) this.messages.value = [m, ...this.messages.peek()].slice(0, keep);
      });
      subscribed = true;
      if (mine()) this.status.value = this.#listening();
    } catch (e) {
      if (mine()) this.#fail(e);
    }
  }
  stop() {
    this.#round++;
    this.#client?.close();
    this.#client = null;
    this.channel.value = "";
    this.status.value = off;
  }
  clear() {
    this.messages.value = [];
  }
  #listening() {
    return { mood: "good", text: "Listening to " + this.channel.peek() };
  }
  #fail(f) {
    this.stop();
    this.status.value = { mood: "bad", text: [f.message, f.remedy].filter(Boolean).join(" ") };
  }
};

// view/recipes.ts
var url = base.href.replace(/\/$/, "");
function quote(text) {
  return "'" + text.replaceAll("'", `'\\''`) + "'";
}
function publishLine(channel, data, event = "") {
  const body = `{"channel":${JSON.stringify(channel)},${event ? `"event":${JSON.stringify(event)},` : ""}"data":${data}}`;
  return `curl ${url}/v1/messages -H "Authorization: Bearer $FANFARE_SECRET_KEY" \\
  -d ${quote(body)}`;
}
var all = (k) => !!k?.grants?.subscribe?.includes("*");
function lasting(list) {
  const rank = (k) => (k.expires ? 2 : 0) + (all(k) ? 0 : 1);
  return list.sort((a, b) => rank(a) - rank(b))[0];
}
function recipes() {
  return live(h("div", { class: "recipes" }), () => {
    const key = lasting(usable(keys.value ?? []));
    const text = key?.key ?? "ffp_…";
    const channel = all(key) ? "orders:42" : "public:news";
    return [
      recipe("Listen in a terminal", `curl -N ${quote(`${url}/v1/sse?channel=${channel}&key=${text}`)}`),
      recipe(
        "Publish from a server",
        publishLine(channel, `{"hello":"world"}`),
        "The demo app's secret key is in the data folder, in demo.env: . fanfare-data/demo.env sets it."
      ),
      recipe(
        "Listen in a page",
        `<script src="${url}/sdk/fanfare.js"><\/script>
<script>
  const ff = new Fanfare({ url: "${url}", key: "${text}" });
  ff.subscribe("${channel}", m => console.log(m.data));
<\/script>`
      )
    ];
  });
}

// view/live.ts
function livePanel(app2) {
  const feed = new Feed();
  const outcome = signal(null);
  const channel = h("input", { id: "channel", name: "channel", value: "orders:42", required: true, maxlength: "200", spellcheck: "false", autocomplete: "off" });
  const select = h("select", { id: "livekey", name: "key" });
  const event = h("input", { id: "event", name: "event", maxlength: "64", placeholder: "none", spellcheck: "false", autocomplete: "off" });
  const data = h("textarea", { id: "data", name: "data", rows: "3", spellcheck: "false", required: true, "aria-describedby": "datahelp" }, '{"hello": "world"}');
  const key = () => usable(keys.peek() ?? []).find((k) => k.id === select.value);
  effect(() => fillKeys(select, usable(keys.value ?? [])));
  const listen = (e) => {
    e.preventDefault();
    const text = key()?.key;
    if (text) void feed.start(text, channel.value.trim());
  };
  const publish = async (e) => {
    e?.preventDefault();
    data.setCustomValidity(isJSON(data.value) ? "" : 'This is not JSON. Put plain text into quotes: "hello"');
    if (!data.reportValidity() || !channel.reportValidity()) return;
    const message = { channel: channel.value.trim(), ...event.value ? { event: event.value } : {}, data: JSON.parse(data.value) };
    const line = publishLine(message.channel, JSON.stringify(message.data), event.value);
    try {
      const { id } = await api.publish(key()?.key ?? "", message);
      outcome.value = { ok: "Published as " + id };
    } catch (err) {
      outcome.value = { problem: asProblem(err), line };
    }
  };
  const allow = async () => {
    try {
      const made = await makeKey(app2);
      select.value = made.id;
      await publish();
      if (feed.status.peek().mood !== "good") await feed.start(made.key ?? "", channel.value.trim());
    } catch (err) {
      outcome.value = { problem: asProblem(err), line: "" };
    }
  };
  const el = h(
    "section",
    { class: "card", "aria-labelledby": "live" },
    h("header", null, h("h2", { id: "live" }, "Live"), status(feed)),
    h(
      "form",
      { class: "fields", onsubmit: listen },
      h("div", { class: "field grow" }, h("label", { for: "channel" }, "Channel"), channel),
      h("div", { class: "field grow" }, h("label", { for: "livekey" }, "With the key"), select),
      live(
        h("div", { class: "field end" }),
        () => feed.channel.value ? h("button", { type: "button", onclick: () => feed.stop() }, "Stop") : h("button", { type: "submit", class: "main", disabled: usable(keys.value ?? []).length === 0 }, "Listen")
      )
    ),
    log(feed),
    h(
      "form",
      { class: "fields publish", onsubmit: publish, "aria-label": "Publish a message" },
      h("div", { class: "field grow" }, h("label", { for: "data" }, "Data (JSON)"), data, h("span", { id: "datahelp", class: "note" }, "Ctrl + Enter publishes.")),
      h("div", { class: "field" }, h("label", { for: "event" }, "Event"), event),
      h("div", { class: "field end" }, h("button", { type: "submit" }, "Publish"))
    ),
    live(h("div", { role: "status" }), () => told(outcome.value, allow))
  );
  data.addEventListener("input", () => data.setCustomValidity(""));
  data.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) void publish(e);
  });
  return { el, stop: () => feed.stop() };
}
function fillKeys(select, list) {
  const before = select.value;
  select.replaceChildren(...list.map((k) => h("option", { value: k.id }, `${k.name || "publishable"} (${k.id})`)));
  if (list.some((k) => k.id === before)) select.value = before;
  select.disabled = list.length === 0;
  if (list.length === 0) select.append(h("option", null, "no publishable key"));
}
function status(feed) {
  return live(h("p", { class: "status", role: "status" }), () => {
    const s = feed.status.value;
    return h("span", { class: "pill " + s.mood }, s.text);
  });
}
function log(feed) {
  const list = h("ol", { class: "log", role: "log", "aria-label": "Messages, newest first", tabindex: "0" });
  return h(
    "div",
    { class: "logbox" },
    live(list, () => {
      const all2 = feed.messages.value;
      if (all2.length > 0) return all2.map(entry);
      return h("li", { class: "empty" }, feed.channel.value ? "Nothing yet. Publish below, or from anywhere." : "Listen to a channel to see its messages arrive.");
    }),
    live(
      h("p", { class: "logfoot" }),
      () => feed.messages.value.length > 0 ? [`${feed.messages.value.length} shown `, h("button", { type: "button", class: "quiet", onclick: () => feed.clear() }, "Clear")] : null
    )
  );
}
function entry(m) {
  const at = new Date(m.time);
  const time = at.toLocaleTimeString([], { hour12: false }) + "." + String(at.getMilliseconds()).padStart(3, "0");
  return h(
    "li",
    null,
    h("div", { class: "meta" }, h("time", { datetime: at.toISOString() }, time), m.event ? h("span", { class: "tag" }, m.event) : null, m.user ? h("span", null, "by " + m.user) : null, h("span", { class: "id" }, m.id)),
    h("pre", null, h("code", null, JSON.stringify(m.data, null, 2)))
  );
}
function told(o, allow) {
  if (!o) return null;
  if ("ok" in o) return h("p", { class: "good" }, o.ok);
  const granted = !["not_granted", "key_kind", "credential_missing"].includes(o.problem.code);
  if (granted) return h("p", { class: "bad" }, o.problem.message + " " + o.problem.remedy);
  return h(
    "div",
    { class: "refused" },
    h("p", null, "This key may listen, but not publish: what stands in a page may do only what it was granted."),
    h("p", null, h("button", { type: "button", onclick: allow }, "Let this page publish for an hour"), h("span", { class: "note" }, " makes a key for this address that ends by itself")),
    o.line ? recipe("Or publish from a server", o.line) : null
  );
}
function isJSON(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// view/console.ts
function consolePage() {
  const main = h("main", { id: "main", tabindex: "-1" });
  effect(() => {
    const app2 = current.value;
    const panel = app2 ? livePanel(app2) : null;
    main.replaceChildren(app2 && panel ? appPage(app2, panel) : noApps());
    return () => panel?.stop();
  });
  return [
    h("a", { class: "skip", href: "#main" }, "Skip to the app"),
    h(
      "header",
      { class: "top" },
      h("div", { class: "brand" }, logo(), h("span", null, "Fanfare")),
      live(h("div", { class: "who" }), () => account.value?.name || account.value?.id),
      h("button", { type: "button", class: "quiet", onclick: () => void signOut() }, "Sign out")
    ),
    h("div", { class: "frame" }, appList(), main)
  ];
}
function appList() {
  return h(
    "nav",
    { "aria-label": "Apps" },
    h("h2", null, "Apps"),
    live(
      h("ul", null),
      () => apps.value.map(
        (a) => h("li", null, h("a", { href: "#/apps/" + a.id, "aria-current": a.id === current.value?.id ? "page" : null }, a.name || a.id))
      )
    )
  );
}
function appPage(app2, panel) {
  const limit = (name, value, unit) => h("div", null, h("dt", null, name), h("dd", null, value.toLocaleString(), " ", unit));
  const l = app2.limits;
  return h(
    "div",
    { class: "app" },
    h(
      "div",
      { class: "title" },
      h("h1", null, app2.name),
      h("p", null, h("code", null, app2.id), copyButton("the app's id", () => app2.id), h("span", { class: "note" }, " since " + date(app2.created)))
    ),
    panel.el,
    h("section", { class: "card", "aria-labelledby": "lines" }, h("header", null, h("h2", { id: "lines" }, "Lines to copy")), recipes()),
    h("section", { class: "card", "aria-labelledby": "keys" }, h("header", null, h("h2", { id: "keys" }, "Keys")), keyTable()),
    l ? h(
      "section",
      { class: "card", "aria-labelledby": "limits" },
      h("header", null, h("h2", { id: "limits" }, "Limits")),
      h(
        "dl",
        null,
        limit("Connections", l.connections, ""),
        limit("Channels per connection", l.channels_per_connection, ""),
        limit("Data of a message", l.message_bytes, "bytes"),
        limit("Publishes", l.publish_per_second, "a second"),
        limit("Subscribes per connection", l.subscribe_per_second, "a second")
      )
    ) : document.createTextNode("")
  );
}
function noApps() {
  return h("div", { class: "app" }, h("h1", null, "No apps yet"), h("p", null, "Make one on the server's machine:"), h("pre", null, h("code", null, "fanfare app create my-app")));
}

// view/door.ts
var words = {
  none: ["Sign in", "The console opens with a sign-in link that is good once, within 15 minutes."],
  used: ["This link cannot be used", "A sign-in link is good once, within 15 minutes. This one was used already, or it is too old."],
  ended: ["Your session has ended", "A session lasts 12 hours. Nothing is lost: what runs, runs on."],
  out: ["You are signed out", "What runs, runs on. To come back you need a new link."]
};
function door(why) {
  const [title, text] = words[why];
  const input = h("input", { id: "link", name: "link", autocomplete: "off", spellcheck: "false", placeholder: "http://…/dashboard/#code=…", required: true });
  const submit = (e) => {
    e.preventDefault();
    const value = input.value.trim();
    void start(/#code=(.+)$/.exec(value)?.[1] ?? value);
  };
  return h(
    "main",
    { class: "door" },
    logo(),
    h("h1", { tabindex: "-1" }, title),
    h("p", null, text),
    h("p", null, "Make a new link on the server's machine:"),
    h("pre", { tabindex: "0", "aria-label": "The command" }, h("code", null, "fanfare link")),
    h("p", { class: "note" }, "From a checkout: go run ./cmd/fanfare link"),
    h(
      "form",
      { onsubmit: submit },
      h("label", { for: "link" }, "Open the link that it prints, or paste it here"),
      h("div", { class: "row" }, input, h("button", { type: "submit", class: "main" }, "Sign in"))
    )
  );
}
function unreachable(p) {
  return h(
    "main",
    { class: "door" },
    logo(),
    h("h1", { tabindex: "-1" }, p.problem.code === "unreachable" ? "The server does not answer" : "That went wrong"),
    h("p", null, p.problem.message + " " + p.problem.remedy),
    h("button", { type: "button", class: "main", onclick: () => void start("") }, "Try again")
  );
}

// main.ts
var root = document.getElementById("root");
var shown = "";
effect(() => {
  const p = phase.value;
  const first = shown === "" || shown === "loading";
  shown = p.name;
  let page;
  switch (p.name) {
    case "loading":
      page = h("main", { class: "door", "aria-busy": "true" }, h("p", { class: "note" }, "One moment…"));
      break;
    case "console":
      page = consolePage();
      break;
    case "door":
      page = door(p.why);
      break;
    case "unreachable":
      page = unreachable(p);
  }
  root.replaceChildren(...[page].flat().filter((n) => n instanceof Node));
  if (!first) root.querySelector("h1[tabindex], main[tabindex]")?.focus();
});
var code = /^#code=(.+)$/.exec(location.hash)?.[1] ?? "";
if (code) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => {
  const again = /^#code=(.+)$/.exec(location.hash)?.[1];
  if (again) {
    history.replaceState(null, "", location.pathname);
    void start(again);
  } else if (phase.peek().name === "console") {
    choose(location.hash);
  }
});
void start(code);
