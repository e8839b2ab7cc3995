/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

import type { Fanfare, FanfareError } from "@fanfarehq/client";

/** A user who is present, on however many connections. */
export interface Member<D = unknown> {
    readonly user: string;
    /** What any of the connections said last; missing if that was nothing. */
    readonly data?: D;
    readonly connections: number;
}
/** The events of a room and what their listeners get. `members` has changed already. */
export interface RoomEvents<D = unknown> {
    enter: Member<D>;
    update: Member<D>;
    /** As the member was. */
    leave: Member<D>;
    /** All was told anew, after a reconnect for example; what differs came as the events above. */
    sync: ReadonlyMap<string, Member<D>>;
    /** Coming back was refused, or what has to do with presence waits for a WebSocket. Without a listener it goes to the console. */
    error: FanfareError;
}
/** Who is in a channel. It lives until it is closed, the client is, or the server refuses it; then `active` is false. */
export interface Room<D = unknown> {
    readonly channel: string;
    /** By user, as last told; without a connection it stands still. */
    readonly members: ReadonlyMap<string, Member<D>>;
    readonly active: boolean;
    /** Enters, as the user of the client's token, and again after each reconnect. Data is any JSON of at most 1,024 bytes. */
    enter(data?: D): Promise<void>;
    /** Says something else about the user, who has entered. */
    update(data: D): Promise<void>;
    /** Leaves at once; the room still tells of the others. */
    leave(): Promise<void>;
    /** Listens to an event. The function that comes back ends that. */
    on<K extends keyof RoomEvents<D>>(event: K, listener: (value: RoomEvents<D>[K]) => void): () => void;
    /** Leaves, if it entered, and is told no more. Fulfilled when the server knows; never rejects. */
    close(): Promise<void>;
}
/**
 * Who is in a channel. The client needs the grants `subscribe` and `presence`; to enter, a WebSocket too. Fulfilled when all members
 * are known; rejected if the server refuses. One room for each channel is enough: all of a client's are in it together.
 */
export declare function presence<D = unknown>(ff: Fanfare, channel: string): Promise<Room<D>>;
