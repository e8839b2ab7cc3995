import type { Command, Frame } from "./frame.ts";

/** One connection to a server, whatever carries it. It is used once: start, then close. */
export interface Transport {
  /** Whether a WebSocket carries it. */
  readonly socket: boolean;
  start(): void;
  send(command: Command): void;
  /** Ends it; no event comes after. */
  close(): void;
}

/** What a transport tells. */
export interface TransportEvents {
  /** Commands may be sent; the first must be hello. */
  open(): void;
  frame(frame: Frame): void;
  /** Something came, if only a sign of life. */
  alive(): void;
  /** It ended by itself. code is a WebSocket close code, 1006 for a connection that broke. */
  closed(code: number, reason: string): void;
}
