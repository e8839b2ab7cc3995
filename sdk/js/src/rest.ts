import type { Frame } from "./frame.ts";
import type { Fetch, ResponseLike } from "./types.ts";

/** A request to the server; fetch is no method of ours, for the browser's must not be one. */
export function call(fetch: Fetch, url: string, credential: string, body?: object, signal?: AbortSignal): Promise<ResponseLike> {
  return fetch(url, {
    method: body ? "POST" : "GET",
    headers: { Authorization: "Bearer " + credential }, // no others: servers allow other origins few
    body: body && JSON.stringify(body),
    signal,
  });
}

/** The error frame that an HTTP error tells of, with the close code that says what to do. */
export async function problem(response: ResponseLike): Promise<Frame> {
  const { status, headers } = response;
  const { code, detail, remedy, channel, position } = await response.json().catch(() => ({}));
  // What a proxy says in place of the server may pass; so may overload.
  const passes = !code || status > 499 || status === 429 || status === 408;
  return {
    type: "error",
    code: code ?? "unavailable",
    message: detail ?? "HTTP " + status,
    remedy,
    channel,
    position,
    retry_after: Number(headers.get("Retry-After")) * 1000 || undefined,
    close: code === "token_expired" ? 4201 : passes ? 1006 : 4300,
  };
}
