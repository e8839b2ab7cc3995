import type { FanfareError } from "./error.ts";

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
export type Rewind = { count: number; seconds?: never } | { seconds: number; count?: never };

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
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } } | null;
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
export type Credential =
  | {
      /** A publishable key, `ffp_…`. Secret keys do not belong in pages. */
      key: string;
      token?: never;
      getToken?: never;
    }
  | {
      /** A token that is used until it expires; then the client closes. */
      token: string;
      key?: never;
      getToken?: never;
    }
  | {
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
