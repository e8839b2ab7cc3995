import { FanfareError } from "./error.ts";

const longest = 200;

/** Bytes of text in UTF-8; a lone surrogate counts as 3. */
export function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Throws unless name is a channel name (PROTOCOL.md, clause 1.1). */
export function checkChannel(name: unknown): asserts name is string {
  // The u flag makes \p{Cs} match lone surrogates only: those have no UTF-8.
  if (typeof name !== "string" || !name || bytes(name) > longest || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) {
    throw new FanfareError("channel_invalid", "The channel name is not valid.", "Use 1 to 200 bytes of UTF-8 without control characters.");
  }
}
