// One live subscription of the page, over the same SDK that everybody loads
// from /sdk/.

import { base } from "./api";
import { signal } from "./signal";

export interface Message {
  channel: string;
  id: string;
  time: number;
  event?: string;
  user?: string;
  data: unknown;
}

interface Failure {
  message: string;
  remedy?: string;
}

interface Client {
  on(event: "state", fn: (s: { current: string; error?: Failure }) => void): unknown;
  on(event: "unsubscribed", fn: (e: { error: Failure }) => void): unknown;
  subscribe(channel: string, fn: (m: Message) => void): Promise<unknown>;
  close(): void;
}

interface SDK {
  Fanfare: new (o: { url: string; key: string }) => Client;
}

/** Status is one line about the feed, and whether it is good news. */
export interface Status {
  mood: "off" | "busy" | "good" | "bad";
  text: string;
}

const keep = 200;
const off: Status = { mood: "off", text: "Not listening" };

/** Feed listens to one channel at a time. It lives as long as the panel that
 * shows it; `stop` ends its connection. */
export class Feed {
  readonly status = signal<Status>(off);
  readonly messages = signal<Message[]>([]); // newest first
  readonly channel = signal("");
  #client: Client | null = null;
  #round = 0; // which start the answers of the SDK belong to

  async start(key: string, channel: string): Promise<void> {
    this.stop();
    const round = this.#round;
    const mine = (): boolean => round === this.#round;
    this.channel.value = channel;
    this.messages.value = [];
    this.status.value = { mood: "busy", text: "Connecting…" };
    try {
      // The address is no literal, so that the bundler leaves it to the browser.
      const address = new URL("sdk/fanfare.mjs", base).href;
      const { Fanfare } = (await import(address)) as SDK;
      if (!mine()) return;
      const client = (this.#client = new Fanfare({ url: base.href.replace(/\/$/, ""), key }));
      let subscribed = false;
      client.on("state", (s) => {
        if (!mine()) return;
        if (s.current === "connected") this.status.value = subscribed ? this.#listening() : { mood: "busy", text: "Subscribing…" };
        else if (s.current === "closed") this.#fail(s.error ?? { message: "The connection is closed." });
        else this.status.value = { mood: "busy", text: s.current === "connecting" ? "Connecting…" : "Reconnecting…" };
      });
      client.on("unsubscribed", (e) => {
        if (mine()) this.#fail(e.error);
      });
      await client.subscribe(channel, (m) => {
        if (mine()) this.messages.value = [m, ...this.messages.peek()].slice(0, keep);
      });
      subscribed = true;
      if (mine()) this.status.value = this.#listening();
    } catch (e) {
      if (mine()) this.#fail(e as Failure);
    }
  }

  stop(): void {
    this.#round++;
    this.#client?.close();
    this.#client = null;
    this.channel.value = "";
    this.status.value = off;
  }

  clear(): void {
    this.messages.value = [];
  }

  #listening(): Status {
    return { mood: "good", text: "Listening to " + this.channel.peek() };
  }

  #fail(f: Failure): void {
    this.stop();
    this.status.value = { mood: "bad", text: [f.message, f.remedy].filter(Boolean).join(" ") };
  }
}
