import { parse, type Command } from "./frame.ts";
import type { Transport, TransportEvents } from "./transport.ts";
import type { SocketClass, SocketLike } from "./types.ts";

const open = 1;

/** A WebSocket as a transport (PROTOCOL.md, section 2). */
export class SocketTransport implements Transport {
  readonly socket = true as const;
  readonly #class: SocketClass;
  readonly #url: string;
  readonly #events: TransportEvents;
  #ws: SocketLike | undefined;

  constructor(socketClass: SocketClass, base: string, events: TransportEvents) {
    this.#class = socketClass;
    this.#url = base.replace(/^http/, "ws") + "/v1/ws";
    this.#events = events;
  }

  start(): void {
    let ws: SocketLike;
    try {
      ws = new this.#class(this.#url, "fanfare.v1.json");
    } catch (error) {
      // Forbidden here, as ws: is in a page that came by https:.
      this.#events.closed(1006, String(error));
      return;
    }
    this.#ws = ws;
    ws.onopen = () => this.#events.open();
    ws.onmessage = (event: { data: unknown }) => {
      this.#events.alive();
      for (const line of String(event.data).split("\n")) {
        const frame = parse(line);
        if (frame && this.#ws === ws) this.#events.frame(frame); // else a handler closed us
      }
    };
    ws.onclose = (event: { code: number; reason: string }) => {
      this.close();
      this.#events.closed(event.code, event.reason);
    };
    ws.onerror = () => {}; // close follows and says more
  }

  send(command: Command): void {
    if (this.#ws?.readyState === open) this.#ws.send(JSON.stringify(command));
  }

  close(): void {
    const ws = this.#ws;
    if (!ws) return;
    this.#ws = undefined;
    ws.onopen = ws.onmessage = ws.onclose = null;
    // Node's ws package throws an error of a socket that was never open where nobody listens to it.
    if (ws.readyState) ws.onerror = null;
    if (ws.readyState <= open) ws.close(1000);
  }
}
