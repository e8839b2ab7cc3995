import { address } from "./address.ts";
import { Channel, wait, type Holder, type Waiter } from "./channel.ts";
import { Connection } from "./connection.ts";
import { Emitter, report, run } from "./emitter.ts";
import { closed, FanfareError, optionsInvalid } from "./error.ts";
import { errorOf, type Frame } from "./frame.ts";
import { Memory } from "./memory.ts";
import { checkChannel, makeID } from "./name.ts";
import { distance } from "./position.ts";
import type { Answer } from "./request.ts";
import type { Events, Message, Options, Published, PublishOptions, State, StateChange, SubscribeOptions, Subscription } from "./types.ts";

/**
 * A client of a Fanfare server. It connects by itself with the first subscribe or publish, comes back by itself when the
 * connection breaks, and goes on where its subscriptions were. A page may have several. Its life ends with close.
 */
export class Fanfare {
  /** The class of all errors, for pages that load the client by a script tag. */
  static readonly Error: typeof FanfareError = FanfareError;

  readonly #emitter = new Emitter<Events>();
  readonly #channels = new Map<string, Channel>();
  readonly #connection: Connection;
  readonly #waiting: Waiter[] = [];
  readonly #memory: Memory | undefined;

  /** Opens nothing yet. Throws a FanfareError where the options make no sense. */
  constructor(options: Options) {
    const { key, token, getToken, onGap, persist } = options;
    const url = address(options.url);
    if ([key, token, getToken].filter(Boolean).length !== 1) {
      throw optionsInvalid("The client needs one of key, token and getToken.", 'Give key: "ffp_…", or a getToken that asks your server.');
    }
    this.#connection = new Connection(
      { ...options, url, WebSocket: options.WebSocket ?? globalThis.WebSocket, fetch: options.fetch ?? globalThis.fetch },
      {
        state: (change) => this.#changed(change),
        greeted: () => this.#channels.forEach((channel) => this.#join(channel)),
        frame: (frame) => this.#received(frame),
        failed: (error) => this.#failed(error),
      },
    );
    if (onGap) this.on("gap", onGap);
    if (persist) this.#memory = new Memory("fanfare " + url + " " + (key ?? ""), this.#channels);
  }

  get state(): State {
    return this.#connection.state;
  }

  /** Connects now. Fulfilled when connected; rejected only if the client closes. */
  connect(): Promise<void> {
    const connected = this.#connected();
    connected.catch(() => {}); // nobody has to wait for it
    return connected;
  }

  /**
   * Calls handler with each message of the channel, until unsubscribed. Fulfilled when the server has answered; while
   * there is no connection it waits. The channel is subscribed to once, however many handlers it has. After a break it
   * goes on behind the last message; where that cannot be, the event `gap` tells.
   */
  async subscribe<T = unknown>(channel: string, handler: (message: Message<T>) => unknown, options: SubscribeOptions = {}): Promise<Subscription> {
    checkChannel(channel);
    if (typeof handler !== "function") throw optionsInvalid("The handler is not a function.", "Give one to subscribe.");
    this.#start();
    let entry = this.#channels.get(channel);
    if (!entry) {
      this.#channels.set(channel, (entry = new Channel(channel)));
      this.#memory?.recall(entry);
      if (options.since) entry.position = options.since;
      entry.rewind = options.rewind;
    }
    const { holders, live, waiting, turn } = entry;
    let { position } = entry;
    const { told, asks } = options as Partial<Holder>;
    const holder = { handler, told, asks };
    holders.add(holder);
    if (!live || told) {
      const answered = wait(waiting);
      if (told && turn) this.#part(channel);
      if (told || !turn) this.#join(entry);
      position = await answered;
    }
    return {
      channel,
      position,
      get active() {
        return holders.has(holder);
      },
      unsubscribe: () => this.#leave(entry, holder),
    };
  }

  /**
   * Publishes data, any JSON value. Fulfilled when the server has taken it. While there is no connection it waits for
   * one, at most 10 s; where the connection breaks before the answer it is sent once more, with the same id, so that a
   * durable channel has it once. After `connection_lost` and `no_answer` the message may or may not have gone out.
   */
  async publish(channel: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    checkChannel(channel);
    const text = JSON.stringify(data) as string | undefined; // as it is now, however long it waits
    const { event, id, ifPosition: if_position } = options;
    const command = { type: "publish", channel, data: text && JSON.parse(text), event, id: id ?? makeID(), first: id ? undefined : true, if_position };
    const answer = await this.command(command);
    return { id: answer.id, position: answer.position, duplicate: !!answer.duplicate };
  }

  /** Sends a command of PROTOCOL.md and gives its answer; rejects as it is refused. It waits and goes out again as publish says. */
  async command(command: { type: string }): Promise<any> {
    this.#start();
    return new Promise((resolve, reject) => this.#connection.ask(command, (answer) => (answer instanceof FanfareError ? reject : resolve)(answer as any), true));
  }

  /** Calls the server's REST API (PROTOCOL.md, section 9) as this client: a POST where there is a body. Rejects as it refuses. */
  request(path: string, body?: object): Promise<any> {
    return this.#connection.request(path, body);
  }

  /** Listens to an event. The function that comes back ends that. */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void {
    this.#emitter.on(event, listener);
    return () => this.#emitter.off(event, listener);
  }

  /** Ends listening; without a listener, that of all to the event. */
  off<K extends keyof Events>(event: K, listener?: (value: Events[K]) => void): void {
    this.#emitter.off(event, listener);
  }

  /** Ends the client for good: no timer, listener or connection of it is left. */
  close(): void {
    this.#connection.close();
  }

  async #connected(): Promise<void> {
    this.#start();
    if (this.state !== "connected") await wait(this.#waiting);
  }

  #start(): void {
    const { state, error } = this.#connection;
    if (state === "closed") throw closed(error);
    this.#connection.start();
  }

  #changed(change: StateChange): void {
    const { current, error } = change;
    if (current !== "connected") for (const channel of this.#channels.values()) channel.live = false;
    if (current === "closed") {
      const waiting = [...this.#channels.values()].flatMap((channel) => channel.end());
      for (const waiter of this.#waiting.splice(0).concat(waiting)) waiter.reject(closed(error));
      this.#channels.clear();
      this.#memory?.end();
    }
    if (current === "connected") for (const waiter of this.#waiting.splice(0)) waiter.resolve("");
    this.#emitter.emit("state", change);
  }

  #join(channel: Channel): void {
    if (!this.#connection.greeted) return; // greeted joins all
    const turn = ++channel.turn;
    const { name, position: since, at, rewind } = channel;
    channel.retry.clear();
    this.#connection.ask({ type: "subscribe", channel: name, ...(since && { since, at }), rewind, ...Object.assign({}, ...[...channel.holders].map((holder) => holder.asks)) }, (answer) => {
      if (turn === channel.turn) this.#joined(channel, since, answer);
    });
  }

  #joined(channel: Channel, since: string, answer: Answer): void {
    if (answer instanceof FanfareError) {
      const { code, retryAfter } = answer;
      if (!this.#connection.greeted) return; // lost, not refused
      if (retryAfter) return channel.retry.set(retryAfter, () => this.#join(channel));
      if (code === "position_invalid" && since) {
        channel.position = "";
        this.#gap(channel, since, "", code);
        return this.#join(channel);
      }
      if (code !== "already_subscribed") {
        // Perhaps only what the newest room asks for is refused: the others go on without.
        const { holders } = channel;
        const room = [...holders].filter((holder) => holder.told).pop();
        if (!room || holders.size < 2) return this.#end(channel, answer);
        holders.delete(room);
        room.told!(answer);
        return this.#join(channel);
      }
    } else {
      const { position = "", reason = "unknown" } = answer;
      const recovered = since && answer.recovered; // a stream may have resumed more than we asked for
      if (!recovered) {
        if (since && position !== since) this.#gap(channel, since, position, reason);
        channel.at = this.#connection.time;
        channel.rewound = !!channel.rewind;
        // Where two transports are read, the other one may be further on.
        if (!(distance(channel.position, position) < 0)) channel.position = position;
      }
      channel.lag = recovered || channel.rewind ? 2 : 0;
      channel.rewind = undefined;
    }
    channel.live = true;
    for (const holder of channel.holders) holder.told?.(answer);
    for (const waiter of channel.waiting.splice(0)) waiter.resolve(channel.position);
  }

  async #leave(channel: Channel, holder: { handler: unknown }): Promise<void> {
    const { name, holders } = channel;
    if (!holders.delete(holder as never) || holders.size) return;
    channel.end();
    this.#channels.delete(name);
    await this.#part(name);
  }

  async #part(channel: string): Promise<void> {
    if (this.#connection.greeted) await new Promise<unknown>((resolve) => this.#connection.ask({ type: "unsubscribe", channel }, resolve));
  }

  /** The server ended a subscription, or would not begin it. */
  #end(channel: Channel, error: FanfareError): void {
    const { name, holders, waiting } = channel;
    const lived = holders.size > waiting.length;
    this.#channels.delete(name);
    for (const waiter of channel.end()) waiter.reject(error);
    if (lived) this.#emitter.emit("unsubscribed", { channel: name, error });
  }

  #received(frame: Frame): void {
    const channel = this.#channels.get(frame.channel ?? "");
    if (frame.type === "message" && channel) this.#deliver(channel, frame);
    else if (frame.type === "ping") for (const one of this.#channels.values()) this.#pinged(one, frame.time);
    else if (/^(pres|occ|early)/.test(frame.type)) channel?.holders.forEach((holder) => holder.told?.(frame));
    else if (frame.type === "unsubscribed" && channel) this.#end(channel, errorOf(frame));
    else if (frame.type === "error") {
      // A channel's is that of what watches it.
      const rooms = [...(channel?.holders ?? [])].filter((holder) => holder.told);
      for (const room of rooms) {
        room.told!(errorOf(frame));
        void this.#leave(channel!, room);
      }
      if (!rooms.length) this.#failed(errorOf(frame));
    }
  }

  #deliver(channel: Channel, frame: Frame): void {
    const { type: _, ...message } = frame;
    const { position = "", previous = "", time } = frame;
    const since = channel.rewound ? "" : channel.position;
    const step = distance(since, position);
    if (step <= 0) return; // a double
    channel.position = position || since;
    channel.at = time;
    channel.lag &&= 2;
    channel.rewound = false;
    if (step !== step ? since && position : distance(since, previous) > 0) this.#gap(channel, since, previous, step ? "missed" : "epoch");
    for (const holder of [...channel.holders]) {
      if (channel.holders.has(holder)) void run(holder.handler, message as unknown as Message, (error) => this.#failed(error));
    }
  }

  /** A ping's time counts for channels on which nothing old is on its way any more. */
  #pinged(channel: Channel, time: number | undefined): void {
    if (channel.live && !(channel.lag && --channel.lag)) channel.at = time;
  }

  #gap({ name: channel }: Channel, since: string, position: string, reason: string): void {
    this.#emitter.emit("gap", { channel, since, position, reason });
  }

  #failed(error: unknown): void {
    const wrapped = error instanceof Error ? error : new Error(String(error));
    if (!this.#emitter.emit("error", wrapped)) report(error);
  }
}
