/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

import type { Fanfare, Gap, Message } from "@fanfarehq/client";

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
/** The messages that the server keeps of a channel. The client needs the grant `history`; it need not be connected. */
export declare function history<T = unknown>(ff: Fanfare, channel: string, options?: HistoryOptions): History<T>;
