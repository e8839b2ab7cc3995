import type { Fanfare } from "./client.ts";
import { report, run } from "./emitter.ts";
import type { Message, SubscribeOptions, Subscription } from "./types.ts";

/** A message as it comes first: stored, or before that. */
export interface EarlyMessage<T = unknown> extends Message<T> {
  /** It came before it was stored: it has no position yet, and where its publish fails in the end it never gets one. */
  readonly early?: true;
}

const most = 1000; // ids of each kind
const window = 150_000; // ms in which a message that came early is stored, if at all

/**
 * Is subscribe for channels where seconds matter more than order: while a cluster elects a leader, and nothing can be
 * stored, messages come all the same, each of them once. Those that come early may overtake others. Over server-sent
 * events none comes early.
 */
export function early<T = unknown>(ff: Fanfare, channel: string, handler: (message: EarlyMessage<T>) => unknown, options: SubscribeOptions = {}): Promise<Subscription> {
  const stored = new Map<string, number>(); // id → time: the newest
  const ahead = new Map<string, number>(); // came early, and not stored yet
  let since: number | undefined; // all that are newer, if they came at all, are in stored
  const told = (frame: Partial<Message<T>> & { type?: string }): void => {
    const { type, id = "", time = 0 } = frame;
    if (type === "subscribed") since ??= time || undefined;
    // Of what is not sure to be new the stored one is enough.
    if (type !== "early" || stored.has(id) || ahead.has(id) || !(time > since!)) return;
    for (const [old, at] of ahead) if (at < time - window) ahead.delete(old);
    if (ahead.size >= most) return;
    ahead.set(id, time);
    const { type: _, ...message } = frame;
    void run(handler, { ...message, position: "", previous: "", early: true } as EarlyMessage<T>, report);
  };
  const take = (message: Message<T>): unknown => {
    const { id, time } = message;
    stored.set(id, time);
    for (const [old, at] of stored) {
      if (stored.size <= most) break;
      stored.delete(old);
      since = Math.max(since ?? 0, at);
    }
    return ahead.delete(id) || handler(message);
  };
  return ff.subscribe(channel, take, { ...options, told, asks: { early: true } } as SubscribeOptions);
}
