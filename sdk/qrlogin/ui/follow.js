// What both pages share: asking, and following one attempt.

/** Ask our own server. Never throws: a network that fails is status 0. */
export async function ask(method, path, body, init = {}) {
  try {
    const headers = { Accept: "application/json", ...init.headers };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const r = await fetch(path, { ...init, method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin", redirect: "error" });
    const data = r.status === 204 ? {} : await r.json().catch(() => ({}));
    return { ok: r.ok, status: r.status, data, wait: Number(r.headers.get("Retry-After")) || 0 };
  } catch {
    return { ok: false, status: 0, data: {}, wait: 0 };
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Follow an attempt until stop(). Events come over the channel; the truth comes
 * from snapshots: after each (re)connect, now and then, and while there is no
 * connection by asking with a long wait. So a lost event costs time, no more.
 *   grant: {fanfare_url, sdk_url, channel, channel_token}
 *   path: of the snapshot; seq(): the last one that was seen
 *   onView(view), onEvent(name, view), onLink(up)
 */
export function follow({ grant, path, seq, onView, onEvent, onLink }) {
  let stopped = false, up = false, client, poll;

  const snapshot = async () => {
    const r = await ask("GET", path);
    if (stopped) return;
    if (r.ok) onView(r.data);
    else if (r.status === 404) onView({ seq: Infinity, state: "expired" });
  };
  const askAgain = async () => {
    poll?.abort();
    const mine = (poll = new AbortController());
    while (!stopped && !up && !mine.signal.aborted) {
      const r = await ask("GET", `${path}?after=${seq()}`, undefined, { headers: { Prefer: "wait=25" }, signal: mine.signal });
      if (stopped || mine.signal.aborted) return;
      if (r.ok) onView(r.data);
      else if (r.status === 404) return onView({ seq: Infinity, state: "expired" });
      else await pause(Math.max(r.wait * 1000, 1000 + Math.random() * 1000));
    }
  };
  const link = (now) => {
    if (stopped || now === up) return;
    up = now;
    onLink?.(up);
    if (!up) return void askAgain();
    poll?.abort();
    snapshot();
    setTimeout(() => up && snapshot(), 1500); // the subscription may have come back behind the connection
  };
  const slow = setInterval(() => up && document.visibilityState === "visible" && snapshot(), 10_000);
  const late = setTimeout(() => !up && askAgain(), 1500);

  (async () => {
    try {
      const { Fanfare } = await import(grant.sdk_url);
      if (stopped) return;
      client = new Fanfare({ url: grant.fanfare_url || location.origin, getToken: async () => grant.channel_token });
      let subscribed = false;
      client.on("state", ({ current }) => subscribed && link(current === "connected"));
      await client.subscribe(grant.channel, (m) => !stopped && onEvent(m.event, m.data));
      subscribed = true;
      link(true);
    } catch {
      if (!stopped) askAgain();
    }
  })();

  return function stop() {
    stopped = true;
    clearInterval(slow);
    clearTimeout(late);
    poll?.abort();
    client?.close();
  };
}

/** Show one of the page's views, and say it to those who listen. */
export function viewer(root) {
  const say = root.querySelector("#say");
  return (name) => {
    root.dataset.state = name;
    for (const v of root.querySelectorAll("[data-view]")) v.hidden = v.dataset.view !== name;
    const head = root.querySelector(`[data-view="${name}"] :is(h1, .big)`);
    const text = [...root.querySelectorAll(`[data-view="${name}"] p:not(.big, [hidden])`)].map((p) => p.textContent.trim()).join(" ");
    if (head) say.textContent = `${head.textContent.trim()}. ${text}`;
  };
}
