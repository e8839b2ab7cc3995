import { effect } from "./signal";
import { choose, phase, start } from "./state";
import { consolePage } from "./view/console";
import { door, unreachable } from "./view/door";
import { h, type Child } from "./dom";

const root = document.getElementById("root") as HTMLElement;
let shown = "";

effect(() => {
  const p = phase.value;
  const first = shown === "" || shown === "loading";
  shown = p.name;
  let page: Child;
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
  root.replaceChildren(...[page].flat().filter((n): n is Node => n instanceof Node));
  // Who did not load the page, but was moved to another, is told so.
  if (!first) root.querySelector<HTMLElement>("h1[tabindex], main[tabindex]")?.focus();
});

// The code leaves the address at once, so that no history and no screen keeps
// it. It would be of no use a second time anyway.
const code = /^#code=(.+)$/.exec(location.hash)?.[1] ?? "";
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
