import { FanfareError } from "./error.ts";

// Known only while the script runs for the first time. A server has its script at /sdk/fanfare.js; a copy elsewhere says nothing.
const home: string | undefined =
  typeof document === "object" ? /^(https?:.*)\/sdk\/fanfare\.js(?:[?#]|$)/.exec((document.currentScript as HTMLScriptElement | null)?.src ?? "")?.[1] : undefined;

/** The server's address, http or https, without a slash at its end. Throws where none is known. */
export function address(url?: string): string {
  const found = url ?? home ?? (typeof location === "object" ? location.origin : "");
  if (!/^(http|ws)s?:\/\/[^/]/.test(found)) {
    throw new FanfareError("options_invalid", `The address ${JSON.stringify(found)} is no server's.`, 'Give url, such as "https://push.example.com".');
  }
  return found.replace(/^ws/, "http").replace(/\/+$/, "");
}
