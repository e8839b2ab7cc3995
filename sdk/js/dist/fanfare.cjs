/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */
"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// src/index.ts
var index_exports = {};
__export(index_exports, {
  Fanfare: () => Fanfare,
  FanfareError: () => FanfareError
});
module.exports = __toCommonJS(index_exports);

// src/error.ts
var FanfareError = class extends Error {
  name = "FanfareError";
  code;
  /** What to do first. */
  remedy;
  channel;
  /** When trying again makes sense, in milliseconds. */
  retryAfter;
  constructor(code, message, remedy, details = {}) {
    super(message);
    this.code = code;
    this.remedy = remedy;
    this.channel = details.channel;
    this.retryAfter = details.retryAfter;
    if (details.cause !== void 0) Object.defineProperty(this, "cause", { value: details.cause, configurable: true });
  }
};

// src/address.ts
var home = typeof document === "object" ? /^(https?:.*)\/sdk\/fanfare\.js(?:[?#]|$)/.exec(document.currentScript?.src ?? "")?.[1] : void 0;
function address(url) {
  const found = url ?? home ?? (typeof location === "object" ? location.origin : "");
  if (!/^(http|ws)s?:\/\/[^/]/.test(found)) {
    throw new FanfareError("options_invalid", `The address ${JSON.stringify(found)} is no server's.`, 'Give url, such as "https://push.example.com".');
  }
  return found.replace(/^ws/, "http").replace(/\/+$/, "");
}

// src/timer.ts
var longest = 2 ** 31 - 1;
var Timer = class {
  #id;
  /** Whether it will still fire. */
  get pending() {
    return this.#id !== void 0;
  }
  /** Calls fn once, ms from now, in place of what was set before. */
  set(ms, fn) {
    this.clear();
    this.#id = setTimeout(() => {
      this.#id = void 0;
      fn();
    }, Math.min(ms, longest));
  }
  clear() {
    clearTimeout(this.#id);
    this.#id = void 0;
  }
};

// src/channel.ts
var Channel = class {
  name;
  holders = /* @__PURE__ */ new Set();
  /** Who waits for the server's answer. */
  waiting = [];
  /** Of the last message seen; "" where there is none. */
  position = "";
  /** The server has answered, on this connection. */
  live = false;
  /** Counts the subscribes sent; answers to all but the last are void. */
  turn = 0;
  /** Until a subscribe that came too soon is sent again. */
  retry = new Timer();
  constructor(name) {
    this.name = name;
  }
  /** Stops everything that is under way; returns who waited. */
  end() {
    const { waiting } = this;
    this.turn++;
    this.live = false;
    this.waiting = [];
    this.holders.clear();
    this.retry.clear();
    return waiting;
  }
};

// src/backoff.ts
var longestWait = 3e4;
var shortest = 500;
var Backoff = class {
  #tries = 0;
  /** The next wait, in milliseconds: random, from 0 to min(30 s, 0.5 s · 2^n). */
  next() {
    return Math.random() * Math.min(longestWait, shortest * 2 ** this.#tries++);
  }
  reset() {
    this.#tries = 0;
  }
};

// src/frame.ts
function* lines(text) {
  if (typeof text !== "string") return;
  for (const line of text.split("\n")) {
    const frame = parse(line);
    if (frame) yield frame;
  }
}
function parse(text) {
  try {
    const value = JSON.parse(text);
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
  }
  return void 0;
}
function errorOf(frame) {
  return new FanfareError(frame.code ?? "internal", frame.message ?? "", frame.remedy ?? "", {
    channel: frame.channel,
    retryAfter: frame.retry_after
  });
}

// src/name.ts
var longest2 = 200;
function bytes(text) {
  return new TextEncoder().encode(text).length;
}
function checkChannel(name) {
  if (typeof name !== "string" || !name || bytes(name) > longest2 || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) {
    throw new FanfareError("channel_invalid", "The channel name is not valid.", "Use 1 to 200 bytes of UTF-8 without control characters.");
  }
}

// src/request.ts
var patience = 1e4;
var Requests = class {
  #last = 0;
  #open = /* @__PURE__ */ new Map();
  add(command, done, patient) {
    const ref = ++this.#last;
    const timer = new Timer();
    const request = {
      command: { ...command, ref },
      patient,
      out: false,
      sent: () => {
        request.out = true;
        if (patient) timer.set(patience, () => request.finish(new FanfareError("no_answer", "The server did not answer within 10 seconds.", "The message may or may not have gone out; publish it again with the same id.")));
      },
      finish: (answer) => {
        timer.clear();
        if (this.#open.delete(ref)) done(answer);
      }
    };
    this.#open.set(ref, request);
    if (patient) timer.set(patience, () => request.finish(new FanfareError("not_connected", "There was no connection within 10 seconds.", "Try again when the client is connected; the state event tells when.")));
    return request;
  }
  unsent() {
    return [...this.#open.values()].filter((request) => !request.out);
  }
  /** Hands an answer to whoever waits for it. */
  answer(frame) {
    this.#open.get(frame.ref)?.finish(frame.type === "error" ? errorOf(frame) : frame);
  }
  /** The connection is gone: what went out on it gets no answer; what did not waits on. */
  lose(error) {
    for (const request of [...this.#open.values()]) if (request.out || !request.patient) request.finish(error);
  }
  end(error) {
    for (const request of [...this.#open.values()]) request.finish(error);
  }
};

// src/socket.ts
var connecting = 0;
var open = 1;
var SocketTransport = class {
  socket = true;
  #class;
  #url;
  #events;
  #ws;
  constructor(socketClass, base, events) {
    this.#class = socketClass;
    this.#url = base.replace(/^http/, "ws") + "/v1/ws";
    this.#events = events;
  }
  start() {
    let ws;
    try {
      ws = new this.#class(this.#url, "fanfare.v1.json");
    } catch (error) {
      this.#events.closed(1006, String(error));
      return;
    }
    this.#ws = ws;
    ws.onopen = () => this.#events.open();
    ws.onmessage = (event) => {
      this.#events.alive();
      for (const frame of lines(event.data)) {
        if (this.#ws !== ws) return;
        this.#events.frame(frame);
      }
    };
    ws.onclose = (event) => {
      this.close();
      this.#events.closed(event.code, event.reason);
    };
    ws.onerror = () => {
    };
  }
  send(command) {
    if (this.#ws?.readyState === open) this.#ws.send(JSON.stringify(command));
  }
  close() {
    const ws = this.#ws;
    if (!ws) return;
    this.#ws = void 0;
    ws.onopen = ws.onmessage = ws.onclose = ws.onerror = null;
    if (ws.readyState === connecting) {
      ws.onerror = ignore;
    }
    if (ws.readyState <= open) ws.close(1e3);
  }
};
function ignore() {
}

// src/events.ts
var EventParser = class {
  #rest = "";
  #name = "";
  #data = [];
  /** The events that text completes. */
  push(text) {
    const found = [];
    const all = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = all.pop();
    for (const line of all) {
      if (line) this.#field(line);
      else {
        if (this.#data.length) found.push({ name: this.#name || "message", data: this.#data.join("\n") });
        this.#name = "";
        this.#data = [];
      }
    }
    return found;
  }
  #field(line) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "data") this.#data.push(value);
    if (name === "event") this.#name = value;
  }
};

// src/stream.ts
var settle = 10;
var patience2 = 15e3;
var most = 100;
var StreamTransport = class {
  socket = false;
  #fetch;
  #base;
  #events;
  #settle = new Timer();
  #patience = new Timer();
  /** Channel → ref of its subscribe, 0 once answered. */
  #wanted = /* @__PURE__ */ new Map();
  #credential = "";
  /** The auth that waits for its stream. */
  #auth;
  #live;
  #next;
  #seen = /* @__PURE__ */ new Set();
  #welcomed = false;
  #closed = false;
  constructor(fetch, base, events) {
    this.#fetch = fetch;
    this.#base = base;
    this.#events = events;
  }
  /** Without channels there is no stream, and nothing that could show life. */
  get quiet() {
    return !this.#live;
  }
  start() {
    this.#events.open();
  }
  send(command) {
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
  close() {
    this.#closed = true;
    this.#settle.clear();
    this.#patience.clear();
    this.#live?.abort.abort();
    this.#next?.abort.abort();
    this.#live = this.#next = void 0;
  }
  #change() {
    if (!this.#settle.pending) this.#settle.set(settle, () => this.#reopen());
  }
  /** Answers later, as a server does. */
  #answer(frame) {
    queueMicrotask(() => this.#tell(frame));
  }
  #tell(frame) {
    if (!this.#closed) this.#events.frame(frame);
  }
  #end(frame) {
    if (this.#closed) return;
    this.#events.frame(frame);
    this.close();
    this.#events.closed(frame.close, frame.code ?? "");
  }
  #reopen() {
    this.#next?.abort.abort();
    const stream = { abort: new AbortController(), waiting: new Set(this.#wanted.keys()) };
    this.#next = stream;
    this.#seen.clear();
    this.#patience.set(patience2, () => this.#end({ type: "close", close: 1006 }));
    const work = stream.waiting.size ? this.#read(stream) : this.#probe(stream);
    work.catch((error) => this.#broken(stream, { type: "close", close: 1006, message: String(error) }));
  }
  /** Takes the place of the stream before. */
  #adopt(stream) {
    this.#live?.abort.abort();
    this.#live = stream;
    this.#next = void 0;
    this.#patience.clear();
  }
  /** Without channels: asks whether HTTP works and the credential is good, where that is not known. */
  async #probe(stream) {
    if (!this.#welcomed || this.#auth) {
      const response = await this.#request("/v1/tickets", stream, {});
      if (stream.abort.signal.aborted) return;
      if (!response.ok) return this.#refused(stream, await problem(response));
      this.#welcome({ type: "welcome" });
    }
    if (this.#next === stream) this.#adopt(void 0);
  }
  async #read(stream) {
    const query = [...stream.waiting].map((name) => "channel=" + encodeURIComponent(name)).join("&");
    const response = await this.#request("/v1/sse?" + query, stream);
    if (!response.ok) return this.#refused(stream, await problem(response));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (; ; ) {
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
  #event(stream, event) {
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
  #welcome(frame) {
    const auth = this.#auth;
    this.#auth = void 0;
    if (!this.#welcomed) {
      this.#welcomed = true;
      this.#tell(frame);
    } else if (auth) this.#tell({ ...frame, type: "authorized", ref: auth.ref });
  }
  /** A stream ended. That matters unless another one is about to take its place. */
  #broken(stream, frame) {
    if (stream.abort.signal.aborted) return;
    if (stream === this.#live && this.#next) this.#live = void 0;
    else this.#end(frame);
  }
  #refused(stream, frame) {
    if (stream.abort.signal.aborted) return;
    const channel = frame.channel ?? (frame.code === "not_granted" && stream.waiting.size === 1 ? [...stream.waiting][0] : "");
    const ref = this.#wanted.get(channel);
    if (ref !== void 0) {
      this.#wanted.delete(channel);
      this.#tell({ ...frame, channel, type: ref ? "error" : "unsubscribed", ...ref && { ref } });
      this.#change();
    } else if (this.#auth && this.#live) {
      this.#credential = this.#auth.before;
      this.#tell({ ...frame, ref: this.#auth.ref });
      this.#auth = void 0;
      this.#next = void 0;
      this.#patience.clear();
      if (stream.waiting.size !== this.#wanted.size || [...this.#wanted.values()].some(Boolean)) this.#change();
    } else this.#end({ ...frame, type: "close" });
  }
  async #publish({ ref = 0, type: _, ...message }) {
    let frame;
    try {
      const response = await this.#request("/v1/messages", void 0, message);
      frame = response.ok ? { ...await response.json(), type: "published" } : await problem(response);
    } catch (error) {
      frame = { type: "error", code: "connection_lost", message: String(error), remedy: "Publish it again; the message may or may not have gone out." };
    }
    this.#tell({ ...frame, ref });
    if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
  }
  #request(path, stream, body) {
    const fetch = this.#fetch;
    return fetch(this.#base + path, {
      method: body ? "POST" : "GET",
      headers: { Authorization: "Bearer " + this.#credential, ...body ? { "Content-Type": "application/json" } : { Accept: "text/event-stream" } },
      cache: "no-store",
      ...body ? { body: JSON.stringify(body) } : {},
      ...stream && { signal: stream.abort.signal }
    });
  }
};
async function problem(response) {
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After"));
  const final = body.code && status < 500 && status !== 408 && status !== 429;
  return {
    type: "error",
    code: body.code ?? "unavailable",
    message: body.detail ?? `HTTP ${status}`,
    remedy: body.remedy ?? "",
    ...body.channel && { channel: body.channel },
    ...wait && { retry_after: wait * 1e3 },
    close: body.code === "token_expired" ? 4201 : final ? 4300 : 1006
  };
}

// src/wakeup.ts
var Wakeup = class {
  #back;
  #gone;
  #on = false;
  /** back: try now. gone: look whether the connection still lives. */
  constructor(back, gone) {
    this.#back = back;
    this.#gone = gone;
  }
  start() {
    if (this.#on) return;
    this.#on = true;
    this.#each("addEventListener");
  }
  stop() {
    if (!this.#on) return;
    this.#on = false;
    this.#each("removeEventListener");
  }
  #each(method) {
    const host = globalThis;
    host[method]?.("online", this.#back);
    host[method]?.("pageshow", this.#back);
    host[method]?.("offline", this.#gone);
    if (typeof document === "object") document[method]?.("visibilitychange", this.#seen);
  }
  #seen = () => {
    if (document.visibilityState === "visible") this.#back();
  };
};

// src/connection.ts
var attemptTime = 15e3;
var probeTime = 5e3;
var grace = 1e4;
var steady = 1e4;
var suspendTime = 12e4;
var firstUpgrade = 3e4;
var lastUpgrade = 6e5;
var overlap = 5e3;
var Connection = class {
  state = "initialized";
  /** Why it closed. */
  error;
  #settings;
  #events;
  #requests = new Requests();
  #backoff = new Backoff();
  #wakeup = new Wakeup(() => this.#awake(), () => this.#probe());
  /** In use, or being opened. */
  #line;
  /** A WebSocket that is tried beside server-sent events. */
  #spare;
  /** What the spare took over from, read for a moment longer. */
  #old;
  #seen = /* @__PURE__ */ new Set();
  #hello;
  #greeted = false;
  #welcomed = 0;
  // when, 0 = not yet
  #farewell;
  #attempt = 0;
  #blocked = 0;
  // times that WebSocket failed while HTTP worked
  #down = 0;
  // since when
  #heard = 0;
  // when
  #silence = 0;
  // longest allowed
  #skew = 0;
  // server's clock − ours
  #maxFrame = Infinity;
  #upgradeWait = firstUpgrade;
  #retry = new Timer();
  #watch = new Timer();
  #ping = new Timer();
  #refresh = new Timer();
  #upgrade = new Timer();
  #retire = new Timer();
  constructor(settings, events) {
    this.#settings = settings;
    this.#events = events;
  }
  /** Whether subscribes may be sent. */
  get greeted() {
    return this.#greeted;
  }
  start() {
    if (this.state !== "initialized") return;
    this.#wakeup.start();
    this.#down = Date.now();
    void this.#try();
    this.#become("connecting");
  }
  /** Ends it for good. */
  close(error) {
    if (this.state === "closed") return;
    this.error = error;
    this.#attempt++;
    this.#wakeup.stop();
    this.#drop();
    this.#retry.clear();
    this.#become("closed", error);
    this.#requests.end(closedError(error));
  }
  /** Sends a command and calls done with its answer. A patient one waits up to 10 s for the connection. */
  ask(command, done, patient = false) {
    if (this.state === "closed") return done(closedError(this.error));
    const request = this.#requests.add(command, done, patient);
    if (this.state === "connected" || !patient) this.#send(request);
  }
  #send(request) {
    if (bytes(JSON.stringify(request.command)) > this.#maxFrame) {
      return request.finish(new FanfareError("message_too_large", "The message is larger than this app allows.", "Send a reference to the data instead, or raise the app's message_bytes limit."));
    }
    request.sent();
    this.#line?.send(request.command);
  }
  async #try() {
    const attempt = ++this.#attempt;
    this.#watch.set(attemptTime, () => this.#lost(1006, noAnswer("The server did not answer.")));
    try {
      this.#hello = await this.#greeting();
    } catch (error) {
      if (attempt === this.#attempt) this.#lost(1006, error);
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#watch.set(attemptTime, () => this.#lost(1006, noAnswer("The server did not answer.")));
    this.#line = this.#dial(this.#blocked < 2 ? this.#settings.socketClass : void 0);
    this.#line.start();
  }
  async #greeting() {
    const { credential } = this.#settings;
    return { type: "hello", ...credential ?? { token: await this.#token() }, client: "fanfare-js/0.1.0" };
  }
  async #token() {
    try {
      const token = await this.#settings.getToken();
      if (typeof token === "string" && token) return token;
    } catch (cause) {
      throw new FanfareError("token_failed", `getToken failed: ${cause}`, "See the cause; getToken is called again with the next try.", { cause });
    }
    throw new FanfareError("token_failed", "getToken gave no token.", "Return the token's text, or a promise of it.");
  }
  #dial(socketClass) {
    const { base, fetch } = this.#settings;
    const events = {
      open: () => this.#opened(line),
      alive: () => {
        if (line === this.#line) this.#heard = Date.now();
      },
      frame: (frame) => this.#received(line, frame),
      closed: (code, reason) => this.#ended(line, code, reason)
    };
    const line = socketClass ? new SocketTransport(socketClass, base, events) : new StreamTransport(fetch, base, events);
    return line;
  }
  #opened(line) {
    line.send(this.#hello);
    if (line !== this.#line) return;
    this.#greeted = true;
    this.#events.greeted();
  }
  #received(line, frame) {
    switch (frame.type) {
      case "ping":
        return line.send({ type: "pong", ...frame.ref && { ref: frame.ref } });
      case "welcome":
        return this.#welcome(line, frame);
      case "close":
        if (line === this.#line) this.#farewell = frame;
        return;
      case "message":
        if (this.#old) {
          const id = frame.channel + "\n" + frame.id;
          if (this.#seen.has(id)) return;
          this.#seen.add(id);
        }
    }
    if (!frame.ref) this.#events.frame(frame);
    else this.#requests.answer(frame);
  }
  #welcome(line, frame) {
    const now = Date.now();
    if (line === this.#spare) this.#takeOver(line);
    if (line.socket) {
      this.#blocked = 0;
      this.#upgradeWait = firstUpgrade;
    } else if (this.#settings.socketClass) this.#upgradeLater();
    this.#welcomed = this.#heard = now;
    this.#down = 0;
    this.#maxFrame = line.socket && frame.max_data ? frame.max_data + 4096 : Infinity;
    this.#silence = (frame.ping_interval ?? 25) * 1e3 + grace;
    this.#skew = frame.time ? frame.time - now : 0;
    this.#listen();
    this.#renewBefore(frame.expires);
    for (const request of this.#requests.unsent()) this.#send(request);
    this.#become("connected");
  }
  /** Looks whether anything came for too long (clause 5.3). One timer, however many messages. */
  #listen() {
    const left = this.#heard + this.#silence - Date.now();
    if (left > 0) this.#watch.set(left, () => this.#listen());
    else if (this.#line instanceof StreamTransport && this.#line.quiet) this.#watch.set(this.#silence, () => this.#listen());
    else this.#lost(1006, noAnswer("Nothing came from the server any more."));
  }
  #awake() {
    if (this.#retry.pending) {
      this.#retry.clear();
      void this.#try();
    } else this.#probe();
  }
  /** Asks for a sign of life (clause 5.2). Server-sent events have no way to ask. */
  #probe() {
    if (!this.#welcomed) return;
    if (this.#line.socket) {
      const heard = this.#heard -= 1;
      this.#line.send({ type: "ping" });
      this.#ping.set(probeTime, () => {
        if (heard === this.#heard) this.#lost(1006, noAnswer("The server did not answer a ping."));
      });
    } else this.#listen();
  }
  #renewBefore(expires) {
    if (!expires || !this.#settings.getToken) return;
    const life = expires * 1e3 - this.#skew - Date.now();
    this.#refresh.set(Math.max(life * 0.8, life - 6e4, 500), () => void this.#renew());
  }
  async #renew() {
    const line = this.#line;
    const again = (error) => {
      if (line !== this.#line) return;
      this.#refresh.set(grace, () => void this.#renew());
      this.#events.failed(error);
    };
    try {
      const token = await this.#token();
      if (line !== this.#line) return;
      this.ask({ type: "auth", token }, (answer) => {
        if (!(answer instanceof FanfareError)) this.#renewBefore(answer.expires);
        else if (answer.code !== "connection_lost" && answer.code !== "closed") again(answer);
      });
    } catch (error) {
      again(error);
    }
  }
  #ended(line, code, reason) {
    if (line === this.#old) this.#retired();
    if (line === this.#spare) {
      this.#spare = void 0;
      this.#upgradeLater();
    }
    if (line !== this.#line) return;
    const frame = this.#farewell;
    const known = frame?.code ? errorOf(frame) : reason && code >= 4e3 ? new FanfareError(reason, `The server closed the connection: ${reason}.`, "See the code in PROTOCOL.md, section 10.") : connectionLost();
    this.#lost(frame?.close ?? code, known);
  }
  /** What clauses 6.4 to 6.6 say is done after a connection, or a try to get one, ended. */
  #lost(code, error) {
    const { welcomed, line } = { welcomed: this.#welcomed, line: this.#line };
    const now = Date.now();
    this.#attempt++;
    this.#drop();
    if (code >= 4300 && code < 4500 || error.code === "token_expired" && !this.#settings.getToken) return this.close(error);
    if (line && !welcomed && code < 4e3) {
      if (line.socket) void this.#count();
      else this.#blocked = 1;
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
  async #count() {
    const { base, fetch } = this.#settings;
    try {
      const response = await fetch(base + "/livez", { mode: "no-cors", cache: "no-store" });
      if (response.ok || response.type === "opaque") this.#blocked++;
    } catch {
    }
  }
  #upgradeLater() {
    this.#upgrade.set(this.#upgradeWait, () => void this.#tryUpgrade());
    this.#upgradeWait = Math.min(this.#upgradeWait * 2, lastUpgrade);
  }
  async #tryUpgrade() {
    const line = this.#line;
    try {
      this.#hello = await this.#greeting();
    } catch (error) {
      if (line === this.#line) this.#upgradeLater();
      return;
    }
    if (line !== this.#line) return;
    this.#spare = this.#dial(this.#settings.socketClass);
    this.#upgrade.set(attemptTime, () => {
      this.#spare?.close();
      this.#spare = void 0;
      this.#upgradeLater();
    });
    this.#spare.start();
  }
  /** Puts the spare in place of server-sent events, and reads those a moment longer so that nothing falls between. */
  #takeOver(line) {
    this.#upgrade.clear();
    this.#refresh.clear();
    this.#spare = void 0;
    this.#old = this.#line;
    this.#line = line;
    this.#retire.set(overlap, () => this.#retired());
    this.#events.greeted();
  }
  #retired() {
    this.#retire.clear();
    this.#old?.close();
    this.#old = void 0;
    this.#seen.clear();
  }
  /** Lets go of every transport and of all timers that belong to them. */
  #drop() {
    this.#retired();
    this.#line?.close();
    this.#spare?.close();
    this.#line = this.#spare = this.#farewell = void 0;
    this.#welcomed = 0;
    this.#greeted = false;
    this.#watch.clear();
    this.#ping.clear();
    this.#refresh.clear();
    this.#upgrade.clear();
    this.#requests.lose(connectionLost());
  }
  #become(current, error) {
    const previous = this.state;
    if (current === previous) return;
    this.state = current;
    this.#events.state({ current, previous, error });
  }
};
function connectionLost() {
  return new FanfareError("connection_lost", "The connection broke.", "The client comes back by itself; a message that was under way may or may not have gone out.");
}
function noAnswer(message) {
  return new FanfareError("no_answer", message, "Check the server and the network; the client tries again by itself.");
}
function closedError(cause) {
  return cause ?? new FanfareError("closed", "The client is closed.", "Make a new Fanfare.");
}

// src/emitter.ts
var Emitter = class {
  #listeners = /* @__PURE__ */ new Map();
  #failed;
  /** failed gets what listeners throw. */
  constructor(failed) {
    this.#failed = failed;
  }
  on(name, listener) {
    const set = this.#listeners.get(name) ?? /* @__PURE__ */ new Set();
    this.#listeners.set(name, set.add(listener));
  }
  /** Without a listener: all listeners of the event. */
  off(name, listener) {
    const set = this.#listeners.get(name);
    if (listener) set?.delete(listener);
    else set?.clear();
  }
  /** Calls the listeners that were there when it began; false if there were none. */
  emit(name, event) {
    const all = [...this.#listeners.get(name) ?? []];
    for (const listener of all) run(listener, event, this.#failed);
    return all.length > 0;
  }
};
function run(fn, value, failed) {
  try {
    const result = fn(value);
    if (typeof result?.then === "function") result.then(void 0, failed);
  } catch (error) {
    failed(error);
  }
}
function report(error) {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

// src/client.ts
var Fanfare = class {
  /** The class of all errors, for pages that load the client by a script tag. */
  static Error = FanfareError;
  #emitter = new Emitter(report);
  #channels = /* @__PURE__ */ new Map();
  #connection;
  #waiting = [];
  /** Opens nothing yet. Throws a FanfareError where the options make no sense. */
  constructor(options) {
    const { url, key, token, getToken, fetch = (url2, init) => globalThis.fetch(url2, init) } = options;
    if ([key, token, getToken].filter(Boolean).length !== 1) {
      throw new FanfareError("options_invalid", "The client needs one of key, token and getToken.", 'Give key: "ffp_…", or getToken: a function that gets a token from your server.');
    }
    this.#connection = new Connection(
      {
        base: address(url),
        socketClass: options.WebSocket ?? globalThis.WebSocket,
        fetch,
        credential: key ? { key } : token ? { token } : void 0,
        getToken
      },
      {
        state: (change) => this.#changed(change),
        greeted: () => this.#channels.forEach((channel) => this.#join(channel)),
        frame: (frame) => this.#received(frame),
        failed: (error) => this.#failed(error)
      }
    );
  }
  get state() {
    return this.#connection.state;
  }
  /** Connects now. Fulfilled when connected; rejected only if the client closes. */
  async connect() {
    this.#start();
    if (this.state !== "connected") await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
  /**
   * Calls handler with each message of the channel, until unsubscribed. Fulfilled when the server has answered; while
   * there is no connection it waits. The channel is subscribed to once, however many handlers it has.
   */
  async subscribe(channel, handler) {
    checkChannel(channel);
    if (typeof handler !== "function") throw new FanfareError("options_invalid", "The handler is not a function.", "Give subscribe a channel and a function.");
    this.#start();
    let entry = this.#channels.get(channel);
    if (!entry) {
      entry = new Channel(channel);
      this.#channels.set(channel, entry);
      this.#join(entry);
    }
    const { holders, live, waiting } = entry;
    const holder = { handler };
    holders.add(holder);
    if (!live) await new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    const leave = () => this.#leave(entry, holder);
    return {
      channel,
      get active() {
        return holders.has(holder);
      },
      unsubscribe: leave
    };
  }
  /**
   * Publishes data, any JSON value. Fulfilled when the server has taken it. While there is no connection it waits for
   * one, at most 10 s; after `connection_lost` and `no_answer` the message may or may not have gone out.
   */
  async publish(channel, data, options = {}) {
    checkChannel(channel);
    const text = JSON.stringify(data);
    const command = { type: "publish", channel, data: text && JSON.parse(text), event: options.event, id: options.id };
    this.#start();
    return new Promise((resolve, reject) => {
      this.#connection.ask(command, (answer) => answer instanceof FanfareError ? reject(answer) : resolve({ id: answer.id, position: answer.position }), true);
    });
  }
  /** Listens to an event. The function that comes back ends that. */
  on(event, listener) {
    this.#emitter.on(event, listener);
    return () => this.#emitter.off(event, listener);
  }
  /** Ends listening; without a listener, that of all to the event. */
  off(event, listener) {
    this.#emitter.off(event, listener);
  }
  /** Ends the client for good: no timer, listener or connection of it is left. */
  close() {
    this.#connection.close();
  }
  #start() {
    const { state, error } = this.#connection;
    if (state === "closed") throw error ?? new FanfareError("closed", "The client is closed.", "Make a new Fanfare.");
    this.#connection.start();
  }
  #changed(change) {
    const { current, error } = change;
    if (current !== "connected") for (const channel of this.#channels.values()) channel.live = false;
    if (current === "closed") {
      const reason = error ?? new FanfareError("closed", "The client was closed.", "Make a new Fanfare.");
      const waiting = [...this.#channels.values()].flatMap((channel) => channel.end());
      for (const waiter of this.#take().concat(waiting)) waiter.reject(reason);
      this.#channels.clear();
    }
    if (current === "connected") for (const waiter of this.#take()) waiter.resolve();
    this.#emitter.emit("state", change);
  }
  #take() {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
  #join(channel) {
    if (!this.#connection.greeted) return;
    const turn = ++channel.turn;
    const since = channel.position;
    this.#connection.ask({ type: "subscribe", channel: channel.name, ...since && { since } }, (answer) => {
      if (turn === channel.turn) this.#joined(channel, since, answer);
    });
  }
  #joined(channel, since, answer) {
    if (answer instanceof FanfareError) {
      const { code, retryAfter } = answer;
      if (code === "connection_lost" || code === "closed") return;
      if (retryAfter) return channel.retry.set(retryAfter, () => this.#join(channel));
      if (code === "position_invalid" && since) {
        channel.position = "";
        this.#emitter.emit("gap", { channel: channel.name, since, position: "" });
        return this.#join(channel);
      }
      if (code !== "already_subscribed") return this.#end(channel, answer);
    } else if (!answer.recovered) {
      const position = answer.position ?? "";
      if (since && position !== since) this.#emitter.emit("gap", { channel: channel.name, since, position });
      channel.position = position;
    }
    channel.live = true;
    for (const waiter of channel.waiting.splice(0)) waiter.resolve();
  }
  async #leave(channel, holder) {
    const { name, holders } = channel;
    if (!holders.delete(holder) || holders.size) return;
    channel.end();
    this.#channels.delete(name);
    if (this.#connection.greeted) await new Promise((resolve) => this.#connection.ask({ type: "unsubscribe", channel: name }, () => resolve()));
  }
  /** The server ended a subscription, or would not begin it. */
  #end(channel, error) {
    const { name, holders, waiting } = channel;
    const lived = holders.size > waiting.length;
    this.#channels.delete(name);
    for (const waiter of channel.end()) waiter.reject(error);
    if (lived) this.#emitter.emit("unsubscribed", { channel: name, error });
  }
  #received(frame) {
    const channel = this.#channels.get(frame.channel ?? "");
    if (frame.type === "message" && channel) this.#deliver(channel, frame);
    else if (frame.type === "unsubscribed" && channel) this.#end(channel, errorOf(frame));
    else if (frame.type === "error") this.#failed(errorOf(frame));
  }
  #deliver(channel, frame) {
    const { type: _, ...message } = frame;
    const { position = "", previous = "" } = frame;
    const since = channel.position;
    if (position) channel.position = position;
    if (since && previous && previous !== since) this.#emitter.emit("gap", { channel: channel.name, since, position: previous });
    for (const holder of [...channel.holders]) {
      if (channel.holders.has(holder)) run(holder.handler, message, (error) => this.#failed(error));
    }
  }
  #failed(error) {
    const wrapped = error instanceof Error ? error : new Error(String(error));
    if (!this.#emitter.emit("error", wrapped)) report(error);
  }
};
