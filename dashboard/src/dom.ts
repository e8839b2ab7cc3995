import { effect } from "./signal";

export type Child = Node | string | number | null | undefined | false | Child[];

type Props = Record<string, unknown>;

/** h makes an element: `on…` members are listeners, `true` and strings are
 * attributes, `false`, `null` and `undefined` are left out. Text is always
 * text; there is no way to hand markup in. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props?: Props | null,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) {
      el.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    } else {
      el.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(el, children);
  return el;
}

function append(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== undefined && child !== false) {
      parent.appendChild(document.createTextNode(String(child)));
    }
  }
}

/** live fills el with what view returns, now and whenever a signal that view
 * read changes. */
export function live<E extends HTMLElement>(el: E, view: () => Child): E {
  effect(() => {
    const next = document.createDocumentFragment();
    append(next, [view()]);
    el.replaceChildren(next);
  });
  return el;
}

/** logo is the horn of the house, drawn with the colour of the text. */
export function logo(): SVGElement {
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
