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
 * until the new one has answered for all its channels, and what both bring is taken once.
 */
export class StreamTransport implements Transport {
  readonly socket = false as const;
  readonly #fetch: Fetch;
  readonly #base: string;
  readonly #events: TransportEvents;
  readonly #settle = new Timer();
  readonly #patience = new Timer();
  /** Channel → ref of its subscribe, 0 once answered. */
  readonly #wanted = new Map<string, number>();
  #credential = "";
  /** The auth that waits for its stream. */
  #auth: { ref: number; before: string } | undefined;
  #live: Stream | undefined;
  #next: Stream | undefined;
  #seen = new Set<string>();
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

  start(): void {
    this.#events.open();
  }

  send(command: Command): void {
    const { ref = 0, channel = "" } = command;
    switch (command.type) {
      case "hello":
        this.#credential = command.key ?? command.token ?? "";
        return this.#change();
      case "auth":
        this.#auth = { ref, before: this.#credential };
        this.#credential = command.token ?? "";
        return this.#change();
      case "subscribe":
        if (this.#wanted.size < most) this.#wanted.set(channel, ref);
        else this.#answer({ type: "error", ref, channel, code: "channel_limit", message: "Without WebSocket a client has at most 100 channels.", remedy: "Let WebSocket through, or unsubscribe from some." });
        return this.#change();
      case "unsubscribe":
        this.#wanted.delete(channel);
        this.#answer({ type: "unsubscribed", ref, channel });
        return this.#change();
      case "publish":
        void this.#publish(command);
    }
  }

  close(): void {
    this.#closed = true;
    this.#settle.clear();
    this.#patience.clear();
    this.#live?.abort.abort();
    this.#next?.abort.abort();
    this.#live = this.#next = undefined;
  }

  #change(): void {
    if (!this.#settle.pending) this.#settle.set(settle, () => this.#reopen());
  }

  /** Answers later, as a server does. */
  #answer(frame: Frame): void {
    queueMicrotask(() => this.#tell(frame));
  }

  #tell(frame: Frame): void {
    if (!this.#closed) this.#events.frame(frame);
  }

  #end(frame: Frame): void {
    if (this.#closed) return;
    this.#events.frame(frame);
    this.close();
    this.#events.closed(frame.close!, frame.code ?? "");
  }

  #reopen(): void {
    this.#next?.abort.abort();
    const stream: Stream = { abort: new AbortController(), waiting: new Set(this.#wanted.keys()) };
    this.#next = stream;
    this.#seen.clear();
    this.#patience.set(patience, () => this.#end({ type: "close", close: 1006 }));
    const work = stream.waiting.size ? this.#read(stream) : this.#probe(stream);
    work.catch((error) => this.#broken(stream, { type: "close", close: 1006, message: String(error) }));
  }

  /** Takes the place of the stream before. */
  #adopt(stream: Stream | undefined): void {
    this.#live?.abort.abort();
    this.#live = stream;
    this.#next = undefined;
    this.#patience.clear();
  }

  /** Without channels: asks whether HTTP works and the credential is good, where that is not known. */
  async #probe(stream: Stream): Promise<void> {
    if (!this.#welcomed || this.#auth) {
      const response = await this.#request("/v1/tickets", stream, {});
      if (stream.abort.signal.aborted) return;
      if (!response.ok) return this.#refused(stream, await problem(response));
      this.#welcome({ type: "welcome" });
    }
    if (this.#next === stream) this.#adopt(undefined);
  }

  async #read(stream: Stream): Promise<void> {
    const query = [...stream.waiting].map((name) => "channel=" + encodeURIComponent(name)).join("&");
    const response = await this.#request("/v1/sse?" + query, stream);
    if (!response.ok) return this.#refused(stream, await problem(response));
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (stream.abort.signal.aborted) return;
      if (done) return this.#broken(stream, { type: "close", close: 1006 });
      this.#events.alive();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        this.#event(stream, event);
        if (stream.abort.signal.aborted) return;
      }
    }
  }

  #event(stream: Stream, event: StreamEvent): void {
    const frame = parse(event.data);
    if (!frame) return;
    const { channel = "", id = "" } = frame;
    switch (event.name) {
      case "welcome":
        return this.#welcome(frame);
      case "subscribed": {
        const ref = this.#wanted.get(channel);
        if (ref) {
          this.#wanted.set(channel, 0);
          this.#tell({ ...frame, ref });
        }
        stream.waiting.delete(channel);
        if (this.#next === stream && !stream.waiting.size) this.#adopt(stream);
        return;
      }
      case "message":
        if (!this.#wanted.has(channel)) return;
        if (this.#next && this.#live) {
          if (this.#seen.has(id)) return;
          this.#seen.add(id);
        }
        return this.#tell(frame);
      case "close":
        return this.#broken(stream, frame);
    }
  }

  /** The first welcome is told as it is; a later one answers auth. */
  #welcome(frame: Frame): void {
    const auth = this.#auth;
    this.#auth = undefined;
    if (!this.#welcomed) {
      this.#welcomed = true;
      this.#tell(frame);
    } else if (auth) this.#tell({ ...frame, type: "authorized", ref: auth.ref });
  }

  /** A stream ended. That matters unless another one is about to take its place. */
  #broken(stream: Stream, frame: Frame): void {
    if (stream.abort.signal.aborted) return;
    if (stream === this.#live && this.#next) this.#live = undefined;
    else this.#end(frame);
  }

  #refused(stream: Stream, frame: Frame): void {
    if (stream.abort.signal.aborted) return;
    const channel = frame.channel ?? (frame.code === "not_granted" && stream.waiting.size === 1 ? [...stream.waiting][0]! : "");
    const ref = this.#wanted.get(channel);
    if (ref !== undefined) {
      this.#wanted.delete(channel);
      this.#tell({ ...frame, channel, type: ref ? "error" : "unsubscribed", ...(ref && { ref }) });
      this.#change();
    } else if (this.#auth && this.#live) {
      this.#credential = this.#auth.before;
      this.#tell({ ...frame, ref: this.#auth.ref });
      this.#auth = undefined;
      this.#next = undefined;
      this.#patience.clear();
      if (stream.waiting.size !== this.#wanted.size || [...this.#wanted.values()].some(Boolean)) this.#change();
    } else this.#end({ ...frame, type: "close" });
  }

  async #publish({ ref = 0, type: _, ...message }: Command): Promise<void> {
    let frame: Frame;
    try {
      const response = await this.#request("/v1/messages", undefined, message);
      frame = response.ok ? { ...(await response.json()), type: "published" } : await problem(response);
    } catch (error) {
      frame = { type: "error", code: "connection_lost", message: String(error), remedy: "Publish it again; the message may or may not have gone out." };
    }
    this.#tell({ ...frame, ref });
    if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
  }

  #request(path: string, stream?: Stream, body?: unknown): Promise<ResponseLike> {
    const fetch = this.#fetch; // the browser's must not be called as a method of ours
    return fetch(this.#base + path, {
      method: body ? "POST" : "GET",
      headers: { Authorization: "Bearer " + this.#credential, ...(body ? { "Content-Type": "application/json" } : { Accept: "text/event-stream" }) },
      cache: "no-store",
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(stream && { signal: stream.abort.signal }),
    });
  }
}

/** The error frame that an HTTP error tells of, with the close code that says what to do. */
async function problem(response: ResponseLike): Promise<Frame> {
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After"));
  // What a proxy says instead of the server may pass; so may overload.
  const final = body.code && status < 500 && status !== 408 && status !== 429;
  return {
    type: "error",
    code: body.code ?? "unavailable",
    message: body.detail ?? `HTTP ${status}`,
    remedy: body.remedy ?? "",
    ...(body.channel && { channel: body.channel }),
    ...(wait && { retry_after: wait * 1000 }),
    close: body.code === "token_expired" ? 4201 : final ? 4300 : 1006,
  };
}
