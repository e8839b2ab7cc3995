import { Backoff, longestWait } from "./backoff.ts";
import { closed, connectionLost, FanfareError, noAnswer } from "./error.ts";
import { errorOf, type Command, type Frame } from "./frame.ts";
import { bytes } from "./name.ts";
import { greeting, type Settings } from "./hello.ts";
import { Requests, type Answer, type Request } from "./request.ts";
import { call, problem } from "./rest.ts";
import { SocketTransport } from "./socket.ts";
import type { Past, StreamTransport } from "./stream.ts";
import { Timer } from "./timer.ts";
import type { SocketClass, State, StateChange } from "./types.ts";
import { Wakeup } from "./wakeup.ts";

// In milliseconds.
const attemptTime = 15_000; // for a token, and again from there to welcome
const probeTime = 5_000; // for an answer to our own ping
const grace = 10_000; // after ping_interval (clause 5.3)
const steady = 10_000; // a connection that lived so long resets the back-off
const suspendTime = 120_000;
const firstUpgrade = 30_000; // from server-sent events back to WebSocket
const lastUpgrade = 600_000;
const overlap = 5_000; // that the old connection is read beside the new one

/** What a connection tells. */
export interface ConnectionEvents {
  state(change: StateChange): void;
  /** Hello is out: subscribes may follow it (clause 2.5). */
  greeted(): void;
  /** A frame that answers no command. */
  frame(frame: Frame): void;
  failed(error: unknown): void;
}

type Line = SocketTransport | StreamTransport;

/**
 * The connection to a server, over all the transports that carry it in turn: connects, says hello, watches for life,
 * renews the token, comes back. It begins with start and ends with close; there is no way back from closed.
 */
export class Connection {
  state: State = "initialized";
  /** Why it closed. */
  error: FanfareError | undefined;
  /** Hello is out: subscribes may be sent. */
  greeted = false;
  /** The server's, in its last welcome or ping. */
  time: number | undefined;

  readonly #settings: Settings;
  readonly #events: ConnectionEvents;
  readonly #requests = new Requests();
  readonly #backoff = new Backoff();
  readonly #wakeup = new Wakeup(() => this.#awake());

  /** In use, or being opened. */
  #line: Line | undefined;
  /** A WebSocket that is tried beside server-sent events. */
  #spare: Line | undefined;
  /** What the spare took over from, read for a moment longer. */
  #old: Line | undefined;
  readonly #seen = new Set<string>();
  #streams: typeof StreamTransport | undefined;
  readonly #past: Past = {};

  #hello: Command | undefined;
  #welcomed = 0; // when, 0 = not yet
  #farewell: Frame | undefined;
  #attempt = 0;
  #blocked = 0; // times that WebSocket failed while HTTP worked
  #down = 0; // since when
  #heard = 0; // when
  #silence = 0; // longest allowed
  #skew = 0; // server's clock − ours
  #maxFrame = Infinity;
  #upgradeWait = firstUpgrade;

  readonly #retry = new Timer();
  readonly #watch = new Timer();
  readonly #ping = new Timer();
  readonly #refresh = new Timer();
  readonly #upgrade = new Timer();
  readonly #retire = new Timer();

