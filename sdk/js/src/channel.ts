import type { FanfareError } from "./error.ts";
import { Timer } from "./timer.ts";
import type { Message } from "./types.ts";

/** A promise's two ends. */
export interface Waiter {
  resolve(): void;
  reject(error: FanfareError): void;
}

/** A promise whose ends are put into list. */
export function wait(list: Waiter[]): Promise<void> {
  return new Promise((resolve, reject) => list.push({ resolve, reject }));
}

/** One handler of a channel; an object of its own, so that a function may be given twice. */
export interface Holder {
  readonly handler: (message: Message<any>) => unknown;
}

/** A channel as the server knows it: one subscription there, any number of handlers here. */
export class Channel {
  readonly name: string;
  readonly holders: Set<Holder> = new Set();
  /** Who waits for the server's answer. */
  readonly waiting: Waiter[] = [];
  /** Of the last message seen; "" where there is none. */
  position = "";
  /** The server has answered, on this connection. */
  live = false;
  /** Counts the subscribes sent; answers to all but the last are void. */
  turn = 0;
  /** Until a subscribe that came too soon is sent again. */
  readonly retry: Timer = new Timer();

  constructor(name: string) {
    this.name = name;
  }

  /** Stops everything that is under way; returns who waited. */
  end(): Waiter[] {
    this.turn++;
    this.live = false;
    this.holders.clear();
    this.retry.clear();
    return this.waiting.splice(0);
  }
}
