import type { FanfareError } from "./error.ts";
import { Timer } from "./timer.ts";
import type { Answer } from "./request.ts";
import type { Message, Rewind } from "./types.ts";

/** A promise's two ends; what it is fulfilled with is a channel's position. */
export interface Waiter {
  resolve(position: string): void;
  reject(error: FanfareError): void;
}

/** A promise whose ends are put into list. */
export function wait(list: Waiter[]): Promise<string> {
  return new Promise((resolve, reject) => list.push({ resolve, reject }));
}

/** One handler of a channel; an object of its own, so that a function may be given twice. */
export interface Holder {
  readonly handler: (message: Message<any>) => unknown;
  /** Of presence and occupancy, told each answer to a subscribe, and the channel's frames of both. An error is the last it is told. */
  readonly told?: ((answer: Answer) => void) | undefined;
  /** What told needs with the subscribe. */
  readonly asks?: { presence?: true; occupancy?: true; early?: true } | undefined;
}

/** A channel as the server knows it: one subscription there, any number of handlers here. */
export class Channel {
  readonly name: string;
  readonly holders: Set<Holder> = new Set();
  /** Who waits for the server's answer. */
  readonly waiting: Waiter[] = [];
  /** Of the last message, or where the subscription began (clause 3.9); "" where there is none. */
  position = "";
  /** The server's time when surely all was here up to position, Unix milliseconds. */
  at: number | undefined;
  /** Pings until that time is theirs: a replay may still be under way. */
  lag = 0;
  /** For the first subscribe. */
  rewind: Rewind | undefined;
  /** The next message may be older than position. */
  rewound = false;
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
