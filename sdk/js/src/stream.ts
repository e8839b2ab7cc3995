import { connectionLost } from "./error.ts";
import { EventParser, type StreamEvent } from "./events.ts";
import { parse, type Command, type Frame } from "./frame.ts";
import { Timer } from "./timer.ts";
import type { Transport, TransportEvents } from "./transport.ts";
import type { Fetch, ResponseLike } from "./types.ts";

const settle = 10; // ms: subscribes that come together make one stream
const patience = 15_000; // ms for a stream to be there
const most = 100; // channels of a stream (clause 7.1)

/** One response that is being read. */
interface Stream {
  readonly abort: AbortController;
  /** Channels that it has not answered. */
  readonly waiting: Set<string>;
}

/**
 * Server-sent events for what comes and POST for what goes, as a transport (PROTOCOL.md, section 7).
 *
 * A stream's channels are fixed, so another set of channels or another token means another stream: the old one is read
 * until the new one has answered for all its channels.
 */
export class StreamTransport implements Transport {
  readonly socket = false as const;
  readonly #fetch: Fetch;
  readonly #base: string;
  readonly #events: TransportEvents;
  readonly #settle: Timer = new Timer();
  readonly #patience: Timer = new Timer();
  /** Channel → ref of its subscribe, 0 once answered. */
  readonly #wanted = new Map<string, number>();
  #credential = "";
  /** The ref of the auth that waits for its stream. */
  #auth = 0;
  #live: Stream | undefined;
  #next: Stream | undefined;
  #welcomed = false;
  #closed = false;

  constructor(fetch: Fetch, base: string, events: TransportEvents) {
    this.#fetch = fetch;
    this.#base = base;
    this.#events = events;
  }

  /** Without channels there is no stream, and nothing that could show life. */
  get quiet(): boolean {
    return !this.#live;
  }

  /** Two streams are read, which may both bring a message. */
  get twofold(): boolean {
    return !!(this.#live && this.#next);
  }

  start(): void {
    this.#events.open();
  }

  send({ type, ref = 0, channel = "", key, token, ...message }: Command): void {
    if (type === "publish") {
      void this.#publish(ref, { channel, ...message });
      return;
    }
    if (type === "hello" || type === "auth") {
      this.#credential = key ?? token!;
      this.#auth = ref;
    } else if (type === "unsubscribe") {
      this.#wanted.delete(channel);
      this.#tell({ type: "unsubscribed", ref, channel });
    } else if (type !== "subscribe") {
      return;
    } else if (this.#wanted.size < most) {
      this.#wanted.set(channel, ref);
    } else {
      return this.#tell({ type: "error", ref, channel, code: "channel_limit", message: "Without WebSocket, 100 channels are the most.", remedy: "Let WebSocket through, or unsubscribe from some." });
    }
    this.#change();
  }

  close(): void {
    this.#closed = true;
    this.#settle.clear();
    this.#adopt();
  }

  #change(): void {
    if (!this.#settle.pending) this.#settle.set(settle, () => void this.#open());
  }

  #tell(frame: Frame): void {
    if (!this.#closed) this.#events.frame(frame);
  }

  /** Puts stream in the place of all others. */
  #adopt(stream?: Stream): void {
    for (const other of [this.#live, this.#next]) if (other !== stream) other?.abort.abort();
    this.#live = stream;
    this.#next = undefined;
    this.#patience.clear();
  }

  async #open(): Promise<void> {
    const abort = new AbortController();
    const { signal } = abort;
    const stream: Stream = { abort, waiting: new Set(this.#wanted.keys()) };
    this.#next?.abort.abort();
    this.#next = stream;
    this.#patience.set(patience, () => this.#end({ type: "close", close: 1006 }));
    try {
      const query = [...stream.waiting].map((name) => "channel=" + encodeURIComponent(name)).join("&");
      // Without channels, a request that shows whether HTTP works and the credential is good.
      const response = await (query ? this.#request("/v1/sse?" + query, undefined, signal) : this.#request("/v1/tickets", {}, signal));
      const refusal = response.ok ? undefined : await problem(response);
      if (signal.aborted) return;
      if (refusal) return this.#refused(stream, refusal);
      if (query) return await this.#read(stream, response);
      this.#welcome({ type: "welcome" });
      this.#adopt();
    } catch {
      this.#broken(stream, { type: "close", close: 1006 });
    }
  }

  async #read(stream: Stream, response: ResponseLike): Promise<void> {
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (stream.abort.signal.aborted) return;
      if (done) throw 0;
      this.#events.alive();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        this.#event(stream, event);
        if (stream.abort.signal.aborted) return;
      }
    }
  }

  #event(stream: Stream, { name, data }: StreamEvent): void {
    const frame = parse(data);
    const channel = frame?.channel ?? "";
    const ref = this.#wanted.get(channel);
    if (!frame) return;
    if (name === "welcome") this.#welcome(frame);
    if (name === "close") this.#broken(stream, frame);
    if (name === "message" && ref !== undefined) this.#tell(frame);
    if (name === "subscribed") {
      if (ref) {
        this.#wanted.set(channel, 0);
        this.#tell({ ...frame, ref });
      }
      stream.waiting.delete(channel);
      if (stream === this.#next && !stream.waiting.size) this.#adopt(stream);
    }
  }

  /** The first welcome is told as it is; a later one answers auth. */
  #welcome(frame: Frame): void {
    const ref = this.#auth;
    this.#auth = 0;
    if (!this.#welcomed) this.#tell(frame);
    else if (ref) this.#tell({ ...frame, type: "authorized", ref });
    this.#welcomed = true;
  }

  /** A stream ended. That matters unless another one is about to take its place. */
  #broken(stream: Stream, frame: Frame): void {
    if (stream.abort.signal.aborted) return;
    if (stream === this.#live && this.#next) this.#live = undefined;
    else this.#end(frame);
  }

  #end(frame: Frame): void {
    this.#events.frame(frame);
    this.close();
    this.#events.closed(frame.close!, "");
  }

