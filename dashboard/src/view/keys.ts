import type { Key } from "../api";
import { h, live, type Child } from "../dom";
import { keys, keysProblem } from "../state";
import { copyButton } from "./copy";

/** keyTable lists an app's keys. Publishable keys are shown whole: they stand
 * in pages anyway. Of secret keys only the first characters are known here. */
export function keyTable(): HTMLElement {
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
      h("tbody", null, list.map(row)),
    );
  });
}

function row(k: Key): Child {
  const over = !!k.expires && Date.parse(k.expires) < Date.now();
  return h(
    "tr",
    { class: over ? "over" : null },
    h("th", { scope: "row" }, k.name || "—"),
    h("td", null, h("span", { class: "tag " + k.kind }, k.kind)),
    h("td", { class: "keytext" }, h("code", null, k.key ?? k.id + "…"), k.key ? copyButton("the key " + (k.name || k.id), () => k.key ?? "") : null),
    h("td", null, may(k)),
    h("td", null, k.expires ? (over ? "over since " : "") + date(k.expires) : "no end set"),
  );
}

function may(k: Key): Child {
  if (k.kind === "secret") return "everything in this app";
  const parts = Object.entries(k.grants ?? {}).filter(([, list]) => list?.length);
  if (parts.length === 0) return "nothing";
  return parts.map(([action, list]) => h("div", null, action + " ", h("code", null, (list as string[]).join(" "))));
}

/** date is a moment as people here write it, to the minute. */
export function date(text: string): string {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
