import type { Fanfare } from "./client.ts";
import { Emitter, report } from "./emitter.ts";
import type { FanfareError } from "./error.ts";
import { Timer } from "./timer.ts";

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
  /** Coming back was refused, or presence has to wait for a WebSocket. Without a listener it goes to the console. */
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
type Told<D> = FanfareError | { type: string; code?: string; message?: string; action?: string; members?: Member<D>[]; more?: boolean };

// They pass, or the room comes back with the connection.
const passing = /^(not_connected|connection_lost|no_answer|closed|unknown_command)$/;

/**
 * Who is in a channel. The client needs the grants `subscribe` and `presence`, and a WebSocket. Fulfilled when all members
 * are known; rejected if the server refuses. One room for each channel is enough: all of a client's are in it together.
 */
export function presence<D = unknown>(ff: Fanfare, channel: string): Promise<Room<D>> {
  const emitter = new Emitter<RoomEvents<D>>();
  const members = new Map<string, Member<D>>();
  const again = new Timer();
  const Failure = (ff.constructor as typeof Fanfare).Error;
  /** Of a sync that is not complete. */
  let coming = new Map<string, Member<D>>();
  /** What we entered with. */
  let mine: { data: D | undefined } | undefined;
  let ready = false;
  let active = true;

  return new Promise((resolve, reject) => {
    const command = (action: string, data?: D): Promise<unknown> => ff.command({ type: "presence", channel, action, data } as { type: string });

    const failed = (error: FanfareError): void => {
      if (!ready) reject(error);
      else if (!emitter.emit("error", error)) report(error);
    };

    const stop = (error?: FanfareError): void => {
      if (!active) return;
      active = false;
      again.clear();
      for (const off of offs) off();
      if (error) failed(error);
    };

    const put = (member: Member<D>): void => {
      const known = members.get(member.user);
      if (JSON.stringify([known?.data, known?.connections]) === JSON.stringify([member.data, member.connections])) return;
      members.set(member.user, member);
      emitter.emit(known ? "update" : "enter", member);
    };

    const remove = ({ user }: { user: string }): void => {
      const known = members.get(user);
      if (members.delete(user)) emitter.emit("leave", known!);
    };

    const comeBack = async (): Promise<void> => {
      const entered = mine;
      if (!entered) return;
      try {
        await command("enter", entered.data);
      } catch (error) {
        const { code, retryAfter } = error as FanfareError;
        if (!active || mine !== entered || passing.test(code)) return;
        if (retryAfter) return again.set(retryAfter, () => void comeBack());
        mine = undefined;
        failed(error as FanfareError);
      }
    };

    const told = (frame: Told<D>): void => {
      if (!active) return;
      if (frame instanceof Error) return frame.code === "already_subscribed" ? undefined : stop(frame);
      const { type, code, message = "", action, members: some = [], more } = frame;
      if (code) return (ready ? failed : stop)(new Failure(code, message, "Let WebSocket through.", { channel }));
      if (type !== "presence") {
        coming = new Map();
        return void comeBack();
      }
      if (action === "leave") some.forEach(remove);
      else if (action !== "sync") some.forEach(put);
      else {
        for (const member of some) coming.set(member.user, member);
        if (more) return;
        const all = coming;
        coming = new Map();
        for (const member of [...members.values()]) if (!all.has(member.user)) remove(member);
        all.forEach(put);
        emitter.emit("sync", members);
        ready = true;
        resolve(room);
      }
    };

    /** Enters with data; a refusal leaves all as it was. It is never "update", which fails on a connection that has not entered. */
    const enter = async (data?: D): Promise<void> => {
      if (!active) throw new Failure("closed", "The room is closed.", "Call presence again.");
      const text = JSON.stringify(data) as string | undefined;
      const before = mine;
      const entered = (mine = { data: text && JSON.parse(text) });
      again.clear();
      try {
        await command("enter", entered.data);
      } catch (error) {
        if (mine === entered) mine = before;
        throw error;
      }
    };

    const leave = async (): Promise<void> => {
      const entered = mine;
      mine = undefined;
      again.clear();
      if (!entered) return;
      await command("leave").catch((error: FanfareError) => {
        if (error.code !== "not_present") throw error; // a new connection, which has not entered
      });
    };

    const room: Room<D> = {
      channel,
      members,
      get active() {
        return active;
      },
      enter,
      async update(data) {
        if (!mine) throw new Failure("not_present", "The client has not entered the channel.", "Call enter first.", { channel });
        await enter(data);
      },
      leave,
      on(event, listener) {
        emitter.on(event, listener);
        return () => emitter.off(event, listener);
      },
      async close() {
        const left = active && leave();
        stop();
        await Promise.allSettled([left, subscribed.then((sub) => sub.unsubscribe())]);
      },
    };

    const offs = [
      ff.on("unsubscribed", (ended) => {
        if (ended.channel === channel) stop(ended.error);
      }),
      ff.on("state", ({ current, error }) => {
        if (current === "closed") stop(ready ? error : (error ?? new Failure("closed", "The client is closed.", "Make a new Fanfare.")));
      }),
    ];
    const subscribed = ff.subscribe(channel, () => {}, { told } as object);
    subscribed.then((sub) => {
      if (!active) void sub.unsubscribe();
    }, stop);
  });
}
