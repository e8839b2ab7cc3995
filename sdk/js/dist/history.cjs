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

// src/history.ts
var history_exports = {};
__export(history_exports, {
  history: () => history
});
module.exports = __toCommonJS(history_exports);
var most = 1e3;
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
        size = most;
        for (const message of newest ? found.messages.reverse() : found.messages) yield message;
        left -= found.messages.length;
        next = found.next;
      } while (next && left > 0);
    }
  };
}
