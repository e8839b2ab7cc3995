import type { Fanfare } from "./client.ts";
import type { FanfareError } from "./error.ts";
import type { Subscription } from "./types.ts";

/** How many there are in a channel, of all connections of all servers. */
export interface Numbers {
  readonly subscribers: number;
  /** Users who are present. */
  readonly members: number;
}

/** What counts a channel. It lives until it is closed, the client is, or the server refuses it; then `active` is false. */
export interface Counter {
  readonly channel: string;
  /** As last told; without a connection they stand still. */
  readonly numbers: Numbers;
  readonly active: boolean;
  /** Ends it. Fulfilled when the server knows; never rejects. */
  close(): Promise<void>;
}

/** What the core tells (PROTOCOL.md, clause 11.8). */
type Told = FanfareError | { type: string; occupancy?: Numbers };

/**
 * Calls changed with how many there are in a channel: at once, and then at most once a second when that changes. Fulfilled
 * with the first numbers; rejected if the server refuses, as with `presence_off` where the namespace's rule has no
 * occupancy. What ends it later goes to failed.
 */
export function occupancy(ff: Fanfare, channel: string, changed: (numbers: Numbers) => unknown, failed?: (error: FanfareError) => unknown): Promise<Counter> {
  return new Promise((resolve, reject) => {
    let active = true;
    let numbers: Numbers | undefined;
    let subscribed: Promise<Subscription> | undefined;
    const leave = (): Promise<void> | undefined => subscribed?.then((sub) => sub.unsubscribe()).catch(() => {});
    const stop = (error?: FanfareError): void => {
      if (!active) return;
      active = false;
      for (const off of offs) off();
      if (error && !numbers) reject(error);
      else if (error) failed?.(error);
    };
    const failure = (code: string, message: string, remedy: string): FanfareError => new (ff.constructor as typeof Fanfare).Error(code, message, remedy, { channel });
    const offs = [
      ff.on("unsubscribed", (ended) => {
        if (ended.channel === channel) stop(ended.error);
      }),
      ff.on("state", ({ current, error }) => {
        if (current === "closed") stop(error ?? (numbers ? undefined : failure("closed", "The client is closed.", "Make a new Fanfare.")));
      }),
    ];
    const counter: Counter = {
      channel,
      get numbers() {
        return numbers!;
      },
      get active() {
        return active;
      },
      close: async () => {
        stop();
        await leave();
      },
    };
    const told = (frame: Told): void => {
      if (!active) return;
      if (frame instanceof Error) {
        if (frame.code !== "already_subscribed") stop(frame);
      } else if (frame.type === "occupancy") {
        const { subscribers, members } = frame.occupancy!;
        const same = numbers?.subscribers === subscribers && numbers.members === members;
        numbers = { subscribers, members };
        resolve(counter);
        if (!same) changed(numbers);
      }
    };
    subscribed = ff.subscribe(channel, () => {}, { told, asks: { occupancy: true } } as object);
    subscribed.then(
      () => active || void leave(),
      (error) => stop(error),
    );
  });
}
