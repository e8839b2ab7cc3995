const longest = 2 ** 31 - 1; // setTimeout's; more fires at once

/** One timeout that can be set anew and cleared. */
export class Timer {
  #id: ReturnType<typeof setTimeout> | undefined;

  /** Whether it will still fire. */
  get pending(): boolean {
    return this.#id !== undefined;
  }

  /** Calls fn once, ms from now, in place of what was set before. */
  set(ms: number, fn: () => void): void {
    this.clear();
    this.#id = setTimeout(() => {
      this.#id = undefined;
      fn();
    }, Math.min(ms, longest));
  }

  clear(): void {
    clearTimeout(this.#id);
    this.#id = undefined;
  }
}
