import { FanfareError } from "./error.ts";
import type { Command } from "./frame.ts";
import type { Fetch, SocketClass } from "./types.ts";

declare const VERSION: string; // package.json's, by the build

/** What a connection is made with: the client's options, completed. */
export interface Settings {
  /** The server's address. */
  readonly url: string;
  readonly WebSocket: SocketClass | undefined;
  readonly fetch: Fetch;
  readonly key?: string;
  readonly token?: string;
  readonly getToken?: () => string | Promise<string>;
}

/** The first frame of a connection, with a token that is asked for now. */
export async function greeting(settings: Settings): Promise<Command> {
  const { key, getToken } = settings;
  let { token } = settings;
  try {
    if (getToken && (typeof (token = await getToken()) !== "string" || !token)) throw "it must return the token's text";
  } catch (cause) {
    throw new FanfareError("token_failed", `getToken failed: ${cause}`, "Mend it; it is called again with the next try.", { cause });
  }
  return { type: "hello", key, token, client: "fanfare-js/" + VERSION };
}
