import type { App } from "../api";
import { h, live, logo, type Child } from "../dom";
import { effect } from "../signal";
import { account, apps, current, signOut } from "../state";
import { copyButton } from "./copy";
import { date, keyTable } from "./keys";
import { livePanel, type Panel } from "./live";
import { recipes } from "./recipes";

/** consolePage is the page of somebody who is signed in. */
export function consolePage(): Child {
  const main = h("main", { id: "main", tabindex: "-1" });
  effect(() => {
    const app = current.value;
    const panel = app ? livePanel(app) : null;
    main.replaceChildren(app && panel ? appPage(app, panel) : noApps());
    return () => panel?.stop();
  });
  return [
    h("a", { class: "skip", href: "#main" }, "Skip to the app"),
    h(
      "header",
      { class: "top" },
      h("div", { class: "brand" }, logo(), h("span", null, "Fanfare")),
      live(h("div", { class: "who" }), () => account.value?.name || account.value?.id),
      h("button", { type: "button", class: "quiet", onclick: () => void signOut() }, "Sign out"),
    ),
    h("div", { class: "frame" }, appList(), main),
  ];
}

function appList(): HTMLElement {
  return h(
    "nav",
    { "aria-label": "Apps" },
    h("h2", null, "Apps"),
    live(h("ul", null), () =>
      apps.value.map((a) =>
        h("li", null, h("a", { href: "#/apps/" + a.id, "aria-current": a.id === current.value?.id ? "page" : null }, a.name || a.id)),
      ),
    ),
  );
}

function appPage(app: App, panel: Panel): HTMLElement {
  const limit = (name: string, value: number, unit: string): Child => h("div", null, h("dt", null, name), h("dd", null, value.toLocaleString(), " ", unit));
  const l = app.limits;
  return h(
    "div",
    { class: "app" },
    h(
      "div",
      { class: "title" },
      h("h1", null, app.name),
      h("p", null, h("code", null, app.id), copyButton("the app's id", () => app.id), h("span", { class: "note" }, " since " + date(app.created))),
    ),
    panel.el,
    h("section", { class: "card", "aria-labelledby": "lines" }, h("header", null, h("h2", { id: "lines" }, "Lines to copy")), recipes()),
    h("section", { class: "card", "aria-labelledby": "keys" }, h("header", null, h("h2", { id: "keys" }, "Keys")), keyTable()),
    l
      ? h(
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
            limit("Subscribes per connection", l.subscribe_per_second, "a second"),
          ),
        )
      : document.createTextNode(""),
  );
}

function noApps(): HTMLElement {
  return h("div", { class: "app" }, h("h1", null, "No apps yet"), h("p", null, "Make one on the server's machine:"), h("pre", null, h("code", null, "fanfare app create my-app")));
}
