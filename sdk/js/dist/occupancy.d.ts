/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

import type { Fanfare, FanfareError } from "@fanfarehq/client";

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
/**
 * Calls changed with how many there are in a channel: at once, and then at most once a second when that changes. Fulfilled
 * with the first numbers; rejected if the server refuses, as with `presence_off` where the namespace's rule has no
 * occupancy. What ends it later goes to failed.
 */
export declare function occupancy(ff: Fanfare, channel: string, changed: (numbers: Numbers) => unknown, failed?: (error: FanfareError) => unknown): Promise<Counter>;
