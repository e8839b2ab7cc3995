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

// src/presence.ts
var presence_exports = {};
__export(presence_exports, {
  presence: () => presence
});
module.exports = __toCommonJS(presence_exports);

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

// src/presence.ts
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
