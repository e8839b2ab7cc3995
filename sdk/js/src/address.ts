import { optionsInvalid } from "./error.ts";

// Known only while the script runs for the first time. A server has its script at /sdk/fanfare.js; a copy elsewhere says nothing.
const script = globalThis.document?.currentScript as HTMLScriptElement | null | undefined;
const home: string | undefined = /^http.*(?=\/sdk\/fanfare\.js)/.exec(script?.src ?? "")?.[0];

/** The server's address, http or https, without a slash at its end. Throws where none is known. */
export function address(url?: string): string {
  const found = url ?? home ?? String(globalThis.location?.origin);
  if (!/^(http|ws)s?:\/\/[^/]/.test(found)) throw optionsInvalid(`There is no server at ${found}.`, "Give url, such as https://push.example.com");
  return found.replace(/^ws/, "http").replace(/\/+$/, "");
}
