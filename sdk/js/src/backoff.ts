/** The longest wait between two tries, in milliseconds. */
export const longestWait = 30_000;
const shortest = 500;

/** Waits that grow from try to try, with full jitter (PROTOCOL.md, clause 6.6). */
export class Backoff {
  #tries = 0;

  /** The next wait, in milliseconds: random, from 0 to min(30 s, 0.5 s · 2^n). */
  next(): number {
    return Math.random() * Math.min(longestWait, shortest * 2 ** this.#tries++);
  }

  reset(): void {
    this.#tries = 0;
  }
}
