/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

// src/events.ts
var EventParser = class {
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

// src/frame.ts
function parse(text) {
  try {
    return JSON.parse(text) ?? void 0;
  } catch {
    return void 0;
  }
}

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

// src/stream.ts
var settle = 10;
var overlap = 500;
var patience = 15e3;
var most = 100;
var gone = { type: "close", close: 1006 };
var StreamTransport = class {
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
  send({ type, ref = 0, channel = "", key, token, rewind, since, at, presence, occupancy, ...message }) {
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
      if (presence || occupancy) this.#watched.set(channel, { presence: !!presence, occupancy: !!occupancy });
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
    this.#patience.set(patience, () => this.#end(gone));
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
export {
  StreamTransport
};
