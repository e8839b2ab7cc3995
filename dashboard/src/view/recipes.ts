import { base, type Key } from "../api";
import { h, live } from "../dom";
import { keys, usable } from "../state";
import { recipe } from "./copy";

/** url is the server's address without a slash at its end. */
export const url: string = base.href.replace(/\/$/, "");

/** quote puts text into single quotes for a shell. */
function quote(text: string): string {
  return "'" + text.replaceAll("'", `'\\''`) + "'";
}

/** publishLine is the curl line that publishes from a server. */
export function publishLine(channel: string, data: string, event = ""): string {
  const body = `{"channel":${JSON.stringify(channel)},${event ? `"event":${JSON.stringify(event)},` : ""}"data":${data}}`;
  return `curl ${url}/v1/messages -H "Authorization: Bearer $FANFARE_SECRET_KEY" \\\n  -d ${quote(body)}`;
}

const all = (k?: Key): boolean => !!k?.grants?.subscribe?.includes("*");

/** lasting is the key to show people: one without an end, one that may
 * subscribe to everything, if there is such a one. */
function lasting(list: Key[]): Key | undefined {
  const rank = (k: Key): number => (k.expires ? 2 : 0) + (all(k) ? 0 : 1);
  return list.sort((a, b) => rank(a) - rank(b))[0];
}

/** recipes are the lines to copy, with this app's publishable key in them. */
export function recipes(): HTMLElement {
  return live(h("div", { class: "recipes" }), () => {
    const key = lasting(usable(keys.value ?? []));
    const text = key?.key ?? "ffp_…";
    const channel = all(key) ? "orders:42" : "public:news";
    return [
      recipe("Listen in a terminal", `curl -N ${quote(`${url}/v1/sse?channel=${channel}&key=${text}`)}`),
      recipe(
        "Publish from a server",
        publishLine(channel, `{"hello":"world"}`),
        "The demo app's secret key is in the data folder, in demo.env: . fanfare-data/demo.env sets it.",
      ),
      recipe(
        "Listen in a page",
        `<script src="${url}/sdk/fanfare.js"></script>\n<script>\n  const ff = new Fanfare({ url: "${url}", key: "${text}" });\n  ff.subscribe("${channel}", m => console.log(m.data));\n</script>`,
      ),
    ];
  });
}
