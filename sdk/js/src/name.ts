import { FanfareError } from "./error.ts";

const longest = 200;

/** Bytes of text in UTF-8; a lone surrogate counts as 3. */
export function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A new message id: 28 characters, 128 random bits. */
export function makeID(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36).padStart(7, "0")).join("");
}

/** Throws unless name is a channel name (PROTOCOL.md, clause 1.1). */
export function checkChannel(name: unknown): asserts name is string {
  // The u flag makes \p{Cs} match lone surrogates only: those have no UTF-8.
  if (typeof name !== "string" || !name || bytes(name) > longest || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) {
    throw new FanfareError("channel_invalid", "The channel name is not valid.", "Use 1 to 200 bytes of UTF-8 without control characters.");
  }
}
