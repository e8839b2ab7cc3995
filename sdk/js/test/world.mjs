// A world without a network: a clock that tests move, a page's events, and a server of WebSockets and streams.
// What a client leaves behind in it, once closed, is an error.
import assert from "node:assert/strict";
import { Fanfare } from "@fanfarehq/client";
import "../dist/stream.mjs"; // loaded now, so that no test waits for the disk

const real = { setTimeout, clearTimeout, now: Date.now, random: Math.random, setImmediate };

/** Lets everything run that waits for nothing but its turn. */
export async function settle() {
  for (let i = 0; i < 4; i++) await new Promise((done) => real.setImmediate(done));
}

class Clock {
  now = 1_764_000_000_000;
  timers = new Map();
  #last = 0;
  setTimeout = (fn, ms = 0) => {
    this.timers.set(++this.#last, { at: this.now + Math.max(ms, 0), fn });
    return this.#last;
  };
  clearTimeout = (id) => void this.timers.delete(id);

  /** Moves on by ms, firing timers at their times. */
  async advance(ms) {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const next = [...this.timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!next) break;
      this.timers.delete(next[0]);
      this.now = next[1].at;
      next[1].fn();
      await settle();
    }
    this.now = end;
  }
}

class Target {
  listeners = [];
  addEventListener = (name, fn) => void this.listeners.push({ name, fn });
  removeEventListener = (name, fn) => {
    const i = this.listeners.findIndex((l) => l.name === name && l.fn === fn);
    if (i >= 0) this.listeners.splice(i, 1);
  };
  fire(name) {
    for (const l of [...this.listeners]) if (l.name === name) l.fn({ type: name });
  }
}

/** What a server knows of one socket. */
export class Socket {
  readyState = 0;
  onopen = this.onmessage = this.onclose = this.onerror = null;
  sent = [];
  closedWith = undefined;

  constructor(server, url, protocol) {
    Object.assign(this, { server, url, protocol });
    server.sockets.push(this);
    queueMicrotask(() => {
      if (this.readyState === 0 && server.ws === "up") this.open();
      if (this.readyState === 0 && server.ws === "refuse") this.end(1006);
    });
  }
  open() {
    this.readyState = 1;
    this.onopen?.({});
  }
  send(text) {
    assert.equal(this.readyState, 1, "sent on a socket that is not open");
    const frame = JSON.parse(text);
    this.sent.push(frame);
    queueMicrotask(() => this.readyState === 1 && this.server.answer(this, frame));
  }
  /** The server says something: objects are lines of one frame, a string goes as it is. */
  say(...frames) {
    this.onmessage?.({ data: frames.map((f) => (typeof f === "string" ? f : JSON.stringify(f))).join("\n") });
  }
  /** The server, or the network, ends it. */
  end(code, reason = "") {
    this.readyState = 3;
    if (code === 1006) this.onerror?.({});
    this.onclose?.({ code, reason });
  }
  close(code) {
    this.closedWith = code;
    this.readyState = 3;
  }
  of(type) {
    return this.sent.filter((f) => f.type === type);
  }
}

