/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

import type { Fanfare, Message, SubscribeOptions, Subscription } from "@fanfarehq/client";

/** A message as it comes first: stored, or before that. */
export interface EarlyMessage<T = unknown> extends Message<T> {
    /** It came before it was stored: it has no position yet, and where its publish fails in the end it never gets one. */
    readonly early?: true;
}
/**
 * Is subscribe for channels where seconds matter more than order: while a cluster elects a leader, and nothing can be
 * stored, messages come all the same, each of them once. Those that come early may overtake others. Over server-sent
 * events none comes early.
 */
export declare function early<T = unknown>(ff: Fanfare, channel: string, handler: (message: EarlyMessage<T>) => unknown, options?: SubscribeOptions): Promise<Subscription>;
