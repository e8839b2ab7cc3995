/** Listeners by event. What a listener throws is reported, and harms neither the others nor the caller. */
export class Emitter<E> {
  readonly #listeners = new Map<keyof E, Set<(event: any) => void>>();

  on<K extends keyof E>(name: K, listener: (event: E[K]) => void): void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
  }

  /** Without a listener: all listeners of the event. */
  off<K extends keyof E>(name: K, listener?: (event: E[K]) => void): void {
    const set = this.#listeners.get(name);
    if (listener) set?.delete(listener);
    else set?.clear();
  }

  /** Calls the listeners that were there when it began; false if there were none. */
  emit<K extends keyof E>(name: K, event: E[K]): boolean {
    const all = [...(this.#listeners.get(name) ?? [])];
    for (const listener of all) void run(listener, event, report);
    return all.length > 0;
  }
}

/** Calls fn at once; what it throws, or its promise rejects with, goes to failed. */
export async function run<T>(fn: (value: T) => unknown, value: T, failed: (error: unknown) => void): Promise<void> {
  try {
    await fn(value);
  } catch (error) {
    failed(error);
  }
}

/** The last resort for errors: the host's own report, else the console. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
