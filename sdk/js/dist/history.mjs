/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */

// src/history.ts
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
export {
  history
};
