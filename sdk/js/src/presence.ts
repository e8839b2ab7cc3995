import type { Fanfare } from "./client.ts";
import { Emitter, report } from "./emitter.ts";
import type { FanfareError } from "./error.ts";
import { Timer } from "./timer.ts";
import type { Subscription } from "./types.ts";

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

/** What the core tells (PROTOCOL.md, clause 11.4). */
type Told<D> = FanfareError | { type: string; action?: string; members?: Member<D>[]; more?: boolean };

// They pass, or the room comes back with the connection.
const passing = /^(not_connected|connection_lost|no_answer|closed|unknown_command)$/;

/** A room at work. It is told of the channel from begin to its end, which #stop is. */
class Presence<D> implements Room<D> {
  readonly channel: string;
  readonly members: Map<string, Member<D>> = new Map();
  active = true;
  readonly #ff: Fanfare;
  readonly #emitter = new Emitter<RoomEvents<D>>();
  readonly #again = new Timer();
  readonly #offs: (() => void)[];
  #subscribed: Promise<Subscription> | undefined;
  /** Of a sync that is not complete. */
  #coming = new Map<string, Member<D>>();
  /** What we entered with. */
  #mine: { data: D | undefined } | undefined;
  /** The ends of begin's promise; later calls of them do nothing. */
  #resolve!: (room: Room<D>) => void;
  #reject!: (error: FanfareError) => void;
  #ready = false;

  constructor(ff: Fanfare, channel: string) {
    this.#ff = ff;
    this.channel = channel;
    this.#offs = [
      ff.on("unsubscribed", (ended) => {
        if (ended.channel === channel) this.#stop(ended.error);
      }),
      ff.on("state", ({ current, error }) => {
        if (current === "closed") this.#stop(error ?? (this.#ready ? undefined : this.#failure("closed", "The client is closed.", "Make a new Fanfare.")));
      }),
    ];
  }

  begin(): Promise<Room<D>> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#subscribed = this.#ff.subscribe(this.channel, () => {}, { told: (frame: Told<D>) => this.#told(frame), asks: { presence: true } } as object);
      this.#subscribed.then(
        (sub) => this.active || void sub.unsubscribe(),
        (error) => this.#stop(error),
      );
    });
  }

  /** A refusal leaves all as it was. What is sent is never "update", which fails on a connection that has not entered. */
  async enter(data?: D): Promise<void> {
    if (!this.active) throw this.#failure("closed", "The room is closed.", "Call presence again.");
    const text = JSON.stringify(data) as string | undefined; // as it is now
    const before = this.#mine;
    const entered = (this.#mine = { data: text && JSON.parse(text) });
    this.#again.clear();
    try {
      await this.#command("enter", entered.data);
    } catch (error) {
      if (this.#mine === entered) this.#mine = before;
      throw error;
    }
  }

  async update(data: D): Promise<void> {
    if (!this.#mine) throw this.#failure("not_present", "The client has not entered the channel.", "Call enter first.");
    await this.enter(data);
  }

  async leave(): Promise<void> {
    const entered = this.#mine;
    this.#mine = undefined;
    this.#again.clear();
    if (!entered) return;
    await this.#command("leave").catch((error: FanfareError) => {
      if (error.code !== "not_present") throw error; // a new connection, which has not entered
    });
  }

  on<K extends keyof RoomEvents<D>>(event: K, listener: (value: RoomEvents<D>[K]) => void): () => void {
    this.#emitter.on(event, listener);
    return () => this.#emitter.off(event, listener);
  }

  async close(): Promise<void> {
    const left = this.active && this.leave();
    this.#stop();
    await Promise.allSettled([left, this.#subscribed?.then((sub) => sub.unsubscribe())]);
  }

  #stop(error?: FanfareError): void {
    if (!this.active) return;
    this.active = false;
    this.#again.clear();
    for (const off of this.#offs) off();
    if (error) this.#failed(error);
  }

  #failed(error: FanfareError): void {
    if (!this.#ready) this.#reject(error);
    else if (!this.#emitter.emit("error", error)) report(error);
  }

  /** An error of the client's own class, which this file has no copy of. */
  #failure(code: string, message: string, remedy: string): FanfareError {
    return new (this.#ff.constructor as typeof Fanfare).Error(code, message, remedy, { channel: this.channel });
  }

  #command(action: string, data?: D): Promise<unknown> {
    return this.#ff.command({ type: "presence", channel: this.channel, action, data } as { type: string });
  }

  #told(frame: Told<D>): void {
    if (!this.active) return;
    if (frame instanceof Error) {
      if (frame.code !== "already_subscribed") this.#stop(frame);
      return;
    }
    const { type, action, members = [], more } = frame;
    if (type === "occupancy") return;
    if (type !== "presence") {
      this.#coming.clear();
      void this.#comeBack();
    } else if (action === "anew") this.#coming.clear();
    else if (action === "sync") {
      for (const member of members) this.#coming.set(member.user, member);
      if (!more) this.#sync();
    } else for (const member of members) action === "leave" ? this.#remove(member) : this.#put(member);
  }

  /** Enters again on a new subscription, which may be on a new connection. */
  async #comeBack(): Promise<void> {
    const entered = this.#mine;
    if (!entered) return;
    try {
      await this.#command("enter", entered.data);
    } catch (e) {
      const error = e as FanfareError;
      if (!this.active || this.#mine !== entered || passing.test(error.code)) {
        if (this.#mine === entered && error.code === "unknown_command") this.#failed(error); // no longer present, until a WebSocket is there
        return;
      }
      if (error.retryAfter) return this.#again.set(error.retryAfter, () => void this.#comeBack());
      this.#mine = undefined;
      this.#failed(error);
    }
  }

  #sync(): void {
    const all = this.#coming;
    this.#coming = new Map();
    for (const member of [...this.members.values()]) if (!all.has(member.user)) this.#remove(member);
    for (const member of all.values()) this.#put(member);
    this.#emitter.emit("sync", this.members);
    this.#ready = true;
    this.#resolve(this);
  }

  #put(member: Member<D>): void {
    const known = this.members.get(member.user);
    if (JSON.stringify([known?.data, known?.connections]) === JSON.stringify([member.data, member.connections])) return;
    this.members.set(member.user, member);
    this.#emitter.emit(known ? "update" : "enter", member);
  }

  #remove({ user }: { user: string }): void {
    const known = this.members.get(user);
    if (this.members.delete(user)) this.#emitter.emit("leave", known!);
  }
}

/**
 * Who is in a channel. The client needs the grants `subscribe` and `presence`; to enter, a WebSocket too. Fulfilled when all members
 * are known; rejected if the server refuses. One room for each channel is enough: all of a client's are in it together.
 */
export function presence<D = unknown>(ff: Fanfare, channel: string): Promise<Room<D>> {
  return new Presence<D>(ff, channel).begin();
}
