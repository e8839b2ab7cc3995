/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

// src/emitter.ts
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

// src/early.ts
var most = 1e3;
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
    if (ahead.size >= most) return;
    ahead.set(id, time);
    const { type: _, ...message } = frame;
    void run(handler, { ...message, position: "", previous: "", early: true }, report);
  };
  const take = (message) => {
    const { id, time } = message;
    stored.set(id, time);
    for (const [old, at] of stored) {
      if (stored.size <= most) break;
      stored.delete(old);
      since = Math.max(since ?? 0, at);
    }
    return ahead.delete(id) || handler(message);
  };
  return ff.subscribe(channel, take, { ...options, told, asks: { early: true } });
}
export {
  early
};
