import type { Channel } from "./channel.ts";

const longest = 120_000; // ms that a position is worth anything

/** A channel's position and `at`, and when that was noted, by our clock. */
type Note = [position: string, at: number | undefined, noted: number];

/** The channels' positions over a reload of the page. It saves when the page goes, and remembers nothing where it may not. */
export class Memory {
  readonly #name: string;
  readonly #channels: Map<string, Channel>;
  /** Of the page before, and not used yet. */
  #notes: Map<string, Note> = new Map();

  constructor(name: string, channels: Map<string, Channel>) {
    this.#name = name;
    this.#channels = channels;
    try {
      this.#notes = new Map(JSON.parse(sessionStorage.getItem(name)!));
    } catch {
      // No sessionStorage, or not ours.
    }
    globalThis.addEventListener?.("pagehide", this.#save);
  }

  /** Puts a new channel where it was before the page was loaded. */
  recall(channel: Channel): void {
    const [position, at, noted] = this.#notes.get(channel.name) ?? ["", 0, 0];
    this.#notes.delete(channel.name);
    if (Math.abs(Date.now() - noted) < longest) Object.assign(channel, { position, at });
  }

  /** Forgets all, once there are no channels any more. */
  end(): void {
    globalThis.removeEventListener?.("pagehide", this.#save);
    this.#notes.clear();
    this.#save();
  }

  readonly #save = (): void => {
    const notes = new Map(this.#notes);
    for (const { name, position, at } of this.#channels.values()) notes.set(name, [position, at, Date.now()]);
    try {
      sessionStorage.setItem(this.#name, JSON.stringify([...notes]));
    } catch {
      // As above.
    }
  };
}