  /** One channel's refusal is that channel's end; any other is the connection's. */
  #refused({ waiting }: Stream, frame: Frame): void {
    const [first = ""] = waiting;
    const channel = frame.channel ?? (frame.code === "not_granted" && waiting.size === 1 ? first : "");
    const ref = this.#wanted.get(channel);
    if (ref === undefined) return this.#end({ ...frame, type: "close" });
    this.#wanted.delete(channel);
    this.#change();
    this.#tell({ ...frame, channel, type: ref ? "error" : "unsubscribed", ref });
  }

  async #publish(ref: number, message: object): Promise<void> {
    let frame: Frame;
    try {
      const response = await this.#request("/v1/messages", message);
      frame = response.ok ? { ...(await response.json()), type: "published" } : await problem(response);
    } catch {
      const { code, message, remedy } = connectionLost();
      frame = { type: "error", code, message, remedy };
    }
    this.#tell({ ...frame, ref });
    if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
  }

  #request(path: string, body?: object, signal?: AbortSignal): Promise<ResponseLike> {
    const fetch = this.#fetch; // the browser's must not be called as a method of ours
    return fetch(this.#base + path, {
      method: body ? "POST" : "GET",
      headers: { Authorization: "Bearer " + this.#credential }, // no others: servers allow other origins few
      body: body && JSON.stringify(body),
      signal,
    });
  }
}

/** The error frame that an HTTP error tells of, with the close code that says what to do. */
async function problem(response: ResponseLike): Promise<Frame> {
  const { status, headers } = response;
  const { code, detail, remedy, channel } = await response.json().catch(() => ({}));
  // What a proxy says in place of the server may pass; so may overload.
  const passes = !code || status > 499 || status === 429 || status === 408;
  return {
    type: "error",
    code: code ?? "unavailable",
    message: detail ?? "HTTP " + status,
    remedy,
    channel,
    retry_after: Number(headers.get("Retry-After")) * 1000 || undefined,
    close: code === "token_expired" ? 4201 : passes ? 1006 : 4300,
  };
}
