import { type App, type Key, type Problem, api } from "../api";
import { h, live, type Child } from "../dom";
import { Feed, type Message } from "../feed";
import { effect, signal } from "../signal";
import { asProblem, keys, makeKey, usable } from "../state";
import { recipe } from "./copy";
import { publishLine } from "./recipes";

/** Panel is one app's live view; stop ends its connection. */
export interface Panel {
  el: HTMLElement;
  stop(): void;
}

type Outcome = { ok: string } | { problem: Problem; line: string } | null;

/** livePanel listens to a channel with a publishable key, as any page would,
 * and publishes with it where the key grants that. */
export function livePanel(app: App): Panel {
  const feed = new Feed();
  const outcome = signal<Outcome>(null);
  const channel = h("input", { id: "channel", name: "channel", value: "orders:42", required: true, maxlength: "200", spellcheck: "false", autocomplete: "off" });
  const select = h("select", { id: "livekey", name: "key" });
  const event = h("input", { id: "event", name: "event", maxlength: "64", placeholder: "none", spellcheck: "false", autocomplete: "off" });
  const data = h("textarea", { id: "data", name: "data", rows: "3", spellcheck: "false", required: true, "aria-describedby": "datahelp" }, '{"hello": "world"}');

  const key = (): Key | undefined => usable(keys.peek() ?? []).find((k) => k.id === select.value);
  effect(() => fillKeys(select, usable(keys.value ?? [])));

  const listen = (e: Event): void => {
    e.preventDefault();
    const text = key()?.key;
    if (text) void feed.start(text, channel.value.trim());
  };
  const publish = async (e?: Event): Promise<void> => {
    e?.preventDefault();
    data.setCustomValidity(isJSON(data.value) ? "" : 'This is not JSON. Put plain text into quotes: "hello"');
    if (!data.reportValidity() || !channel.reportValidity()) return;
    const message = { channel: channel.value.trim(), ...(event.value ? { event: event.value } : {}), data: JSON.parse(data.value) as unknown };
    const line = publishLine(message.channel, JSON.stringify(message.data), event.value);
    try {
      const { id } = await api.publish(key()?.key ?? "", message);
      outcome.value = { ok: "Published as " + id };
    } catch (err) {
      outcome.value = { problem: asProblem(err), line };
    }
  };
  const allow = async (): Promise<void> => {
    try {
      const made = await makeKey(app);
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
      live(h("div", { class: "field end" }), () =>
        feed.channel.value
          ? h("button", { type: "button", onclick: () => feed.stop() }, "Stop")
          : h("button", { type: "submit", class: "main", disabled: usable(keys.value ?? []).length === 0 }, "Listen"),
      ),
    ),
    log(feed),
    h(
      "form",
      { class: "fields publish", onsubmit: publish, "aria-label": "Publish a message" },
      h("div", { class: "field grow" }, h("label", { for: "data" }, "Data (JSON)"), data, h("span", { id: "datahelp", class: "note" }, "Ctrl + Enter publishes.")),
      h("div", { class: "field" }, h("label", { for: "event" }, "Event"), event),
      h("div", { class: "field end" }, h("button", { type: "submit" }, "Publish")),
    ),
    live(h("div", { role: "status" }), () => told(outcome.value, allow)),
  );
  data.addEventListener("input", () => data.setCustomValidity(""));
  data.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) void publish(e);
  });
  return { el, stop: () => feed.stop() };
}

function fillKeys(select: HTMLSelectElement, list: Key[]): void {
  const before = select.value;
  select.replaceChildren(...list.map((k) => h("option", { value: k.id }, `${k.name || "publishable"} (${k.id})`)));
  if (list.some((k) => k.id === before)) select.value = before;
  select.disabled = list.length === 0;
  if (list.length === 0) select.append(h("option", null, "no publishable key"));
}

function status(feed: Feed): HTMLElement {
  return live(h("p", { class: "status", role: "status" }), () => {
    const s = feed.status.value;
    return h("span", { class: "pill " + s.mood }, s.text);
  });
}

function log(feed: Feed): HTMLElement {
  const list = h("ol", { class: "log", role: "log", "aria-label": "Messages, newest first", tabindex: "0" });
  return h(
    "div",
    { class: "logbox" },
    live(list, () => {
      const all = feed.messages.value;
      if (all.length > 0) return all.map(entry);
      return h("li", { class: "empty" }, feed.channel.value ? "Nothing yet. Publish below, or from anywhere." : "Listen to a channel to see its messages arrive.");
    }),
    live(h("p", { class: "logfoot" }), () =>
      feed.messages.value.length > 0
        ? [`${feed.messages.value.length} shown `, h("button", { type: "button", class: "quiet", onclick: () => feed.clear() }, "Clear")]
        : null,
    ),
  );
}

function entry(m: Message): Child {
  const at = new Date(m.time);
  const time = at.toLocaleTimeString([], { hour12: false }) + "." + String(at.getMilliseconds()).padStart(3, "0");
  return h(
    "li",
    null,
    h("div", { class: "meta" }, h("time", { datetime: at.toISOString() }, time), m.event ? h("span", { class: "tag" }, m.event) : null, m.user ? h("span", null, "by " + m.user) : null, h("span", { class: "id" }, m.id)),
    h("pre", null, h("code", null, JSON.stringify(m.data, null, 2))),
  );
}

function told(o: Outcome, allow: () => void): Child {
  if (!o) return null;
  if ("ok" in o) return h("p", { class: "good" }, o.ok);
  const granted = !["not_granted", "key_kind", "credential_missing"].includes(o.problem.code);
  if (granted) return h("p", { class: "bad" }, o.problem.message + " " + o.problem.remedy);
  return h(
    "div",
    { class: "refused" },
    h("p", null, "This key may listen, but not publish: what stands in a page may do only what it was granted."),
    h("p", null, h("button", { type: "button", onclick: allow }, "Let this page publish for an hour"), h("span", { class: "note" }, " makes a key for this address that ends by itself")),
    o.line ? recipe("Or publish from a server", o.line) : null,
  );
}

function isJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
