import { h, logo, type Child } from "../dom";
import { type Phase, start } from "../state";

const words = {
  none: ["Sign in", "The console opens with a sign-in link that is good once, within 15 minutes."],
  used: ["This link cannot be used", "A sign-in link is good once, within 15 minutes. This one was used already, or it is too old."],
  ended: ["Your session has ended", "A session lasts 12 hours. Nothing is lost: what runs, runs on."],
  out: ["You are signed out", "What runs, runs on. To come back you need a new link."],
} as const;

/** door is what somebody sees who has no session, with the way in. */
export function door(why: keyof typeof words): Child {
  const [title, text] = words[why];
  const input = h("input", { id: "link", name: "link", autocomplete: "off", spellcheck: "false", placeholder: "http://…/dashboard/#code=…", required: true });
  const submit = (e: Event): void => {
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
      h("div", { class: "row" }, input, h("button", { type: "submit", class: "main" }, "Sign in")),
    ),
  );
}

/** unreachable says that the server told nothing, or something odd. */
export function unreachable(p: Extract<Phase, { name: "unreachable" }>): Child {
  return h(
    "main",
    { class: "door" },
    logo(),
    h("h1", { tabindex: "-1" }, p.problem.code === "unreachable" ? "The server does not answer" : "That went wrong"),
    h("p", null, p.problem.message + " " + p.problem.remedy),
    h("button", { type: "button", class: "main", onclick: () => void start("") }, "Try again"),
  );
}
