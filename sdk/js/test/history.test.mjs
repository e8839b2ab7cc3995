import assert from "node:assert/strict";
import { test } from "node:test";
import { Fanfare } from "@fanfarehq/client";
import { history } from "@fanfarehq/client/history";
import { world } from "./world.mjs";

/** A server that keeps messages 1 to n of channel c and tells them page by page. */
function kept(t, n, options) {
  const w = world(t);
  const asked = [];
  w.server.problems.get = (path) => {
    if (path !== "/v1/messages") return undefined;
    const query = new URLSearchParams(w.server.requests.at(-1).query);
    asked.push(Object.fromEntries(query));
    const seq = (name, otherwise) => (query.has(name) ? Number(query.get(name).split(":")[1]) : otherwise);
    const all = [];
    for (let i = 1; i <= n; i++) if (i > seq("after", 0) && i < seq("before", Infinity) && i <= seq("until", Infinity)) all.push(i);
    const limit = Number(query.get("limit"));
    const newest = query.get("newest") === "true";
    const page = newest ? all.slice(-limit) : all.slice(0, limit);
    const more = page.length < all.length;
    const messages = page.map((i) => ({ type: "message", channel: "c", id: "m" + i, position: "e:" + i, previous: "", time: i, data: i }));
    return [200, { messages, ...(more && { next: "e:" + (newest ? page[0] : page.at(-1)) }), ...w.extra }];
  };
  return { ...w, w, asked, ff: w.client(options) };
}

async function all(iterable) {
  const got = [];
  for await (const m of iterable) got.push(m.data);
  return got;
}

const count = (from, to) => Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => (from < to ? from + i : from - i));

test("all that is kept, page by page, without a connection", async (t) => {
  // claims: 9.12
  const { server, ff, asked } = kept(t, 2300);
  assert.deepEqual(await all(history(ff, "c")), count(1, 2300));
  assert.deepEqual(asked, [
    { channel: "c", limit: "100" },
    { channel: "c", limit: "1000", after: "e:100" },
    { channel: "c", limit: "1000", after: "e:1100" },
    { channel: "c", limit: "1000", after: "e:2100" },
  ]);
  assert.equal(server.requests[0].credential, "Bearer ffp_k");
  assert.deepEqual([ff.state, server.sockets.length], ["initialized", 0]);
});

test("the newest first, and a limit in all", async (t) => {
  // claims: 9.12
  const { ff, asked } = kept(t, 500);
  assert.deepEqual(await all(history(ff, "c", { newest: true, limit: 150 })), count(500, 351));
  assert.deepEqual(asked, [{ channel: "c", limit: "100", newest: "true" }, { channel: "c", limit: "50", before: "e:401", newest: "true" }]);
  assert.deepEqual(await all(history(ff, "c", { limit: 2 })), [1, 2]);
});

test("a part: after, before, until, since", async (t) => {
  // claims: 9.12 9.13
  const { ff, asked } = kept(t, 50);
  const since = new Date(1_764_000_000_000);
  assert.deepEqual(await all(history(ff, "c", { after: "e:10", before: "e:14" })), [11, 12, 13]);
  assert.deepEqual(await all(history(ff, "c", { until: "e:2", since })), [1, 2]);
  assert.deepEqual(asked[1], { channel: "c", limit: "100", until: "e:2", since: "2025-11-24T16:00:00.000Z" });
  await assert.rejects(history(ff, "c", { since: "yesterday" }).page(), RangeError);
});

test("pages, for those who turn them themselves; who stops early asks no more", async (t) => {
  // claims: 9.12
  const { ff, asked } = kept(t, 250);
  const h = history(ff, "c", { limit: 200 });
  const first = await h.page();
  assert.deepEqual([first.messages.length, first.next, first.whole], [200, "e:200", true]);
  assert.deepEqual(first.messages[0], { channel: "c", id: "m1", position: "e:1", previous: "", time: 1, data: 1 });
  const second = await h.page(first.next);
  assert.deepEqual([second.messages.length, second.next], [50, undefined]);
  for await (const m of history(ff, "c")) if (m.data === 3) break;
  assert.equal(asked.length, 3);
});

test("what is gone is told, once", async (t) => {
  // claims: 9.12
  const { w, ff } = kept(t, 300);
  w.extra = { whole: false, reason: "expired" };
  const gaps = [];
  assert.equal((await all(history(ff, "c", { after: "e:5", onGap: (gap) => gaps.push(gap) }))).length, 295);
  assert.deepEqual(gaps, [{ channel: "c", since: "e:5", position: "", reason: "expired" }]);
  const { whole, reason } = await history(ff, "c").page();
  assert.deepEqual([whole, reason], [false, "expired"]);
});

test("request: refusals are FanfareErrors, and a token that is over is renewed once", async (t) => {
  const { client, server } = world(t);
  let n = 0;
  const ff = client({ getToken: () => "t" + ++n });
  server.problems.set("/v1/messages", [401, { code: "token_expired", detail: "Over.", remedy: "r" }]);
  const e = await history(ff, "c").page().catch((e) => e);
  assert.ok(e instanceof Fanfare.Error);
  assert.equal(e.code, "token_expired");
  assert.deepEqual(server.requests.map((r) => r.credential), ["Bearer t1", "Bearer t2"]);
  server.problems.set("/v1/messages", [403, { code: "not_granted", detail: "No.", remedy: "Grant it." }]);
  await assert.rejects(history(ff, "c").page(), { code: "not_granted", remedy: "Grant it." });
  server.problems.set("/v1/messages", [200, { messages: [] }]);
  await ff.connect();
  await history(ff, "c").page();
  assert.equal(server.requests.at(-1).credential, "Bearer " + server.socket.sent[0].token, "the connection's token");
});
