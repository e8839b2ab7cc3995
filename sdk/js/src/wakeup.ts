interface Target {
  addEventListener?(name: string, listener: () => void): void;
  removeEventListener?(name: string, listener: () => void): void;
}

/** Watches for signs that the network may have come back or gone. */
export class Wakeup {
  readonly #back: () => void;
  readonly #gone: () => void;
  #on = false;

  /** back: try now. gone: look whether the connection still lives. */
  constructor(back: () => void, gone: () => void) {
    this.#back = back;
    this.#gone = gone;
  }

  start(): void {
    if (this.#on) return;
    this.#on = true;
    this.#each("addEventListener");
  }

  stop(): void {
    if (!this.#on) return;
    this.#on = false;
    this.#each("removeEventListener");
  }

  #each(method: "addEventListener" | "removeEventListener"): void {
    const host = globalThis as Target;
    host[method]?.("online", this.#back);
    host[method]?.("pageshow", this.#back);
    host[method]?.("offline", this.#gone);
    if (typeof document === "object") (document as Target)[method]?.("visibilitychange", this.#seen);
  }

  readonly #seen = (): void => {
    if (document.visibilityState === "visible") this.#back();
  };
}
