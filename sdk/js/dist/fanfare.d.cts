/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

/** What a {@link FanfareError} knows besides its code, message and remedy. */
export interface ErrorDetails {
    /** The channel it is about. */
    channel?: string | undefined;
    /** When trying again makes sense, in milliseconds. */
    retryAfter?: number | undefined;
    /** Where the channel is, of `position_conflict`. */
    position?: string | undefined;
    /** What was thrown first. */
    cause?: unknown;
}
/**
 * The one kind of error that the client rejects with and reports.
 *
 * `code` is for programs and never changes. It is one of the server's codes (PROTOCOL.md, section 10) or the client's own:
 * `closed`, `not_connected`, `no_answer`, `connection_lost`, `token_failed`, `options_invalid`.
 */
export declare class FanfareError extends Error {
    readonly code: string;
    /** What to do first. */
    readonly remedy: string;
    readonly channel: string | undefined;
    /** When trying again makes sense, in milliseconds. */
    readonly retryAfter: number | undefined;
    /** Where the channel is, of `position_conflict`. */
    readonly position: string | undefined;
    constructor(code: string, message: string, remedy: string, details?: ErrorDetails);
}
/** The client was closed; cause says why, where it was not the app that did it. */
export declare function closed(cause?: FanfareError): FanfareError;
export declare function connectionLost(): FanfareError;
export declare function noAnswer(): FanfareError;
export declare function optionsInvalid(message: string, remedy: string): FanfareError;

/**
 * What the connection is doing.
 *
 * - `initialized`: nothing yet; the first connect, subscribe or publish begins it.
 * - `connecting`: the first try is under way.
 * - `connected`: messages flow.
 * - `reconnecting`: the connection is lost or could not be made; it is tried again with back-off.
 * - `suspended`: no connection for two minutes; it is tried every 30 seconds.
 * - `closed`: the end, by close() or because coming back cannot help.
 */
export type State = "initialized" | "connecting" | "connected" | "reconnecting" | "suspended" | "closed";
/** A step from one state to another; `error` says why, where something went wrong. */
export interface StateChange {
    readonly current: State;
    readonly previous: State;
    readonly error?: FanfareError | undefined;
}
/** A message of a channel. */
export interface Message<T = unknown> {
    readonly channel: string;
    readonly id: string;
    /** Where in the channel it stands; "" on an ephemeral channel. */
    readonly position: string;
    /** The position of the message before it. */
    readonly previous: string;
    /** The server's clock, Unix milliseconds. */
    readonly time: number;
    /** The event name that the publisher gave. */
    readonly event?: string;
    /** Who published it, if a client with a token for that user did. */
    readonly user?: string;
    readonly data: T;
}
/** The server's answer to a publish. */
export interface Published {
    readonly id: string;
    readonly position: string;
    /** The id was published within the last two minutes, by this client's second try for example; position is that of the first time. */
    readonly duplicate: boolean;
}
/** What may be said about a message besides its data. */
export interface PublishOptions {
    /** A name for what the message is, 1 to 200 bytes. */
    event?: string;
    /** An id of your own, 1 to 64 characters of A-Z a-z 0-9 . _ : - Default: a random one. */
    id?: string;
    /** Publish only if this is the position of the channel's last message; "" if it has none. Else it is a `position_conflict`. */
    ifPosition?: string;
}
/** How much of the past comes first: that many messages, 1 to 100, or those of that many seconds, 1 to 2,592,000. */
export type Rewind = {
    count: number;
    seconds?: never;
} | {
    seconds: number;
    count?: never;
};
/** Where a subscription begins. Counts for a channel's first handler. Default: with what comes from now on. */
export interface SubscribeOptions {
    /** Begin behind this position, as another page or server knew it. If that is gone, `gap` tells. */
    since?: string;
    /** Begin with the newest part of the past; after a `since` that is gone too. */
    rewind?: Rewind;
}
/** Messages of a channel may be missing between two positions. */
export interface Gap {
    readonly channel: string;
    readonly since: string;
    readonly position: string;
    /**
     * Why: `expired`, `evicted` (too many), `epoch` (the channel was moved or lost), `ephemeral`, `position_invalid`,
     * `missed` (a hole between messages), `unknown` (server-sent events do not say).
     */
    readonly reason: string;
}
/** A subscription that the server ended or did not restore. */
export interface Ended {
    readonly channel: string;
    readonly error: FanfareError;
}
/** The events of a client and what their listeners get. */
export interface Events {
    /** The connection's state changed. */
    state: StateChange;
    /** Something failed that no promise tells of, a throwing handler for example. Without a listener it goes to the console. */
    error: Error;
    /** Messages may have been missed. */
    gap: Gap;
    /** The server ended a subscription. */
    unsubscribed: Ended;
}
/** As much of a WebSocket as the client uses. */
export interface SocketLike {
    readonly readyState: number;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send(data: string): void;
    close(code?: number): void;
}
/** A WebSocket class: the browser's, Node's, or that of the package `ws`. */
export type SocketClass = new (url: string, protocol: string) => SocketLike;
/** As much of a Response as the client uses. */
export interface ResponseLike {
    readonly ok: boolean;
    readonly status: number;
    readonly type: string;
    readonly headers: {
        get(name: string): string | null;
    };
    readonly body: {
        getReader(): {
            read(): Promise<{
                done: boolean;
                value?: Uint8Array | undefined;
            }>;
        };
    } | null;
    json(): Promise<any>;
}
/** A fetch function: the browser's, Node's, or a stand-in. */
export type Fetch = (url: string, init?: any) => Promise<ResponseLike>;
/** Where the server is and what to reach it with. */
export interface Place {
    /** The server, such as `https://push.example.com`. Default: the server that this script or page came from. */
    url?: string;
    /** Default: the global one. Without any, server-sent events are used. */
    WebSocket?: SocketClass;
    /** Default: the global one. */
    fetch?: Fetch;
    /** Listens to the event `gap` from the beginning. */
    onGap?: (gap: Gap) => void;
    /** Keep positions over a reload of the page, in sessionStorage, for two minutes. */
    persist?: boolean;
}
/** Exactly one of key, token and getToken: who the client is. */
export type Credential = {
    /** A publishable key, `ffp_…`. Secret keys do not belong in pages. */
    key: string;
    token?: never;
    getToken?: never;
} | {
    /** A token that is used until it expires; then the client closes. */
    token: string;
    key?: never;
    getToken?: never;
} | {
    /** Gets a token from your server: called for each connect, and before the token expires. */
    getToken: () => string | Promise<string>;
    key?: never;
    token?: never;
};
/** What a client is made with. */
export type Options = Place & Credential;
/** A handler's hold on a channel. */
export interface Subscription {
    readonly channel: string;
    /** What came up to here is the past: history until it and this subscription mesh, without rewind. "" on an ephemeral channel. */
    readonly position: string;
    /** Whether messages still reach the handler: false after unsubscribe, close, or when the server ended it. */
    readonly active: boolean;
    /** Ends it at once. The promise is fulfilled when the server knows; it never rejects. */
    unsubscribe(): Promise<void>;
}

