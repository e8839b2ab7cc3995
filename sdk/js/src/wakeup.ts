interface Target {
  addEventListener?(name: string, listener: () => void): void;
  removeEventListener?(name: string, listener: () => void): void;
}

/** Watches for signs that the network came or went, or that the page came back; hidden pages sleep on. */
export class Wakeup {
  readonly #seen: () => void;

  constructor(seen: () => void) {
    this.#seen = () => {
      if (globalThis.document?.visibilityState !== "hidden") seen();
    };
  }

  start(): void {
    this.#each("addEventListener");
  }

  stop(): void {
    this.#each("removeEventListener");
  }

  #each(method: "addEventListener" | "removeEventListener"): void {
    for (const name of ["online", "offline", "pageshow"]) (globalThis as Target)[method]?.(name, this.#seen);
    (globalThis.document as Target | undefined)?.[method]?.("visibilitychange", this.#seen);
  }
}
