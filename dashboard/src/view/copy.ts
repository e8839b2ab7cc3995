import { h } from "../dom";

/** copyButton copies text, and says so in its own label. */
export function copyButton(what: string, text: () => string): HTMLElement {
  const button = h("button", { type: "button", class: "quiet", "aria-label": "Copy " + what }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy by hand";
    }
    setTimeout(() => (button.textContent = "Copy"), 1600);
  });
  return button;
}

/** recipe is a line of shell or a piece of code with a title and a button. */
export function recipe(title: string, text: string, note?: string): HTMLElement {
  return h(
    "figure",
    { class: "recipe" },
    h("figcaption", null, h("span", null, title), copyButton(title, () => text)),
    h("pre", { tabindex: "0", "aria-label": title }, h("code", null, text)),
    note ? h("p", { class: "note" }, note) : null,
  );
}
