import type { Fanfare } from "./client.ts";
import type { Gap, Message } from "./types.ts";

/** Which part of a channel's past. Positions are those of messages and subscriptions. */
export interface HistoryOptions {
  /** The most messages, in all; of page, in one page. Default: all that is kept, 100 in one page. */
  limit?: number;
  /** Behind this position. */
  after?: string;
  /** Before this position. */
  before?: string;
  /** Up to and with this position: a subscription's, and both mesh. */
  until?: string;
  /** Not older than this. */
  since?: Date | string;
  /** The newest come first, from message to message; within a page the oldest do. */
  newest?: boolean;
  /** Called where messages behind `after` are gone. */
  onGap?: (gap: Gap) => void;
}

/** Some messages of a channel, the oldest first. */
export interface HistoryPage<T = unknown> {
  readonly messages: Message<T>[];
  /** For the page behind it (with `newest` before it), if there is one. */
  readonly next?: string;
  /** False: messages behind `after` are gone. */
  readonly whole: boolean;
  /** Why they are. */
  readonly reason?: string;
}

/** A channel's past, message for message; each `for await` begins anew. */
export interface History<T = unknown> extends AsyncIterable<Message<T>> {
  /** One page: the first, or the one that another's `next` names. */
  page(next?: string): Promise<HistoryPage<T>>;
}

const most = 1000; // messages of a page (PROTOCOL.md, clause 9.12)
const usual = 100;

/** The messages that the server keeps of a channel. The client needs the grant `history`; it need not be connected. */
export function history<T = unknown>(ff: Fanfare, channel: string, options: HistoryOptions = {}): History<T> {
  const { limit = Infinity, newest = false, since, onGap, ...range } = options;
  const page = async (next: string | undefined, size: number): Promise<HistoryPage<T>> => {
    const query = new URLSearchParams({ channel, limit: String(size) });
    const members = { ...range, [newest ? "before" : "after"]: next ?? (newest ? range.before : range.after), since: since && new Date(since).toISOString(), newest: newest || undefined };
    for (const [name, value] of Object.entries(members)) if (value !== undefined) query.set(name, String(value));
    const { messages, ...rest } = await ff.request("/v1/messages?" + query);
    if (rest.whole === false && !next) onGap?.({ channel, since: range.after ?? "", position: messages[0]?.previous ?? "", reason: rest.reason });
    // The same object as a handler gets.
    return { whole: true, ...rest, messages: messages.map(({ type: _, ...message }: { type?: string }) => message) };
  };
  return {
    page: (next) => page(next, options.limit ?? usual),
    async *[Symbol.asyncIterator]() {
      let left = limit;
      let size = usual; // who wants few does not wait for many
      let next: string | undefined;
      do {
        const found = await page(next, Math.min(left, size));
        size = most;
        for (const message of newest ? found.messages.reverse() : found.messages) yield message;
        left -= found.messages.length;
        next = found.next;
      } while (next && left > 0);
    },
  };
}
