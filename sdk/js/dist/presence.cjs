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
function presence(ff, channel) {
  const emitter = new Emitter();
  const members = /* @__PURE__ */ new Map();
  const again = new Timer();
  const Failure = ff.constructor.Error;
  let coming = /* @__PURE__ */ new Map();
  let mine;
  let ready = false;
  let active = true;
  return new Promise((resolve, reject) => {
    const command = (action, data) => ff.command({ type: "presence", channel, action, data });
    const failed = (error) => {
      if (!ready) reject(error);
      else if (!emitter.emit("error", error)) report(error);
    };
    const stop = (error) => {
      if (!active) return;
      active = false;
      again.clear();
      for (const off of offs) off();
      if (error) failed(error);
    };
    const put = (member) => {
      const known = members.get(member.user);
      if (JSON.stringify([known?.data, known?.connections]) === JSON.stringify([member.data, member.connections])) return;
      members.set(member.user, member);
      emitter.emit(known ? "update" : "enter", member);
    };
    const remove = ({ user }) => {
      const known = members.get(user);
      if (members.delete(user)) emitter.emit("leave", known);
    };
    const comeBack = async () => {
      const entered = mine;
      if (!entered) return;
      try {
        await command("enter", entered.data);
      } catch (error) {
        const { code, retryAfter } = error;
        if (!active || mine !== entered || passing.test(code)) return;
        if (retryAfter) return again.set(retryAfter, () => void comeBack());
        mine = void 0;
        failed(error);
      }
    };
    const told = (frame) => {
      if (!active) return;
      if (frame instanceof Error) return frame.code === "already_subscribed" ? void 0 : stop(frame);
      const { type, code, message = "", action, members: some = [], more } = frame;
      if (code) return (ready ? failed : stop)(new Failure(code, message, "Let WebSocket through.", { channel }));
      if (type !== "presence") {
        coming = /* @__PURE__ */ new Map();
        return void comeBack();
      }
      if (action === "leave") some.forEach(remove);
      else if (action !== "sync") some.forEach(put);
      else {
        for (const member of some) coming.set(member.user, member);
        if (more) return;
        const all = coming;
        coming = /* @__PURE__ */ new Map();
        for (const member of [...members.values()]) if (!all.has(member.user)) remove(member);
        all.forEach(put);
        emitter.emit("sync", members);
        ready = true;
        resolve(room);
      }
    };
    const enter = async (data) => {
      if (!active) throw new Failure("closed", "The room is closed.", "Call presence again.");
      const text = JSON.stringify(data);
      const before = mine;
      const entered = mine = { data: text && JSON.parse(text) };
      again.clear();
      try {
        await command("enter", entered.data);
      } catch (error) {
        if (mine === entered) mine = before;
        throw error;
      }
    };
    const leave = async () => {
      const entered = mine;
      mine = void 0;
      again.clear();
      if (!entered) return;
      await command("leave").catch((error) => {
        if (error.code !== "not_present") throw error;
      });
    };
    const room = {
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
      }
    };
    const offs = [
      ff.on("unsubscribed", (ended) => {
        if (ended.channel === channel) stop(ended.error);
      }),
      ff.on("state", ({ current, error }) => {
        if (current === "closed") stop(ready ? error : error ?? new Failure("closed", "The client is closed.", "Make a new Fanfare."));
      })
    ];
    const subscribed = ff.subscribe(channel, () => {
    }, { told });
    subscribed.then((sub) => {
      if (!active) void sub.unsubscribe();
    }, stop);
  });
}
