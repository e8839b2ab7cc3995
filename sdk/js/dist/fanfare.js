/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */
"use strict";
(() => {
  // src/error.ts
  var FanfareError = class extends Error {
    constructor(code, message, remedy, details = {}) {
      super(message);
      Object.assign(this, { name: "FanfareError", code, remedy }, details);
    }
  };
  function closed(cause) {
    return cause ?? new FanfareError("closed", "The client is closed.", "Make a new Fanfare.");
  }
  function connectionLost() {
    return new FanfareError("connection_lost", "The connection broke.", "The client comes back by itself; what was under way may or may not have gone out.");
  }
  function noAnswer() {
    return new FanfareError("no_answer", "The server did not answer in time.", "The client tries again by itself; what was under way may or may not have gone out.");
  }
  function optionsInvalid(message, remedy) {
    return new FanfareError("options_invalid", message, remedy);
  }

  // src/address.ts
  var script = globalThis.document?.currentScript;
  var home = /^http.*(?=\/sdk\/fanfare\.js)/.exec(script?.src ?? "")?.[0];
  function address(url) {
    const found = url ?? home ?? String(globalThis.location?.origin);
    if (!/^(http|ws)s?:\/\/[^/]/.test(found)) throw optionsInvalid(`There is no server at ${found}.`, "Give url, such as https://push.example.com");
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
  function wait(list) {
    return new Promise((resolve, reject) => list.push({ resolve, reject }));
  }
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
      this.turn++;
      this.live = false;
      this.holders.clear();
      this.retry.clear();
      return this.waiting.splice(0);
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
  function parse(text) {
    try {
      return JSON.parse(text) ?? void 0;
    } catch {
      return void 0;
    }
  }
  function errorOf(frame) {
    const { code = "internal", message = code, remedy = "", channel, retry_after: retryAfter } = frame;
    return new FanfareError(code, message, remedy, { channel, retryAfter });
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
          if (patient) timer.set(patience, () => request.finish(noAnswer()));
        },
        finish: (answer) => {
          timer.clear();
          if (this.#open.delete(ref)) done(answer);
        }
      };
      this.#open.set(ref, request);
      if (patient) timer.set(patience, () => request.finish(new FanfareError("not_connected", "There was no connection in time.", "Try again when connected; the state event tells.")));
      return request;
    }
    unsent() {
      return [...this.#open.values()].filter((request) => !request.out);
    }
    /** Hands an answer to whoever waits for it. */
    answer(frame) {
      this.#open.get(frame.ref)?.finish(frame.type === "error" ? errorOf(frame) : frame);
    }
    /** The connection is gone: what went out on it gets no answer. What did not waits on, unless all is over. */
    lose(error, all) {
      for (const request of [...this.#open.values()]) if (all || request.out) request.finish(error);
    }
  };

  // src/socket.ts
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
        for (const line of String(event.data).split("\n")) {
          const frame = parse(line);
          if (frame && this.#ws === ws) this.#events.frame(frame);
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
      ws.onopen = ws.onmessage = ws.onclose = null;
      if (ws.readyState) ws.onerror = null;
      if (ws.readyState <= open) ws.close(1e3);
    }
  };

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
      const [name, value = ""] = line.split(/: ?(.*)/);
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
    /** The ref of the auth that waits for its stream. */
    #auth = 0;
    #live;
    #next;
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
    /** Two streams are read, which may both bring a message. */
    get twofold() {
      return !!(this.#live && this.#next);
    }
    start() {
      this.#events.open();
    }
    send({ type, ref = 0, channel = "", key, token, ...message }) {
      if (type === "publish") {
        void this.#publish(ref, { channel, ...message });
        return;
      }
      if (type === "hello" || type === "auth") {
        this.#credential = key ?? token;
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
    close() {
      this.#closed = true;
      this.#settle.clear();
      this.#adopt();
    }
    #change() {
      if (!this.#settle.pending) this.#settle.set(settle, () => void this.#open());
    }
    #tell(frame) {
      if (!this.#closed) this.#events.frame(frame);
    }
    /** Puts stream in the place of all others. */
    #adopt(stream) {
      for (const other of [this.#live, this.#next]) if (other !== stream) other?.abort.abort();
      this.#live = stream;
      this.#next = void 0;
      this.#patience.clear();
    }
    async #open() {
      const abort = new AbortController();
      const { signal } = abort;
      const stream = { abort, waiting: new Set(this.#wanted.keys()) };
      this.#next?.abort.abort();
      this.#next = stream;
      this.#patience.set(patience2, () => this.#end({ type: "close", close: 1006 }));
      try {
        const query = [...stream.waiting].map((name) => "channel=" + encodeURIComponent(name)).join("&");
        const response = await (query ? this.#request("/v1/sse?" + query, void 0, signal) : this.#request("/v1/tickets", {}, signal));
        const refusal = response.ok ? void 0 : await problem(response);
        if (signal.aborted) return;
        if (refusal) return this.#refused(stream, refusal);
        if (query) return await this.#read(stream, response);
        this.#welcome({ type: "welcome" });
        this.#adopt();
      } catch {
        this.#broken(stream, { type: "close", close: 1006 });
      }
    }
    async #read(stream, response) {
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parser = new EventParser();
      for (; ; ) {
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
    #event(stream, { name, data }) {
      const frame = parse(data);
      const channel = frame?.channel ?? "";
      const ref = this.#wanted.get(channel);
      if (!frame) return;
      if (name === "welcome") this.#welcome(frame);
      if (name === "close") this.#broken(stream, frame);
      if (name === "message" && ref !== void 0) this.#tell(frame);
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
    #welcome(frame) {
      const ref = this.#auth;
      this.#auth = 0;
      if (!this.#welcomed) this.#tell(frame);
      else if (ref) this.#tell({ ...frame, type: "authorized", ref });
      this.#welcomed = true;
    }
    /** A stream ended. That matters unless another one is about to take its place. */
    #broken(stream, frame) {
      if (stream.abort.signal.aborted) return;
      if (stream === this.#live && this.#next) this.#live = void 0;
      else this.#end(frame);
    }
    #end(frame) {
      this.#events.frame(frame);
      this.close();
      this.#events.closed(frame.close, "");
    }
    /** One channel's refusal is that channel's end; any other is the connection's. */
    #refused({ waiting }, frame) {
      const [first = ""] = waiting;
      const channel = frame.channel ?? (frame.code === "not_granted" && waiting.size === 1 ? first : "");
      const ref = this.#wanted.get(channel);
      if (ref === void 0) return this.#end({ ...frame, type: "close" });
      this.#wanted.delete(channel);
      this.#change();
      this.#tell({ ...frame, channel, type: ref ? "error" : "unsubscribed", ref });
    }
    async #publish(ref, message) {
      let frame;
      try {
        const response = await this.#request("/v1/messages", message);
        frame = response.ok ? { ...await response.json(), type: "published" } : await problem(response);
      } catch {
        const { code, message: message2, remedy } = connectionLost();
        frame = { type: "error", code, message: message2, remedy };
      }
      this.#tell({ ...frame, ref });
      if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
    }
    #request(path, body, signal) {
      const fetch = this.#fetch;
      return fetch(this.#base + path, {
        method: body ? "POST" : "GET",
        headers: { Authorization: "Bearer " + this.#credential },
        // no others: servers allow other origins few
        body: body && JSON.stringify(body),
        signal
      });
    }
  };
  async function problem(response) {
    const { status, headers } = response;
    const { code, detail, remedy, channel } = await response.json().catch(() => ({}));
    const passes = !code || status > 499 || status === 429 || status === 408;
    return {
      type: "error",
      code: code ?? "unavailable",
      message: detail ?? "HTTP " + status,
      remedy,
      channel,
      retry_after: Number(headers.get("Retry-After")) * 1e3 || void 0,
      close: code === "token_expired" ? 4201 : passes ? 1006 : 4300
    };
  }

  // src/wakeup.ts
  var Wakeup = class {
    #seen;
    constructor(seen) {
      this.#seen = () => {
        if (globalThis.document?.visibilityState !== "hidden") seen();
      };
    }
    start() {
      this.#each("addEventListener");
    }
    stop() {
      this.#each("removeEventListener");
    }
    #each(method) {
      for (const name of ["online", "offline", "pageshow"]) globalThis[method]?.(name, this.#seen);
      globalThis.document?.[method]?.("visibilitychange", this.#seen);
    }
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
    /** Hello is out: subscribes may be sent. */
    greeted = false;
    #settings;
    #events;
    #requests = new Requests();
    #backoff = new Backoff();
    #wakeup = new Wakeup(() => this.#awake());
    /** In use, or being opened. */
    #line;
    /** A WebSocket that is tried beside server-sent events. */
    #spare;
    /** What the spare took over from, read for a moment longer. */
    #old;
    #seen = /* @__PURE__ */ new Set();
    #hello;
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
      this.#requests.lose(closed(error), true);
    }
    /** Sends a command and calls done with its answer. A patient one waits up to 10 s for the connection. */
    ask(command, done, patient = false) {
      if (this.state === "closed") return done(closed(this.error));
      const request = this.#requests.add(command, done, patient);
      if (this.state === "connected" || !patient) this.#send(request);
    }
    #send(request) {
      if (bytes(JSON.stringify(request.command)) > this.#maxFrame) {
        return request.finish(new FanfareError("message_too_large", "The message is larger than this app allows.", "Send a reference to the data instead, or raise message_bytes."));
      }
      request.sent();
      this.#line?.send(request.command);
    }
    async #try() {
      const attempt = ++this.#attempt;
      const late = () => this.#lost(1006, noAnswer());
      this.#watch.set(attemptTime, late);
      try {
        this.#hello = await this.#greeting();
      } catch (error) {
        if (attempt === this.#attempt) this.#lost(1006, error);
        return;
      }
      if (attempt !== this.#attempt) return;
      this.#watch.set(attemptTime, late);
      this.#line = this.#dial(this.#blocked < 2 ? this.#settings.WebSocket : void 0);
      this.#line.start();
    }
    async #greeting() {
      const { key, token, getToken } = this.#settings;
      return { type: "hello", key, token: getToken ? await this.#token() : token, client: "fanfare-js/0.1.0" };
    }
    async #token() {
      let cause = "it must return the token's text";
      try {
        const token = await this.#settings.getToken();
        if (token && typeof token === "string") return token;
      } catch (error) {
        cause = error;
      }
      throw new FanfareError("token_failed", `getToken failed: ${cause}`, "Mend it; it is called again with the next try.", { cause });
    }
    #dial(socketClass) {
      const { url, fetch } = this.#settings;
      const events = {
        open: () => this.#opened(line),
        alive: () => {
          if (line === this.#line) this.#heard = Date.now();
        },
        frame: (frame) => this.#received(line, frame),
        closed: (code, reason) => this.#ended(line, code, reason)
      };
      const line = socketClass ? new SocketTransport(socketClass, url, events) : new StreamTransport(fetch, url, events);
      return line;
    }
    #opened(line) {
      line.send(this.#hello);
      if (line !== this.#line) return;
      this.greeted = true;
      this.#events.greeted();
    }
    #received(line, frame) {
      switch (frame.type) {
        case "ping":
          return line.send({ type: "pong", ref: frame.ref });
        case "welcome":
          return this.#welcome(line, frame);
        case "close":
          if (line === this.#line) this.#farewell = frame;
          return;
        case "message":
          if (this.#double(frame.channel + "\n" + frame.id, this.#old || !line.socket && line.twofold)) return;
      }
      if (!frame.ref) this.#events.frame(frame);
      else this.#requests.answer(frame);
    }
    /** Whether it is the second copy of a message that came while two transports or streams were read. */
    #double(id, twofold) {
      if (this.#seen.delete(id)) return true;
      if (this.#seen.size > 999) this.#seen.clear();
      if (twofold) this.#seen.add(id);
      return false;
    }
    #welcome(line, frame) {
      const now = Date.now();
      if (line === this.#spare) this.#takeOver(line);
      if (line.socket) {
        this.#blocked = 0;
        this.#upgradeWait = firstUpgrade;
      } else if (this.#settings.WebSocket) this.#upgradeLater();
      this.#welcomed = this.#heard = now;
      this.#down = 0;
      this.#maxFrame = (frame.max_data ?? Infinity) + 4096;
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
      else if (!this.#line.socket && this.#line.quiet) this.#watch.set(this.#silence, () => this.#listen());
      else this.#lost(1006, noAnswer());
    }
    #awake() {
      if (this.#retry.pending) {
        this.#retry.clear();
        void this.#try();
      } else if (this.#welcomed) this.#probe();
    }
    /** Asks for a sign of life (clause 5.2). Server-sent events have no way to ask. */
    #probe() {
      if (this.#line.socket) {
        const heard = this.#heard -= 1;
        this.#line.send({ type: "ping" });
        this.#ping.set(probeTime, () => {
          if (heard === this.#heard) this.#lost(1006, noAnswer());
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
          else again(answer);
        });
      } catch (error) {
        again(error);
      }
    }
    #ended(line, code, reason) {
      if (line === this.#spare) {
        this.#spare = void 0;
        this.#upgradeLater();
      }
      if (line !== this.#line) return;
      const frame = this.#farewell;
      const known = frame?.code ? errorOf(frame) : code < 4e3 ? connectionLost() : errorOf({ type: "close", code: reason });
      this.#lost(frame?.close ?? code, known);
    }
    /** What clauses 6.4 to 6.6 say is done after a connection, or a try to get one, ended. */
    #lost(code, error) {
      const welcomed = this.#welcomed;
      const line = this.#line;
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
      const wait2 = atOnce ? 0 : suspended ? longestWait : this.#backoff.next();
      this.#retry.set(Math.max(wait2, error.retryAfter ?? 0), () => void this.#try());
      this.#become(suspended ? "suspended" : "reconnecting", error);
    }
    /** Counts a WebSocket that failed, if HTTP works at the same time. */
    async #count() {
      const { url, fetch } = this.#settings;
      try {
        const response = await fetch(url + "/livez", { mode: "no-cors", cache: "no-store" });
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
      this.#spare = this.#dial(this.#settings.WebSocket);
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
    }
    /** Lets go of every transport and of all timers that belong to them. */
    #drop() {
      this.#retired();
      this.#line?.close();
      this.#spare?.close();
      this.#line = this.#spare = this.#farewell = void 0;
      this.#welcomed = 0;
      this.greeted = false;
      this.#watch.clear();
      this.#ping.clear();
      this.#refresh.clear();
      this.#upgrade.clear();
      this.#requests.lose(connectionLost(), false);
    }
    #become(current, error) {
      const previous = this.state;
      if (current === previous) return;
      this.state = current;
      this.#events.state({ current, previous, error });
    }
  };

  // src/emitter.ts
  var Emitter = class {
    #listeners = /* @__PURE__ */ new Map();
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
      for (const listener of all) void run(listener, event, report);
      return all.length > 0;
    }
  };
  async function run(fn, value, failed) {
    try {
      await fn(value);
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
    #emitter = new Emitter();
    #channels = /* @__PURE__ */ new Map();
    #connection;
    #waiting = [];
    /** Opens nothing yet. Throws a FanfareError where the options make no sense. */
    constructor(options) {
      const { url, key, token, getToken } = options;
      if ([key, token, getToken].filter(Boolean).length !== 1) {
        throw optionsInvalid("The client needs one of key, token and getToken.", 'Give key: "ffp_…", or a getToken that asks your server.');
      }
      this.#connection = new Connection(
        { ...options, url: address(url), WebSocket: options.WebSocket ?? globalThis.WebSocket, fetch: options.fetch ?? globalThis.fetch },
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
    connect() {
      const connected = this.#connected();
      connected.catch(() => {
      });
      return connected;
    }
    /**
     * Calls handler with each message of the channel, until unsubscribed. Fulfilled when the server has answered; while
     * there is no connection it waits. The channel is subscribed to once, however many handlers it has.
     */
    async subscribe(channel, handler) {
      checkChannel(channel);
      if (typeof handler !== "function") throw optionsInvalid("The handler is not a function.", "Give one to subscribe.");
      this.#start();
      const entry = this.#channels.get(channel) ?? new Channel(channel);
      this.#channels.set(channel, entry);
      const { holders, live, waiting, turn } = entry;
      const holder = { handler };
      holders.add(holder);
      if (!live) {
        const answered = wait(waiting);
        if (!turn) this.#join(entry);
        await answered;
      }
      return {
        channel,
        get active() {
          return holders.has(holder);
        },
        unsubscribe: () => this.#leave(entry, holder)
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
    async #connected() {
      this.#start();
      if (this.state !== "connected") await wait(this.#waiting);
    }
    #start() {
      const { state, error } = this.#connection;
      if (state === "closed") throw closed(error);
      this.#connection.start();
    }
    #changed(change) {
      const { current, error } = change;
      if (current !== "connected") for (const channel of this.#channels.values()) channel.live = false;
      if (current === "closed") {
        const waiting = [...this.#channels.values()].flatMap((channel) => channel.end());
        for (const waiter of this.#waiting.splice(0).concat(waiting)) waiter.reject(closed(error));
        this.#channels.clear();
      }
      if (current === "connected") for (const waiter of this.#waiting.splice(0)) waiter.resolve();
      this.#emitter.emit("state", change);
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
        if (!this.#connection.greeted) return;
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
      const { position, previous } = frame;
      const since = channel.position;
      channel.position = position || since;
      if (since && previous && previous !== since) this.#emitter.emit("gap", { channel: channel.name, since, position: previous });
      for (const holder of [...channel.holders]) {
        if (channel.holders.has(holder)) void run(holder.handler, message, (error) => this.#failed(error));
      }
    }
    #failed(error) {
      const wrapped = error instanceof Error ? error : new Error(String(error));
      if (!this.#emitter.emit("error", wrapped)) report(error);
    }
  };

  // src/global.ts
  Object.assign(globalThis, { Fanfare });
})();