class Stream {
  chunks = [];
  constructor(server, url, init) {
    Object.assign(this, { server, url: new URL(url), credential: init.headers.Authorization, signal: init.signal });
    this.channels = this.url.searchParams.getAll("channel");
    this.lastID = this.url.searchParams.get("last_event_id");
    this.rewind = this.url.searchParams.get("rewind");
    server.streams.push(this);
    this.signal.addEventListener("abort", () => this.#wake?.());
  }
  #wake;
  get open() {
    return !this.signal.aborted && !this.over;
  }
  raw(bytes) {
    this.chunks.push(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    this.#wake?.();
  }
  event(name, data, id) {
    this.raw((name ? `event: ${name}\n` : "") + (id ? `id: ${id}\n` : "") + (data ? `data: ${JSON.stringify(data)}\n` : "") + "\n");
  }
  end() {
    this.over = true;
    this.#wake?.();
  }
  getReader() {
    return {
      read: async () => {
        while (!this.chunks.length && this.open) await new Promise((wake) => (this.#wake = wake));
        if (this.signal.aborted) throw new DOMException("aborted", "AbortError");
        return this.chunks.length ? { done: false, value: this.chunks.shift() } : { done: true };
      },
    };
  }
}

export class Server {
  ws = "up"; // up, refuse, hang
  http = "up"; // up, refuse
  sockets = [];
  streams = [];
  requests = [];
  /** channel → answer's members, or an error's */
  answers = new Map();
  welcome = { type: "welcome", session: "s", ping_interval: 25, max_data: 65536, max_channels: 1000 };
  silent = new Set(); // types that are not answered
  problems = new Map(); // path → [status, body, headers]
  manual = false; // streams say nothing by themselves
  #ids = 0;

  constructor(clock) {
    this.clock = clock;
    const server = this;
    this.WebSocket = class extends Socket {
      constructor(url, protocol) {
        super(server, url, protocol);
      }
    };
  }
  get socket() {
    return this.sockets.at(-1);
  }
  get stream() {
    return this.streams.at(-1);
  }

  answer(socket, f) {
    if (this.silent.has(f.type)) return;
    const answer = this.answers.get(f.channel);
    const special = typeof answer === "function" ? answer(f) : answer;
    const say = (reply) => socket.say({ ...reply, ...(f.ref && { ref: f.ref }) });
    switch (f.type) {
      case "hello":
        return socket.say({ time: this.clock.now, ...this.welcome });
      case "subscribe":
        return say({ type: "subscribed", channel: f.channel, position: "", ...special });
      case "unsubscribe":
        return say({ type: "unsubscribed", channel: f.channel });
      case "publish":
        return say({ type: "published", id: f.id ?? "i" + ++this.#ids, position: "", ...special });
      case "auth":
        return say({ type: "authorized", expires: this.expires });
      case "ping":
        return say({ type: "pong" });
    }
  }

  fetch = async (url, init = {}) => {
    const path = new URL(url).pathname;
    const request = { path, query: new URL(url).search, method: init.method ?? "GET", body: init.body && JSON.parse(init.body), credential: init.headers?.Authorization };
    this.requests.push(request);
    await null;
    if (this.http === "refuse") throw new TypeError("fetch failed");
    if (init.signal?.aborted) throw new DOMException("aborted", "AbortError");
    const [status, body, headers = {}] = this.problems.get(path) ?? [200, this.#body(path, request)];
    const answer = { ok: status === 200, status, type: "cors", headers: new Headers(headers), json: async () => JSON.parse(JSON.stringify(body) ?? "<html>"), body: null };
    if (path === "/v1/sse" && status === 200) {
      const stream = (answer.body = new Stream(this, url, init));
      if (!this.manual) this.begin(stream);
    }
    return answer;
  };
  begin(stream) {
    stream.event("welcome", { time: this.clock.now, ...this.welcome });
    for (const channel of stream.channels) stream.event("subscribed", { type: "subscribed", channel, position: "", ...this.answers.get(channel) });
  }
  #body(path, { body }) {
    if (path === "/v1/messages") return { id: body.id ?? "i" + ++this.#ids, position: "" };
    return path === "/v1/tickets" ? { ticket: "t", expires: "2025-01-01T00:00:00Z" } : {};
  }

  /** A message to all that are subscribed. */
  publish(channel, data, more = {}) {
    const message = { type: "message", channel, id: "m" + ++this.#ids, position: "", previous: "", time: this.clock.now, data, ...more };
    for (const s of this.sockets) if (s.readyState === 1 && s.of("subscribe").some((f) => f.channel === channel)) s.say(message);
    for (const s of this.streams) if (s.open && s.channels.includes(channel)) s.event("", message);
    return message;
  }
}

/** The world for one test. Call it first; the client is made by its client(). */
export function world(t) {
  const clock = new Clock();
  const page = new Target();
  const doc = Object.assign(new Target(), { visibilityState: "visible" });
  const server = new Server(clock);
  const reported = [];
  const clients = [];
  const storage = new Map();
  const sessionStorage = { getItem: (k) => storage.get(k) ?? null, setItem: (k, v) => void storage.set(k, String(v)), removeItem: (k) => void storage.delete(k) };
  const w = { storage, clock, page, doc, server, reported, random: 0.5 };
  Object.assign(globalThis, { sessionStorage, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, document: doc, addEventListener: page.addEventListener, removeEventListener: page.removeEventListener, reportError: (e) => reported.push(e) });
  Date.now = () => clock.now;
  Math.random = () => w.random;

  w.client = (options = { key: "ffp_k" }) => {
    const ff = new Fanfare({ url: "https://push.test", WebSocket: server.WebSocket, fetch: server.fetch, ...options });
    ff.states = [];
    ff.errors = [];
    ff.on("state", ({ current, error }) => ff.states.push(error ? `${current}:${error.code}` : current));
    ff.on("error", (e) => ff.errors.push(e));
    clients.push(ff);
    return ff;
  };
  t.after(async () => {
    try {
      for (const ff of clients) ff.close();
      await settle();
      assert.equal(clock.timers.size, 0, "timers left: " + [...clock.timers.values()].map((x) => x.fn));
      assert.deepEqual([...page.listeners, ...doc.listeners], [], "listeners left");
      for (const s of server.sockets) {
        assert.deepEqual([s.onopen, s.onmessage, s.onclose], [null, null, null], "a socket's listeners left");
        assert.equal(s.readyState, 3, "a socket left open");
      }
      for (const s of server.streams) assert.equal(s.open, false, "a stream left open");
    } finally {
      Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
      Date.now = real.now;
      Math.random = real.random;
      for (const name of ["sessionStorage", "document", "addEventListener", "removeEventListener", "reportError"]) delete globalThis[name];
    }
  });
  return w;
}

/** The code that promise is rejected with; "" if it is fulfilled, "pending" if neither. */
export async function outcome(promise) {
  const result = promise.then(() => "", (e) => e.code ?? e);
  await settle();
  return Promise.race([result, Promise.resolve("pending")]);
}