/**
 * A client of a Fanfare server. It connects by itself with the first subscribe or publish, comes back by itself when the
 * connection breaks, and goes on where its subscriptions were. A page may have several. Its life ends with close.
 */
export declare class Fanfare {
    #private;
    /** The class of all errors, for pages that load the client by a script tag. */
    static readonly Error: typeof FanfareError;
    /** Opens nothing yet. Throws a FanfareError where the options make no sense. */
    constructor(options: Options);
    get state(): State;
    /** Connects now. Fulfilled when connected; rejected only if the client closes. */
    connect(): Promise<void>;
    /**
     * Calls handler with each message of the channel, until unsubscribed. Fulfilled when the server has answered; while
     * there is no connection it waits. The channel is subscribed to once, however many handlers it has. After a break it
     * goes on behind the last message; where that cannot be, the event `gap` tells.
     */
    subscribe<T = unknown>(channel: string, handler: (message: Message<T>) => unknown, options?: SubscribeOptions): Promise<Subscription>;
    /**
     * Publishes data, any JSON value. Fulfilled when the server has taken it. While there is no connection it waits for
     * one, at most 10 s; where the connection breaks before the answer it is sent once more, with the same id, so that a
     * durable channel has it once. After `connection_lost` and `no_answer` the message may or may not have gone out.
     */
    publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
    /** Sends a command of PROTOCOL.md and gives its answer; rejects as it is refused. It waits and goes out again as publish says. */
    command(command: {
        type: string;
    }): Promise<any>;
    /** Calls the server's REST API (PROTOCOL.md, section 9) as this client: a POST where there is a body. Rejects as it refuses. */
    request(path: string, body?: object): Promise<any>;
    /** Listens to an event. The function that comes back ends that. */
    on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void;
    /** Ends listening; without a listener, that of all to the event. */
    off<K extends keyof Events>(event: K, listener?: (value: Events[K]) => void): void;
    /** Ends the client for good: no timer, listener or connection of it is left. */
    close(): void;
}