  constructor(settings: Settings, events: ConnectionEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  start(): void {
    if (this.state !== "initialized") return;
    this.#wakeup.start();
    this.#down = Date.now();
    void this.#try();
    this.#become("connecting");
  }

  /** Ends it for good. */
  close(error?: FanfareError): void {
    if (this.state === "closed") return;
    this.error = error;
    this.#attempt++;
    this.#wakeup.stop();
    this.#drop();
    this.#retry.clear();
    this.#become("closed", error);
    this.#requests.lose(closed(error), true);
  }

  /** Sends a command and calls done with its answer. A patient one waits up to 10 s for the connection. */
  ask(command: Command, done: (answer: Answer) => void, patient = false): void {
    if (this.state === "closed") return done(closed(this.error));
    const request = this.#requests.add(command, done, patient);
    if (this.state === "connected" || !patient) this.#send(request);
  }

  /** The answer to a REST request. */
  async request(path: string, body?: object): Promise<any> {
    const { url, fetch, getToken } = this.#settings;
    const ask = async (hello: Command): Promise<Frame & { ok: boolean }> => {
      const response = await call(fetch, url + path, hello.key ?? hello.token!, body);
      return { ...(response.ok ? await response.json() : await problem(response)), ok: response.ok };
    };
    let answer = await ask(this.#hello ?? (await greeting(this.#settings)));
    if (answer.code === "token_expired" && getToken) answer = await ask(await greeting(this.#settings));
    if (!answer.ok) throw errorOf(answer);
    return answer;
  }

  #send(request: Request): void {
    if (bytes(JSON.stringify(request.command)) > this.#maxFrame) {
      // The server would end the connection, and for good (clause 2.6).
      return request.finish(new FanfareError("message_too_large", "The message is larger than this app allows.", "Send a reference to the data instead, or raise message_bytes."));
    }
    request.sent();
    this.#line?.send(request.command);
  }

  async #try(): Promise<void> {
    const attempt = ++this.#attempt;
    const late = (): void => this.#lost(1006, noAnswer());
    const socketClass = this.#blocked < 2 ? this.#settings.WebSocket : undefined;
    this.#watch.set(attemptTime, late);
    try {
      this.#hello = await greeting(this.#settings);
      if (!socketClass) await this.#load();
    } catch (error) {
      if (attempt === this.#attempt) this.#lost(1006, error as FanfareError);
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#watch.set(attemptTime, late);
    this.#line = this.#dial(socketClass);
    this.#line.start();
  }

  /** Server-sent events are code of their own, for most never need it. */
  async #load(): Promise<void> {
    try {
      this.#streams ??= (await import("./stream.ts")).StreamTransport;
    } catch {
      this.#blocked = 1;
      throw connectionLost();
    }
  }

  #dial(socketClass: SocketClass | undefined): Line {
    const { url, fetch } = this.#settings;
    const events = {
      open: () => this.#opened(line),
      alive: () => {
        if (line === this.#line) this.#heard = Date.now();
      },
      frame: (frame: Frame) => this.#received(line, frame),
      closed: (code: number, reason: string) => this.#ended(line, code, reason),
    };
    const line: Line = socketClass ? new SocketTransport(socketClass, url, events) : new this.#streams!(fetch, url, events, this.#past);
    return line;
  }

  #opened(line: Line): void {
    line.send(this.#hello!);
    if (line !== this.#line) return;
    this.greeted = true;
    this.#events.greeted();
  }

  #received(line: Line, frame: Frame): void {
    switch (frame.type) {
      case "ping":
        line.send({ type: "pong", ref: frame.ref });
        this.time = frame.time;
        return this.#events.frame(frame);
      case "welcome":
        return this.#welcome(line, frame);
      case "close":
        if (line === this.#line) this.#farewell = frame;
        return;
      case "message":
        if (this.#double(frame.channel + "\n" + frame.id, this.#old || (!line.socket && line.twofold))) return;
    }
    if (!frame.ref) this.#events.frame(frame);
    else this.#requests.answer(frame);
  }

  /** Whether it is the second copy of a message that came while two transports or streams were read. */
  #double(id: string, twofold: unknown): boolean {
    if (this.#seen.delete(id)) return true;
    if (this.#seen.size > 999) this.#seen.clear(); // those without a second copy
    if (twofold) this.#seen.add(id);
    return false;
  }

  #welcome(line: Line, frame: Frame): void {
    const now = Date.now();
    if (line === this.#spare) this.#takeOver(line);
    if (line.socket) {
      this.#blocked = 0;
      this.#upgradeWait = firstUpgrade;
    } else if (this.#settings.WebSocket) this.#upgradeLater();
    this.#welcomed = this.#heard = now;
    this.#down = 0;
    this.#maxFrame = (frame.max_data ?? Infinity) + 4096;
    this.#silence = (frame.ping_interval ?? 25) * 1000 + grace;
    this.time = frame.time;
    this.#skew = frame.time ? frame.time - now : 0;
    this.#listen();
    this.#renewBefore(frame.expires);
    for (const request of this.#requests.unsent()) this.#send(request);
    this.#become("connected");
  }

  /** Looks whether anything came for too long (clause 5.3). One timer, however many messages. */
  #listen(): void {
    const left = this.#heard + this.#silence - Date.now();
    if (left > 0) this.#watch.set(left, () => this.#listen());
    else if (!this.#line!.socket && this.#line!.quiet) this.#watch.set(this.#silence, () => this.#listen());
    else this.#lost(1006, noAnswer());
  }

  #awake(): void {
    if (this.#retry.pending) {
      this.#retry.clear();
      void this.#try();
    } else if (this.#welcomed) this.#probe();
  }

  /** Asks for a sign of life (clause 5.2). Server-sent events have no way to ask. */
  #probe(): void {
    if (this.#line!.socket) {
      const heard = (this.#heard -= 1); // so that a sign within this very millisecond shows
      this.#line!.send({ type: "ping" });
      this.#ping.set(probeTime, () => {
        if (heard === this.#heard) this.#lost(1006, noAnswer());
      });
    } else this.#listen();
  }

  #renewBefore(expires: number | undefined): void {
    if (!expires || !this.#settings.getToken) return;
    const life = expires * 1000 - this.#skew - Date.now();
    // A minute early, or at four fifths of a short life.
    this.#refresh.set(Math.max(life * 0.8, life - 60_000, 500), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const line = this.#line;
    const again = (error: unknown): void => {
      if (line !== this.#line) return; // the next welcome sees to it
      this.#refresh.set(grace, () => void this.#renew());
      this.#events.failed(error);
    };
    try {
      const hello = await greeting(this.#settings);
      if (line !== this.#line) return;
      this.#hello = hello;
      this.ask({ type: "auth", token: hello.token }, (answer) => {
        if (!(answer instanceof FanfareError)) this.#renewBefore(answer.expires);
        else again(answer);
      });
    } catch (error) {
      again(error);
    }
  }

  #ended(line: Line, code: number, reason: string): void {
    if (line === this.#spare) {
      this.#spare = undefined;
      this.#upgradeLater();
    }
    if (line !== this.#line) return;
    const frame = this.#farewell;
    const known = frame?.code ? errorOf(frame) : code < 4000 ? connectionLost() : errorOf({ type: "close", code: reason });
    this.#lost(frame?.close ?? code, known);
  }

  /** What clauses 6.4 to 6.6 say is done after a connection, or a try to get one, ended. */
  #lost(code: number, error: FanfareError): void {
    const welcomed = this.#welcomed;
    const line = this.#line;
    const now = Date.now();
    this.#attempt++;
    this.#drop();
    if ((code >= 4300 && code < 4500) || (error.code === "token_expired" && !this.#settings.getToken)) return this.close(error);
    if (line && !welcomed && code < 4000) {
      if (line.socket) void this.#count();
      else this.#blocked = 1; // HTTP fails as well: WebSocket's turn
    }
    if (welcomed && now - welcomed >= steady) this.#backoff.reset();
    this.#down ||= now;
    const suspended = now - this.#down >= suspendTime;
    const atOnce = welcomed && code >= 4200 && code < 4300;
    const wait = atOnce ? 0 : suspended ? longestWait : this.#backoff.next();
    this.#retry.set(Math.max(wait, error.retryAfter ?? 0), () => void this.#try());
    this.#become(suspended ? "suspended" : "reconnecting", error);
  }

  /** Counts a WebSocket that failed, if HTTP works at the same time. */
  async #count(): Promise<void> {
    const { url, fetch } = this.#settings;
    try {
      const response = await fetch(url + "/livez", { mode: "no-cors", cache: "no-store" });
      if (response.ok || response.type === "opaque") this.#blocked++;
    } catch {
      // The server is away as a whole.
    }
  }

  #upgradeLater(): void {
    this.#upgrade.set(this.#upgradeWait, () => void this.#tryUpgrade());
    this.#upgradeWait = Math.min(this.#upgradeWait * 2, lastUpgrade);
  }

  async #tryUpgrade(): Promise<void> {
    const line = this.#line;
    try {
      this.#hello = await greeting(this.#settings);
    } catch (error) {
      if (line === this.#line) this.#upgradeLater();
      return;
    }
    if (line !== this.#line) return;
    this.#spare = this.#dial(this.#settings.WebSocket);
    this.#upgrade.set(attemptTime, () => {
      this.#spare?.close();
      this.#spare = undefined;
      this.#upgradeLater();
    });
    this.#spare.start();
  }

  /** Puts the spare in place of server-sent events, and reads those a moment longer so that nothing falls between. */
  #takeOver(line: Line): void {
    this.#upgrade.clear();
    this.#refresh.clear();
    this.#spare = undefined;
    this.#old = this.#line;
    this.#line = line;
    this.#retire.set(overlap, () => this.#retired());
    this.#events.greeted();
  }

  #retired(): void {
    this.#retire.clear();
    this.#old?.close();
    this.#old = undefined;
  }

  /** Lets go of every transport and of all timers that belong to them. */
  #drop(): void {
    this.#retired();
    this.#line?.close();
    this.#spare?.close();
    this.#line = this.#spare = this.#farewell = undefined;
    this.#welcomed = 0;
    this.greeted = false;
    this.#watch.clear();
    this.#ping.clear();
    this.#refresh.clear();
    this.#upgrade.clear();
    this.#requests.lose(connectionLost(), false);
  }

  #become(current: State, error?: FanfareError): void {
    const previous = this.state;
    if (current === previous) return;
    this.state = current;
    this.#events.state({ current, previous, error });
  }
}
