import { EventParser, type StreamEvent } from "./events.ts";
import { parse, type Command, type Frame } from "./frame.ts";
import { call, problem } from "./rest.ts";
import { Timer } from "./timer.ts";
import type { Transport, TransportEvents } from "./transport.ts";
import type { Fetch, ResponseLike, Rewind } from "./types.ts";

const settle = 10; // ms: subscribes that come together make one stream
const overlap = 500; // ms that a stream waits for what is on its way in the one before it
const patience = 15_000; // ms for a stream to be there
const most = 100; // channels of a stream (clause 7.1)
const gone: Frame = { type: "close", close: 1006 };

/** One response that is being read. */
interface Stream {
  readonly abort: AbortController;
  readonly credential: string;
  readonly channels: readonly string[];
  /** Channels that it has not answered. */
  readonly waiting: Set<string>;
  /** Its last event's; resumes its channels (clause 7.7). */
  id: string;
  /** What it is told of its channels beside messages, as a query. */
  readonly watch: string;
}

/** What outlives a transport: the last stream that had an id. */
export interface Past {
  last?: Stream | undefined;
}

/** A channel's subscribe that waits for its answer; undefined once answered. */
type Wanted = { readonly ref: number; readonly rewind: Rewind | undefined; since: string | undefined; readonly at: number | undefined } | undefined;

/** What a channel's subscribe asks for beside messages. */
type Watch = { presence: boolean; occupancy: boolean };

/** Channels, and an id that resumes them. */
type Resume = Pick<Stream, "channels" | "id">;

/**
 * Server-sent events for what comes and POST for what goes, as a transport (PROTOCOL.md, section 7).
 *
 * A stream's channels are fixed, so another set of channels or another token means another stream. The old one is read
 * until the new one has answered for all its channels, and then a moment longer, before anything new is read, unless the
 * new one resumes: positions tell what came twice.
 */
export class StreamTransport implements Transport {
  readonly socket = false as const;
  readonly #fetch: Fetch;
  readonly #base: string;
  readonly #events: TransportEvents;
  readonly #past: Past;
  /** Until a stream is opened, or takes over. */
  readonly #settle: Timer = new Timer();
  readonly #patience: Timer = new Timer();
  readonly #wanted = new Map<string, Wanted>();
  readonly #watched = new Map<string, Watch>();
  #credential = "";
  /** The ref of the auth that waits for its stream. */
  #auth = 0;
  #live: Stream | undefined;
  #next: Stream | undefined;
  #welcomed = false;
  #closed = false;

  constructor(fetch: Fetch, base: string, events: TransportEvents, past: Past) {
    this.#fetch = fetch;
    this.#base = base;
    this.#events = events;
    this.#past = past;
  }

  /** Without channels there is no stream, and nothing that could show life. */
  get quiet(): boolean {
    return !this.#live?.channels.length;
  }

