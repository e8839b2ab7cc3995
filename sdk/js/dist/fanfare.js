/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */
"use strict";
(() => {
  var __defProp = Object.defineProperty;
  var __getOwnPropNames = Object.getOwnPropertyNames;
  var __esm = (fn, res, err) => function __init() {
    if (err) throw err[0];
    try {
      return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
    } catch (e) {
      throw err = [e], e;
    }
  };
  var __export = (target, all) => {
    for (var name in all)
      __defProp(target, name, { get: all[name], enumerable: true });
  };

  // src/error.ts
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
  var FanfareError;
  var init_error = __esm({
    "src/error.ts"() {
      "use strict";
      FanfareError = class extends Error {
        constructor(code, message, remedy, details = {}) {
          super(message);
          Object.assign(this, { name: "FanfareError", code, remedy }, details);
        }
      };
    }
  });

  // src/timer.ts
  var longest, Timer;
  var init_timer = __esm({
    "src/timer.ts"() {
      "use strict";
      longest = 2 ** 31 - 1;
      Timer = class {
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
    }
  });

  // src/frame.ts
  function parse(text) {
    try {
      return JSON.parse(text) ?? void 0;
    } catch {
      return void 0;
    }
  }
  function errorOf(frame) {
    const { code = "internal", message = code, remedy = "", channel, retry_after: retryAfter, position } = frame;
    return new FanfareError(code, message, remedy, { channel, retryAfter, position });
  }
  var init_frame = __esm({
    "src/frame.ts"() {
      "use strict";
      init_error();
    }
  });

  // src/rest.ts
  function call(fetch, url, credential, body, signal) {
    return fetch(url, {
      method: body ? "POST" : "GET",
      headers: { Authorization: "Bearer " + credential },
      // no others: servers allow other origins few
      body: body && JSON.stringify(body),
      signal
    });
  }
  async function problem(response) {
    const { status, headers } = response;
    const { code, detail, remedy, channel, position } = await response.json().catch(() => ({}));
    const passes = !code || status > 499 || status === 429 || status === 408;
    return {
      type: "error",
      code: code ?? "unavailable",
      message: detail ?? "HTTP " + status,
      remedy,
      channel,
      position,
      retry_after: Number(headers.get("Retry-After")) * 1e3 || void 0,
      close: code === "token_expired" ? 4201 : passes ? 1006 : 4300
    };
  }
  var init_rest = __esm({
    "src/rest.ts"() {
      "use strict";
    }
  });

  // src/events.ts
  var EventParser;
  var init_events = __esm({
    "src/events.ts"() {
      "use strict";
      EventParser = class {
        #rest = "";
        #name = "";
        #data = [];
        #id = "";
        /** The events that text completes, those without data too: they may have an id. */
        push(text) {
          const found = [];
          const all = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
          this.#rest = all.pop();
          for (const line of all) {
            if (line) this.#field(line);
            else {
              found.push({ name: this.#name || "message", data: this.#data.join("\n"), id: this.#id });
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
          if (name === "id") this.#id = value;
        }
      };
    }
  });

  // src/stream.ts
  var stream_exports = {};
  __export(stream_exports, {
    StreamTransport: () => StreamTransport
  });
  var settle, overlap, patience2, most, gone, StreamTransport;
  var init_stream = __esm({
    "src/stream.ts"() {
      "use strict";
      init_events();
      init_frame();
      init_rest();
      init_timer();
      settle = 10;
      overlap = 500;
      patience2 = 15e3;
      most = 100;
      gone = { type: "close", close: 1006 };
      StreamTransport = class {
        socket = false;
        #fetch;
        #base;
        #events;
        #past;
        /** Until a stream is opened, or takes over. */
        #settle = new Timer();
        #patience = new Timer();
        #wanted = /* @__PURE__ */ new Map();
        #watched = /* @__PURE__ */ new Map();
        #credential = "";
        /** The ref of the auth that waits for its stream. */
        #auth = 0;
        #live;
        #next;
        #welcomed = false;
        #closed = false;
        constructor(fetch, base, events, past) {
          this.#fetch = fetch;
          this.#base = base;
          this.#events = events;
          this.#past = past;
        }
        /** Without channels there is no stream, and nothing that could show life. */
        get quiet() {
          return !this.#live?.channels.length;
        }
        /** Two streams are read, which may both bring a message. */
        get twofold() {
          return !!(this.#live && this.#next);
        }
        start() {
          this.#events.open();
        }
        send({ type, ref = 0, channel = "", key, token, rewind, since, at, presence: presence2, occupancy: occupancy2, ...message }) {
          if (message.action) return this.#tell({ type: "error", ref, channel, code: "unknown_command", message: "Without WebSocket nobody enters or leaves.", remedy: "Let WebSocket through; server-sent events only tell who is present." });
          if (type === "publish") {
            void this.#publish(ref, { channel, ...message });
            return;
          }
          if (type === "hello" || type === "auth") {
            this.#credential = key ?? token;
            this.#auth = ref;
          } else if (type === "unsubscribe") {
            this.#wanted.delete(channel);
            this.#watched.delete(channel);
            this.#tell({ type: "unsubscribed", ref, channel });
          } else if (type !== "subscribe") {
            return;
          } else if (this.#wanted.size < most) {
            if (presence2 || occupancy2) this.#watched.set(channel, { presence: !!presence2, occupancy: !!occupancy2 });
            else this.#watched.delete(channel);
            this.#wanted.set(channel, { ref, rewind, since, at });
          } else {
            return this.#tell({ type: "error", ref, channel, code: "channel_limit", message: "Without WebSocket, 100 channels are the most.", remedy: "Let WebSocket through, or unsubscribe from some." });
          }
          this.#change();
        }
        close() {
          this.#closed = true;
          this.#settle.clear();
          this.#patience.clear();
          for (const stream of [this.#live, this.#next]) stream?.abort.abort();
        }
        #change() {
          if (!this.#settle.pending) this.#settle.set(settle, () => void this.#open());
        }
        #tell(frame) {
          if (!this.#closed) this.#events.frame(frame);
        }
        /** Puts stream in the place of the one before it. */
        #adopt(stream) {
          this.#live?.abort.abort();
          this.#live = stream;
          this.#next = void 0;
          this.#patience.clear();
          if (stream.credential !== this.#credential || !this.#same(stream.channels) || stream.watch !== this.#watch(stream.channels)) this.#change();
        }
        #watch(channels) {
          const ask = (what) => channels.map((name) => this.#watched.get(name)?.[what] ? `&${what}=${encodeURIComponent(name)}` : "").join("");
          return ask("presence") + ask("occupancy");
        }
        #same(channels) {
          return channels.length === this.#wanted.size && channels.every((name) => this.#wanted.has(name));
        }
        /** What resumes from the channels' own positions, which came over a WebSocket or from the app: an id has one for each epoch. */
        #since() {
          const marks = /* @__PURE__ */ new Map();
          const channels = [];
          let time = Infinity;
          for (const [name, wanted] of this.#wanted) {
            if (wanted && !wanted.since) continue;
            channels.push(name);
            if (!wanted?.since) continue;
            const [epoch = "", seq] = wanted.since.split(":");
            marks.set(epoch, Math.min(marks.get(epoch) ?? Infinity, Number(seq)));
            time = Math.min(time, wanted.at ?? 0);
          }
          return marks.size ? { channels, id: [...marks].map((mark) => mark.join(":")) + (time ? "@" + time : "") } : void 0;
        }
        async #open() {
          if (this.#next) return;
          const { last } = this.#past;
          const resumes = last?.channels.every((name) => this.#wanted.has(name)) && (!this.#live || this.#same(last.channels)) ? last : this.#since();
          const rewind = [...this.#wanted.values()].find((wanted) => wanted?.rewind)?.rewind;
          const channels = resumes?.channels ?? [...this.#wanted].filter(([, wanted]) => !wanted?.rewind || wanted.rewind === rewind).map(([name]) => name);
          const abort = new AbortController();
          const { signal } = abort;
          const stream = { abort, credential: this.#credential, channels, waiting: new Set(channels), id: "", watch: this.#watch(channels) };
          this.#next = stream;
          this.#patience.set(patience2, () => this.#end(gone));
          try {
            const query = channels.map((name) => "channel=" + encodeURIComponent(name));
            if (resumes) query.push("last_event_id=" + encodeURIComponent(resumes.id));
            if (rewind) query.push("rewind=" + (rewind.count ?? rewind.seconds + "s"));
            const response = await (channels.length ? this.#request("/v1/sse?" + query.join("&") + stream.watch, void 0, signal) : this.#request("/v1/tickets", {}, signal));
            const refusal = response.ok ? void 0 : await problem(response);
            if (signal.aborted) return;
            if (refusal) return this.#refused(stream, refusal);
            if (channels.length) return await this.#read(stream, response, !!last && resumes === last || this.quiet);
            this.#welcome(stream, { type: "welcome" });
            this.#adopt(stream);
          } catch {
            this.#broken(stream, gone);
          }
        }
        /** Reads until the end. What is sure needs no look at the stream before it. */
        async #read(stream, response, sure) {
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
              if (stream === this.#next && !stream.waiting.size) {
                if (!sure) await new Promise((done2) => this.#settle.set(overlap, done2));
                if (!stream.abort.signal.aborted) this.#adopt(stream);
              }
              if (stream.abort.signal.aborted) return;
              if (stream.id && stream === this.#live) this.#past.last = stream;
            }
          }
        }
        #event(stream, { name, data, id }) {
          stream.id = id;
          const time = !data && /@(\d+)$/.exec(id)?.[1];
          if (time) this.#tell({ type: "ping", time: Number(time) });
          const frame = parse(data);
          const channel = frame?.channel ?? "";
          if (!frame) return;
          if (name === "welcome") this.#welcome(stream, frame);
          if (name === "close") this.#broken(stream, frame);
          if (name === "message" && this.#wanted.has(channel)) this.#tell(frame);
          const watch = this.#watched.get(channel);
          if ((name === "presence" || name === "occupancy") && watch?.[name] && stream === (this.#next ?? this.#live)) this.#tell(frame);
          if (name === "error" && watch) this.#unwatch(frame);
          if (name === "subscribed") {
            if (watch?.presence) this.#tell({ type: "presence", channel, action: "anew" });
            const wanted = this.#wanted.get(channel);
            if (wanted) {
              this.#wanted.set(channel, void 0);
              this.#tell({ ...frame, ref: wanted.ref });
            }
            stream.waiting.delete(channel);
          }
        }
        /** The first welcome is told as it is; a later one answers auth. */
        #welcome(stream, frame) {
          const ref = this.#auth;
          if (stream.credential !== this.#credential) return;
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
        /** One channel's refusal is that channel's end, an id's that of the resume; any other is the connection's. */
        #refused({ channels }, frame) {
          const { code } = frame;
          const [first = ""] = channels;
          const channel = frame.channel ?? (code === "not_granted" && channels.length === 1 ? first : "");
          const known = this.#wanted.has(channel);
          const forgets = code === "position_invalid" && (this.#past.last || this.#since());
          if (!known && !forgets) return this.#end({ ...frame, type: "close" });
          if (known && !forgets && !this.#wanted.get(channel) && this.#watched.has(channel)) {
            this.#next = void 0;
            return this.#unwatch({ ...frame, channel });
          }
          this.#next = this.#past.last = void 0;
          if (forgets) {
            for (const wanted2 of this.#wanted.values()) if (wanted2) wanted2.since = void 0;
          }
          const wanted = this.#wanted.get(channel);
          this.#wanted.delete(channel);
          this.#watched.delete(channel);
          this.#change();
          if (known) this.#tell({ ...frame, channel, type: wanted ? "error" : "unsubscribed", ref: wanted?.ref });
        }
        /** What a channel is told beside messages is refused: messages go on without. */
        #unwatch(frame) {
          this.#watched.delete(frame.channel);
          this.#change();
          this.#tell({ ...frame, type: "error" });
        }
        async #publish(ref, message) {
          try {
            const response = await this.#request("/v1/messages", message);
            const frame = response.ok ? { ...await response.json(), type: "published" } : await problem(response);
            this.#tell({ ...frame, ref });
            if (frame.code === "token_expired") this.#end({ ...frame, type: "close" });
          } catch {
            if (!this.#closed) this.#end(gone);
          }
        }
        #request(path, body, signal) {
          return call(this.#fetch, this.#base + path, this.#credential, body, signal);
        }
      };
    }
  });

  // src/address.ts
  init_error();
  var script = globalThis.document?.currentScript;
  var home = /^http.*(?=\/sdk\/fanfare\.js)/.exec(script?.src ?? "")?.[0];
  function address(url) {
    const found = url ?? home ?? String(globalThis.location?.origin);
    if (!/^(http|ws)s?:\/\/[^/]/.test(found)) throw optionsInvalid(`There is no server at ${found}.`, "Give url, such as https://push.example.com");
    return found.replace(/^ws/, "http").replace(/\/+$/, "");
  }

  // src/channel.ts
  init_timer();
  function wait(list) {
    return new Promise((resolve, reject) => list.push({ resolve, reject }));
  }
  var Channel = class {
    name;
    holders = /* @__PURE__ */ new Set();
    /** Who waits for the server's answer. */
    waiting = [];
    /** Of the last message, or where the subscription began (clause 3.9); "" where there is none. */
    position = "";
    /** The server's time when surely all was here up to position, Unix milliseconds. */
    at;
    /** Pings until that time is theirs: a replay may still be under way. */
    lag = 0;
    /** For the first subscribe. */
    rewind;
    /** The next message may be older than position. */
    rewound = false;
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

  // src/connection.ts
  init_error();
  init_frame();

  // src/name.ts
  init_error();
  var longest2 = 200;
  function bytes(text) {
    return new TextEncoder().encode(text).length;
  }
  function makeID() {
    return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36).padStart(7, "0")).join("");
  }
  function checkChannel(name) {
    if (typeof name !== "string" || !name || bytes(name) > longest2 || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) {
      throw new FanfareError("channel_invalid", "The channel name is not valid.", "Use 1 to 200 bytes of UTF-8 without control characters.");
    }
  }

  // src/hello.ts
  init_error();
  async function greeting(settings) {
    const { key, getToken } = settings;
    let { token } = settings;
    try {
      if (getToken && (typeof (token = await getToken()) !== "string" || !token)) throw "it must return the token's text";
    } catch (cause) {
      throw new FanfareError("token_failed", `getToken failed: ${cause}`, "Mend it; it is called again with the next try.", { cause });
    }
    return { type: "hello", key, token, client: "fanfare-js/0.1.0" };
  }

  // src/request.ts
  init_error();
  init_frame();
  init_timer();
  var patience = 1e4;
  var answerTime = 15e3;
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
        times: 0,
        sent: () => {
          request.out = true;
          request.times++;
          if (patient) timer.set(answerTime, () => request.finish(noAnswer()));
        },
        wait: (error) => {
          request.out = false;
          timer.set(patience, () => request.finish(error));
        },
        finish: (answer) => {
          timer.clear();
          if (this.#open.delete(ref)) done(answer);
        }
      };
      this.#open.set(ref, request);
      if (patient) request.wait(new FanfareError("not_connected", "There was no connection in time.", "Try again when connected; the state event tells."));
      return request;
    }
    unsent() {
      return [...this.#open.values()].filter((request) => !request.out);
    }
    /** Hands an answer to whoever waits for it. */
    answer(frame) {
      this.#open.get(frame.ref)?.finish(frame.type === "error" ? errorOf(frame) : frame);
    }
    /** The connection is gone: what went out on it gets no answer. What did not waits on, and what may go out again, unless all is over. */
    lose(error, all) {
      for (const request of [...this.#open.values()]) {
        if (!all && !request.out) continue;
        request.command.first = void 0;
        if (!all && request.patient && request.times < 2) request.wait(error);
        else request.finish(error);
      }
    }
  };

  // src/connection.ts
  init_rest();

  // src/socket.ts
  init_frame();
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

  // src/connection.ts
  init_timer();

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
  var overlap2 = 5e3;
  var Connection = class {
    state = "initialized";
    /** Why it closed. */
    error;
    /** Hello is out: subscribes may be sent. */
    greeted = false;
    /** The server's, in its last welcome or ping. */
    time;
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
    #streams;
    #past = {};
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
    /** The answer to a REST request. */
    async request(path, body) {
      const { url, fetch, getToken } = this.#settings;
      const ask = async (hello) => {
        const response = await call(fetch, url + path, hello.key ?? hello.token, body);
        return { ...response.ok ? await response.json() : await problem(response), ok: response.ok };
      };
      let answer = await ask(this.#hello ?? await greeting(this.#settings));
      if (answer.code === "token_expired" && getToken) answer = await ask(await greeting(this.#settings));
      if (!answer.ok) throw errorOf(answer);
      return answer;
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
      const socketClass = this.#blocked < 2 ? this.#settings.WebSocket : void 0;
      this.#watch.set(attemptTime, late);
      try {
        this.#hello = await greeting(this.#settings);
        if (!socketClass) await this.#load();
      } catch (error) {
        if (attempt === this.#attempt) this.#lost(1006, error);
        return;
      }
      if (attempt !== this.#attempt) return;
      this.#watch.set(attemptTime, late);
      this.#line = this.#dial(socketClass);
      this.#line.start();
    }
    /** Server-sent events are code of their own, for most never need it. */
    async #load() {
      try {
        this.#streams ??= (await Promise.resolve().then(() => (init_stream(), stream_exports))).StreamTransport;
      } catch {
        this.#blocked = 1;
        throw connectionLost();
      }
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
      const line = socketClass ? new SocketTransport(socketClass, url, events) : new this.#streams(fetch, url, events, this.#past);
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
          line.send({ type: "pong", ref: frame.ref });
          this.time = frame.time;
          return this.#events.frame(frame);
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
      this.time = frame.time;
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
        this.#hello = await greeting(this.#settings);
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
      this.#retire.set(overlap2, () => this.#retired());
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
  init_error();
  init_frame();

  // src/memory.ts
  var longest3 = 12e4;
  var Memory = class {
    #name;
    #channels;
    /** Of the page before, and not used yet. */
    #notes = /* @__PURE__ */ new Map();
    constructor(name, channels) {
      this.#name = name;
      this.#channels = channels;
      try {
        this.#notes = new Map(JSON.parse(sessionStorage.getItem(name)));
      } catch {
      }
      globalThis.addEventListener?.("pagehide", this.#save);
    }
    /** Puts a new channel where it was before the page was loaded. */
    recall(channel) {
      const [position, at, noted] = this.#notes.get(channel.name) ?? ["", 0, 0];
      this.#notes.delete(channel.name);
      if (Math.abs(Date.now() - noted) < longest3) Object.assign(channel, { position, at });
    }
    /** Forgets all, once there are no channels any more. */
    end() {
      globalThis.removeEventListener?.("pagehide", this.#save);
      this.#notes.clear();
      this.#save();
    }
    #save = () => {
      const notes = new Map(this.#notes);
      for (const { name, position, at } of this.#channels.values()) notes.set(name, [position, at, Date.now()]);
      try {
        sessionStorage.setItem(this.#name, JSON.stringify([...notes]));
      } catch {
      }
    };
  };

  // src/position.ts
  function distance(since, position) {
    const [epoch, from] = since.split(":");
    const [other, to] = position.split(":");
    return epoch === other ? Number(to) - Number(from) : NaN;
  }

  // src/client.ts
  var Fanfare = class {
    /** The class of all errors, for pages that load the client by a script tag. */
    static Error = FanfareError;
    #emitter = new Emitter();
    #channels = /* @__PURE__ */ new Map();
    #connection;
    #waiting = [];
    #memory;
    /** Opens nothing yet. Throws a FanfareError where the options make no sense. */
    constructor(options) {
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
          failed: (error) => this.#failed(error)
        }
      );
      if (onGap) this.on("gap", onGap);
      if (persist) this.#memory = new Memory("fanfare " + url + " " + (key ?? ""), this.#channels);
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
     * there is no connection it waits. The channel is subscribed to once, however many handlers it has. After a break it
     * goes on behind the last message; where that cannot be, the event `gap` tells.
     */
    async subscribe(channel, handler, options = {}) {
      checkChannel(channel);
      if (typeof handler !== "function") throw optionsInvalid("The handler is not a function.", "Give one to subscribe.");
      this.#start();
      let entry = this.#channels.get(channel);
      if (!entry) {
        this.#channels.set(channel, entry = new Channel(channel));
        this.#memory?.recall(entry);
        if (options.since) entry.position = options.since;
        entry.rewind = options.rewind;
      }
      const { holders, live, waiting, turn } = entry;
      let { position } = entry;
      const { told, asks } = options;
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
        unsubscribe: () => this.#leave(entry, holder)
      };
    }
    /**
     * Publishes data, any JSON value. Fulfilled when the server has taken it. While there is no connection it waits for
     * one, at most 10 s; where the connection breaks before the answer it is sent once more, with the same id, so that a
     * durable channel has it once. After `connection_lost` and `no_answer` the message may or may not have gone out.
     */
    async publish(channel, data, options = {}) {
      checkChannel(channel);
      const text = JSON.stringify(data);
      const { event, id, ifPosition: if_position } = options;
      const command = { type: "publish", channel, data: text && JSON.parse(text), event, id: id ?? makeID(), first: id ? void 0 : true, if_position };
      const answer = await this.command(command);
      return { id: answer.id, position: answer.position, duplicate: !!answer.duplicate };
    }
    /** Sends a command of PROTOCOL.md and gives its answer; rejects as it is refused. It waits and goes out again as publish says. */
    async command(command) {
      this.#start();
      return new Promise((resolve, reject) => this.#connection.ask(command, (answer) => (answer instanceof FanfareError ? reject : resolve)(answer), true));
    }
    /** Calls the server's REST API (PROTOCOL.md, section 9) as this client: a POST where there is a body. Rejects as it refuses. */
    request(path, body) {
      return this.#connection.request(path, body);
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
        this.#memory?.end();
      }
      if (current === "connected") for (const waiter of this.#waiting.splice(0)) waiter.resolve("");
      this.#emitter.emit("state", change);
    }
    #join(channel) {
      if (!this.#connection.greeted) return;
      const turn = ++channel.turn;
      const { name, position: since, at, rewind } = channel;
      channel.retry.clear();
      this.#connection.ask({ type: "subscribe", channel: name, ...since && { since, at }, rewind, ...Object.assign({}, ...[...channel.holders].map((holder) => holder.asks)) }, (answer) => {
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
          this.#gap(channel, since, "", code);
          return this.#join(channel);
        }
        if (code !== "already_subscribed") {
          const { holders } = channel;
          const room = [...holders].filter((holder) => holder.told).pop();
          if (!room || holders.size < 2) return this.#end(channel, answer);
          holders.delete(room);
          room.told(answer);
          return this.#join(channel);
        }
      } else {
        const { position = "", reason = "unknown" } = answer;
        const recovered = since && answer.recovered;
        if (!recovered) {
          if (since && position !== since) this.#gap(channel, since, position, reason);
          channel.at = this.#connection.time;
          channel.rewound = !!channel.rewind;
          if (!(distance(channel.position, position) < 0)) channel.position = position;
        }
        channel.lag = recovered || channel.rewind ? 2 : 0;
        channel.rewind = void 0;
      }
      channel.live = true;
      for (const holder of channel.holders) holder.told?.(answer);
      for (const waiter of channel.waiting.splice(0)) waiter.resolve(channel.position);
    }
    async #leave(channel, holder) {
      const { name, holders } = channel;
      if (!holders.delete(holder) || holders.size) return;
      channel.end();
      this.#channels.delete(name);
      await this.#part(name);
    }
    async #part(channel) {
      if (this.#connection.greeted) await new Promise((resolve) => this.#connection.ask({ type: "unsubscribe", channel }, resolve));
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
      else if (frame.type === "ping") for (const one of this.#channels.values()) this.#pinged(one, frame.time);
      else if (/^(pres|occ|early)/.test(frame.type)) channel?.holders.forEach((holder) => holder.told?.(frame));
      else if (frame.type === "unsubscribed" && channel) this.#end(channel, errorOf(frame));
      else if (frame.type === "error") {
        const rooms = [...channel?.holders ?? []].filter((holder) => holder.told);
        for (const room of rooms) {
          room.told(errorOf(frame));
          void this.#leave(channel, room);
        }
        if (!rooms.length) this.#failed(errorOf(frame));
      }
    }
    #deliver(channel, frame) {
      const { type: _, ...message } = frame;
      const { position = "", previous = "", time } = frame;
      const since = channel.rewound ? "" : channel.position;
      const step = distance(since, position);
      if (step <= 0) return;
      channel.position = position || since;
      channel.at = time;
      channel.lag &&= 2;
      channel.rewound = false;
      if (step !== step ? since && position : distance(since, previous) > 0) this.#gap(channel, since, previous, step ? "missed" : "epoch");
      for (const holder of [...channel.holders]) {
        if (channel.holders.has(holder)) void run(holder.handler, message, (error) => this.#failed(error));
      }
    }
    /** A ping's time counts for channels on which nothing old is on its way any more. */
    #pinged(channel, time) {
      if (channel.live && !(channel.lag && --channel.lag)) channel.at = time;
    }
    #gap({ name: channel }, since, position, reason) {
      this.#emitter.emit("gap", { channel, since, position, reason });
    }
    #failed(error) {
      const wrapped = error instanceof Error ? error : new Error(String(error));
      if (!this.#emitter.emit("error", wrapped)) report(error);
    }
  };

  // src/early.ts
  var most2 = 1e3;
  var window = 15e4;
  function early(ff, channel, handler, options = {}) {
    const stored = /* @__PURE__ */ new Map();
    const ahead = /* @__PURE__ */ new Map();
    let since;
    const told = (frame) => {
      const { type, id = "", time = 0 } = frame;
      if (type === "subscribed") since ??= time || void 0;
      if (type !== "early" || stored.has(id) || ahead.has(id) || !(time > since)) return;
      for (const [old, at] of ahead) if (at < time - window) ahead.delete(old);
      if (ahead.size >= most2) return;
      ahead.set(id, time);
      const { type: _, ...message } = frame;
      void run(handler, { ...message, position: "", previous: "", early: true }, report);
    };
    const take = (message) => {
      const { id, time } = message;
      stored.set(id, time);
      for (const [old, at] of stored) {
        if (stored.size <= most2) break;
        stored.delete(old);
        since = Math.max(since ?? 0, at);
      }
      return ahead.delete(id) || handler(message);
    };
    return ff.subscribe(channel, take, { ...options, told, asks: { early: true } });
  }

  // src/history.ts
  var most3 = 1e3;
  var usual = 100;
  function history(ff, channel, options = {}) {
    const { limit = Infinity, newest = false, since, onGap, ...range } = options;
    const page = async (next, size) => {
      const query = new URLSearchParams({ channel, limit: String(size) });
      const members = { ...range, [newest ? "before" : "after"]: next ?? (newest ? range.before : range.after), since: since && new Date(since).toISOString(), newest: newest || void 0 };
      for (const [name, value] of Object.entries(members)) if (value !== void 0) query.set(name, String(value));
      const { messages, ...rest } = await ff.request("/v1/messages?" + query);
      if (rest.whole === false && !next) onGap?.({ channel, since: range.after ?? "", position: messages[0]?.previous ?? "", reason: rest.reason });
      return { whole: true, ...rest, messages: messages.map(({ type: _, ...message }) => message) };
    };
    return {
      page: (next) => page(next, options.limit ?? usual),
      async *[Symbol.asyncIterator]() {
        let left = limit;
        let size = usual;
        let next;
        do {
          const found = await page(next, Math.min(left, size));
          size = most3;
          for (const message of newest ? found.messages.reverse() : found.messages) yield message;
          left -= found.messages.length;
          next = found.next;
        } while (next && left > 0);
      }
    };
  }

  // src/occupancy.ts
  function occupancy(ff, channel, changed, failed) {
    return new Promise((resolve, reject) => {
      let active = true;
      let numbers;
      let subscribed;
      const leave = () => subscribed?.then((sub) => sub.unsubscribe()).catch(() => {
      });
      const stop = (error) => {
        if (!active) return;
        active = false;
        for (const off of offs) off();
        if (error && !numbers) reject(error);
        else if (error) failed?.(error);
      };
      const failure = (code, message, remedy) => new ff.constructor.Error(code, message, remedy, { channel });
      const offs = [
        ff.on("unsubscribed", (ended) => {
          if (ended.channel === channel) stop(ended.error);
        }),
        ff.on("state", ({ current, error }) => {
          if (current === "closed") stop(error ?? (numbers ? void 0 : failure("closed", "The client is closed.", "Make a new Fanfare.")));
        })
      ];
      const counter = {
        channel,
        get numbers() {
          return numbers;
        },
        get active() {
          return active;
        },
        close: async () => {
          stop();
          await leave();
        }
      };
      const told = (frame) => {
        if (!active) return;
        if (frame instanceof Error) {
          if (frame.code !== "already_subscribed") stop(frame);
        } else if (frame.type === "occupancy") {
          const { subscribers, members } = frame.occupancy;
          const same = numbers?.subscribers === subscribers && numbers.members === members;
          numbers = { subscribers, members };
          resolve(counter);
          if (!same) changed(numbers);
        }
      };
      subscribed = ff.subscribe(channel, () => {
      }, { told, asks: { occupancy: true } });
      subscribed.then(
        () => active || void leave(),
        (error) => stop(error)
      );
    });
  }

  // src/presence.ts
  init_timer();
  var passing = /^(not_connected|connection_lost|no_answer|closed|unknown_command)$/;
  var Presence = class {
    channel;
    members = /* @__PURE__ */ new Map();
    active = true;
    #ff;
    #emitter = new Emitter();
    #again = new Timer();
    #offs;
    #subscribed;
    /** Of a sync that is not complete. */
    #coming = /* @__PURE__ */ new Map();
    /** What we entered with. */
    #mine;
    /** The ends of begin's promise; later calls of them do nothing. */
    #resolve;
    #reject;
    #ready = false;
    constructor(ff, channel) {
      this.#ff = ff;
      this.channel = channel;
      this.#offs = [
        ff.on("unsubscribed", (ended) => {
          if (ended.channel === channel) this.#stop(ended.error);
        }),
        ff.on("state", ({ current, error }) => {
          if (current === "closed") this.#stop(error ?? (this.#ready ? void 0 : this.#failure("closed", "The client is closed.", "Make a new Fanfare.")));
        })
      ];
    }
    begin() {
      return new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#subscribed = this.#ff.subscribe(this.channel, () => {
        }, { told: (frame) => this.#told(frame), asks: { presence: true } });
        this.#subscribed.then(
          (sub) => this.active || void sub.unsubscribe(),
          (error) => this.#stop(error)
        );
      });
    }
    /** A refusal leaves all as it was. What is sent is never "update", which fails on a connection that has not entered. */
    async enter(data) {
      if (!this.active) throw this.#failure("closed", "The room is closed.", "Call presence again.");
      const text = JSON.stringify(data);
      const before = this.#mine;
      const entered = this.#mine = { data: text && JSON.parse(text) };
      this.#again.clear();
      try {
        await this.#command("enter", entered.data);
      } catch (error) {
        if (this.#mine === entered) this.#mine = before;
        throw error;
      }
    }
    async update(data) {
      if (!this.#mine) throw this.#failure("not_present", "The client has not entered the channel.", "Call enter first.");
      await this.enter(data);
    }
    async leave() {
      const entered = this.#mine;
      this.#mine = void 0;
      this.#again.clear();
      if (!entered) return;
      await this.#command("leave").catch((error) => {
        if (error.code !== "not_present") throw error;
      });
    }
    on(event, listener) {
      this.#emitter.on(event, listener);
      return () => this.#emitter.off(event, listener);
    }
    async close() {
      const left = this.active && this.leave();
      this.#stop();
      await Promise.allSettled([left, this.#subscribed?.then((sub) => sub.unsubscribe())]);
    }
    #stop(error) {
      if (!this.active) return;
      this.active = false;
      this.#again.clear();
      for (const off of this.#offs) off();
      if (error) this.#failed(error);
    }
    #failed(error) {
      if (!this.#ready) this.#reject(error);
      else if (!this.#emitter.emit("error", error)) report(error);
    }
    /** An error of the client's own class, which this file has no copy of. */
    #failure(code, message, remedy) {
      return new this.#ff.constructor.Error(code, message, remedy, { channel: this.channel });
    }
    #command(action, data) {
      return this.#ff.command({ type: "presence", channel: this.channel, action, data });
    }
    #told(frame) {
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
    async #comeBack() {
      const entered = this.#mine;
      if (!entered) return;
      try {
        await this.#command("enter", entered.data);
      } catch (e) {
        const error = e;
        if (!this.active || this.#mine !== entered || passing.test(error.code)) {
          if (this.#mine === entered && error.code === "unknown_command") this.#failed(error);
          return;
        }
        if (error.retryAfter) return this.#again.set(error.retryAfter, () => void this.#comeBack());
        this.#mine = void 0;
        this.#failed(error);
      }
    }
    #sync() {
      const all = this.#coming;
      this.#coming = /* @__PURE__ */ new Map();
      for (const member of [...this.members.values()]) if (!all.has(member.user)) this.#remove(member);
      for (const member of all.values()) this.#put(member);
      this.#emitter.emit("sync", this.members);
      this.#ready = true;
      this.#resolve(this);
    }
    #put(member) {
      const known = this.members.get(member.user);
      if (JSON.stringify([known?.data, known?.connections]) === JSON.stringify([member.data, member.connections])) return;
      this.members.set(member.user, member);
      this.#emitter.emit(known ? "update" : "enter", member);
    }
    #remove({ user }) {
      const known = this.members.get(user);
      if (this.members.delete(user)) this.#emitter.emit("leave", known);
    }
  };
  function presence(ff, channel) {
    return new Presence(ff, channel).begin();
  }

  // src/global.ts
  Object.assign(globalThis, { Fanfare: Object.assign(Fanfare, { early, history, occupancy, presence }) });
})();