  /** Two streams are read, which may both bring a message. */
  get twofold(): boolean {
    return !!(this.#live && this.#next);
  }

  start(): void {
    this.#events.open();
  }

  send({ type, ref = 0, channel = "", key, token, rewind, since, at, presence, occupancy, ...message }: Command): void {
    if (message.action) return this.#tell({ type: "error", ref, channel, code: "unknown_command", message: "Without WebSocket nobody enters or leaves.", remedy: "Let WebSocket through; server-sent events only tell who is present." });
    if (type === "publish") {
      void this.#publish(ref, { channel, ...message });
      return;
    }
    if (type === "hello" || type === "auth") {
      this.#credential = key ?? token!;
      this.#auth = ref;
    } else if (type === "unsubscribe") {
      this.#wanted.delete(channel);
      this.#watched.delete(channel);
      this.#tell({ type: "unsubscribed", ref, channel });
    } else if (type !== "subscribe") {
      return;
    } else if (this.#wanted.size < most) {
      if (presence || occupancy) this.#watched.set(channel, { presence: !!presence, occupancy: !!occupancy });
      else this.#watched.delete(channel);
      this.#wanted.set(channel, { ref, rewind, since, at });
    } else {
      return this.#tell({ type: "error", ref, channel, code: "channel_limit", message: "Without WebSocket, 100 channels are the most.", remedy: "Let WebSocket through, or unsubscribe from some." });
    }
    this.#change();
  }

  close(): void {
    this.#closed = true;
    this.#settle.clear();
    this.#patience.clear();
    for (const stream of [this.#live, this.#next]) stream?.abort.abort();
  }

  #change(): void {
    if (!this.#settle.pending) this.#settle.set(settle, () => void this.#open());
  }

  #tell(frame: Frame): void {
    if (!this.#closed) this.#events.frame(frame);
  }

  /** Puts stream in the place of the one before it. */
  #adopt(stream: Stream): void {
    this.#live?.abort.abort();
    this.#live = stream;
    this.#next = undefined;
    this.#patience.clear();
    // What was asked for meanwhile.
    if (stream.credential !== this.#credential || !this.#same(stream.channels) || stream.watch !== this.#watch(stream.channels)) this.#change();
  }

  #watch(channels: readonly string[]): string {
    const ask = (what: keyof Watch): string => channels.map((name) => (this.#watched.get(name)?.[what] ? `&${what}=${encodeURIComponent(name)}` : "")).join("");
    return ask("presence") + ask("occupancy");
  }

  #same(channels: readonly string[]): boolean {
    return channels.length === this.#wanted.size && channels.every((name) => this.#wanted.has(name));
  }

  /** What resumes from the channels' own positions, which came over a WebSocket or from the app: an id has one for each epoch. */
  #since(): Resume | undefined {
    const marks = new Map<string, number>();
    const channels: string[] = [];
    let time = Infinity;
    for (const [name, wanted] of this.#wanted) {
      if (wanted && !wanted.since) continue;
      channels.push(name);
      if (!wanted?.since) continue;
      const [epoch = "", seq] = wanted.since.split(":");
      marks.set(epoch, Math.min(marks.get(epoch) ?? Infinity, Number(seq)));
      time = Math.min(time, wanted.at ?? 0);
    }
    return marks.size ? { channels, id: [...marks].map((mark) => mark.join(":")) + (time ? "@" + time : "") } : undefined;
  }

  async #open(): Promise<void> {
    if (this.#next) return; // whatever becomes of it looks again
    const { last } = this.#past;
    // First what can be resumed; all the rest comes with the next stream.
    const resumes = last?.channels.every((name) => this.#wanted.has(name)) && (!this.#live || this.#same(last.channels)) ? last : this.#since();
    const rewind = [...this.#wanted.values()].find((wanted) => wanted?.rewind)?.rewind;
    const channels = resumes?.channels ?? [...this.#wanted].filter(([, wanted]) => !wanted?.rewind || wanted.rewind === rewind).map(([name]) => name);
    const abort = new AbortController();
    const { signal } = abort;
    const stream: Stream = { abort, credential: this.#credential, channels, waiting: new Set(channels), id: "", watch: this.#watch(channels) };
    this.#next = stream;
    this.#patience.set(patience, () => this.#end(gone));
    try {
      const query = channels.map((name) => "channel=" + encodeURIComponent(name));
      if (resumes) query.push("last_event_id=" + encodeURIComponent(resumes.id));
      if (rewind) query.push("rewind=" + (rewind.count ?? rewind.seconds + "s"));
      // Without channels, a request that shows whether HTTP works and the credential is good.
      const response = await (channels.length ? this.#request("/v1/sse?" + query.join("&") + stream.watch, undefined, signal) : this.#request("/v1/tickets", {}, signal));
      const refusal = response.ok ? undefined : await problem(response);
      if (signal.aborted) return;
      if (refusal) return this.#refused(stream, refusal);
      if (channels.length) return await this.#read(stream, response, (!!last && resumes === last) || this.quiet);
      this.#welcome(stream, { type: "welcome" });
      this.#adopt(stream);
    } catch {
      this.#broken(stream, gone);
    }
  }

  /** Reads until the end. What is sure needs no look at the stream before it. */
  async #read(stream: Stream, response: ResponseLike, sure: boolean): Promise<void> {
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
        if (stream === this.#next && !stream.waiting.size) {
          if (!sure) await new Promise<void>((done) => this.#settle.set(overlap, done));
          if (!stream.abort.signal.aborted) this.#adopt(stream);
        }
        if (stream.abort.signal.aborted) return;
        if (stream.id && stream === this.#live) this.#past.last = stream;
      }
    }
  }

  #event(stream: Stream, { name, data, id }: StreamEvent): void {
    stream.id = id;
    const time = !data && /@(\d+)$/.exec(id)?.[1];
    if (time) this.#tell({ type: "ping", time: Number(time) }); // this server's ids tell its time
    const frame = parse(data);
    const channel = frame?.channel ?? "";
    if (!frame) return;
    if (name === "welcome") this.#welcome(stream, frame);
    if (name === "close") this.#broken(stream, frame);
    if (name === "message" && this.#wanted.has(channel)) this.#tell(frame);
    const watch = this.#watched.get(channel);
    // Of two streams, the newer one tells how it is from the beginning.
    if ((name === "presence" || name === "occupancy") && watch?.[name] && stream === (this.#next ?? this.#live)) this.#tell(frame);
    if (name === "error" && watch) this.#unwatch(frame);
    if (name === "subscribed") {
      if (watch?.presence) this.#tell({ type: "presence", channel, action: "anew" });
      const wanted = this.#wanted.get(channel);
      if (wanted) {
        this.#wanted.set(channel, undefined);
        this.#tell({ ...frame, ref: wanted.ref });
      }
      stream.waiting.delete(channel);
    }
  }

  /** The first welcome is told as it is; a later one answers auth. */
  #welcome(stream: Stream, frame: Frame): void {
    const ref = this.#auth;
    if (stream.credential !== this.#credential) return;
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

  /** One channel's refusal is that channel's end, an id's that of the resume; any other is the connection's. */
  #refused({ channels }: Stream, frame: Frame): void {
    const { code } = frame;
    const [first = ""] = channels;
    const channel = frame.channel ?? (code === "not_granted" && channels.length === 1 ? first : "");
    const known = this.#wanted.has(channel);
    const forgets = code === "position_invalid" && (this.#past.last || this.#since());
    if (!known && !forgets) return this.#end({ ...frame, type: "close" });
    if (known && !forgets && !this.#wanted.get(channel) && this.#watched.has(channel)) {
      this.#next = undefined;
      return this.#unwatch({ ...frame, channel });
    }
    this.#next = this.#past.last = undefined;
    if (forgets) for (const wanted of this.#wanted.values()) if (wanted) wanted.since = undefined;
    const wanted = this.#wanted.get(channel);
    this.#wanted.delete(channel);
    this.#watched.delete(channel);
    this.#change();
    if (known) this.#tell({ ...frame, channel, type: wanted ? "error" : "unsubscribed", ref: wanted?.ref });
  }

  /** What a channel is told beside messages is refused: messages go on without. */
  #unwatch(frame: Frame): void {
    this.#watched.delete(frame.channel!);
    this.#change();
    this.#tell({ ...frame, type: "error" });
  }

  async #publish(ref: number, message: object): Promise<void> {
    try {
      const response = await this.#request("/v1/messages", message);
      const frame = response.ok ? { ...(await response.json()), type: "published" } : await problem(response);
      this.#tell({ ...frame, ref });
      if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
    } catch {
      if (!this.#closed) this.#end(gone); // it is sent again when we are back
    }
  }

  #request(path: string, body?: object, signal?: AbortSignal): Promise<ResponseLike> {
    return call(this.#fetch, this.#base + path, this.#credential, body, signal);
  }
}
