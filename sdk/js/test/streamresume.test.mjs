// Resume over server-sent events, and from one door to the other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle, world } from "./world.mjs";

const message = (n, channel = "c", more = {}) => ({ type: "message", channel, id: channel + n, position: "e:" + n, previous: "e:" + (n - 1), time: 1_764_000_000_000 + n, data: channel + n, ...more });

/** A client that has fallen back to server-sent events, subscribed to channels at e:5; streams answer by hand. */
async function fallen(t, channels = ["c"]) {
  const w = world(t);
  const { server, clock } = w;
  server.ws = "refuse";
  const got = [];
  const gaps = [];
  const ff = w.client({ key: "k", onGap: (gap) => gaps.push(gap) });
  const subscribe = (channel, options) => ff.subscribe(channel, (m) => got.push(m.data), options);
  for (const channel of [...channels, "new", "old"]) server.answers.set(channel, { position: "e:5" });
  const subs = Promise.all(channels.map((channel) => subscribe(channel)));
  await clock.advance(2_000);
  server.manual = true;
  const back = async () => {
    const before = server.streams.length;
    for (let i = 0; server.streams.length === before && i < 400; i++) await clock.advance(100);
    return server.stream;
  };
  return { ...w, ff, got, gaps, subscribe, back, subs: await subs };
}

/** A stream that has come back says what became of its id. */
function answer(stream, answers) {
  stream.event("welcome", { type: "welcome", session: "s", time: 1 });
  for (const channel of stream.channels) stream.event("subscribed", { type: "subscribed", channel, position: "e:9", ...answers });
}

test("SSE: the last id of the same channels resumes them all", async (t) => {
  // claims: 7.4 7.7
  const { server, got, gaps, back } = await fallen(t, ["c", "d"]);
  server.stream.event("", message(6), "ID 6");
  server.stream.event("", message(7, "d", { previous: "e:5" }), "ID 7");
  server.stream.raw("id: never");
  server.stream.end();
  let stream = await back();
  assert.deepEqual([stream.channels, stream.lastID], [["c", "d"], "ID 7"]);
  answer(stream, { recovered: true });
  stream.event("", message(7, "d", { previous: "e:5" }), "ID 7");
  stream.event("", message(8, "c", { previous: "e:6" }), "");
  stream.event("", undefined, "ID 8"); // a sign of life
  await settle();
  stream.end();
  stream = await back();
  assert.equal(stream.lastID, "ID 8");
  answer(stream, { recovered: false, reason: "expired" });
  await settle();
  assert.deepEqual(got, ["c6", "d7", "c8"]);
  assert.deepEqual(gaps.map((g) => [g.channel, g.since, g.position, g.reason]), [["c", "e:8", "e:9", "expired"], ["d", "e:7", "e:9", "expired"]]);
});

test("SSE: behind a break first what can be resumed, then what was asked for meanwhile", async (t) => {
  // claims: 7.7
  const { server, got, gaps, back, subscribe, clock } = await fallen(t);
  server.stream.event("", message(6), "ID 6");
  await settle();
  server.stream.end();
  await settle();
  const more = subscribe("new");
  const first = await back();
  assert.deepEqual([first.channels, first.lastID], [["c"], "ID 6"]);
  answer(first, { recovered: true });
  first.event("", message(7), "ID 7");
  await clock.advance(20);
  const second = server.stream;
  assert.deepEqual([second.channels, second.lastID], [["c", "new"], null]);
  answer(second);
  await more;
  second.event("", message(9, "c", { previous: "e:8" }), "ID 9");
  second.event("", message(10, "new"), "ID 10");
  await settle();
  first.event("", message(8), "ID 8"); // was on its way
  await settle();
  assert.deepEqual(got, ["c6", "c7", "c8"]);
  await clock.advance(500);
  assert.ok(!first.open && second.open);
  assert.deepEqual(got, ["c6", "c7", "c8", "c9", "new10"]);
  second.end();
  const third = await back();
  assert.deepEqual([third.channels, third.lastID], [["c", "new"], "ID 10"]);
  answer(third, { recovered: true });
  await settle();
  assert.deepEqual(gaps, []);
});

test("SSE: what is not resumed by an id is by the channels' positions, the least of each epoch", async (t) => {
  // claims: 3.9 7.7
  const { server, got, gaps, back, subs, subscribe, clock } = await fallen(t, ["c", "old"]);
  server.stream.event("", message(6), "ID 6");
  await settle();
  server.stream.end();
  await settle();
  await subs[1].unsubscribe();
  const more = Promise.all([subscribe("new"), subscribe("far", { since: "f:3" }), subscribe("near", { since: "e:2" })]);
  const stream = await back();
  assert.deepEqual([stream.channels, stream.lastID], [["c", "far", "near"], "e:2,f:3"]);
  answer(stream, { recovered: true });
  stream.event("", message(6), "ID 6");
  stream.event("", message(7), "ID 7");
  stream.event("", message(3, "near"), "ID 7");
  await clock.advance(20);
  assert.deepEqual([server.stream.channels.toSorted(), server.stream.lastID], [["c", "far", "near", "new"], null]);
  answer(server.stream);
  await clock.advance(500);
  await more;
  assert.deepEqual(got, ["c6", "c7", "near3"]);
  assert.deepEqual(gaps, []);
});

test("from WebSocket to SSE: the channels' positions are gone on from, the oldest", async (t) => {
  // claims: 3.9 7.7
  const { client, server, clock } = world(t);
  const ff = client();
  const gaps = [];
  const got = [];
  ff.on("gap", (gap) => gaps.push(gap));
  for (const channel of ["c", "d"]) {
    server.answers.set(channel, { position: "e:5" });
    await ff.subscribe(channel, (m) => got.push(m.data));
  }
  server.socket.say(message(6), message(9, "d", { previous: "e:4" }));
  server.manual = true;
  server.ws = "refuse";
  server.socket.end(1006);
  await clock.advance(8_000);
  assert.deepEqual([server.stream.channels, server.stream.lastID], [["c", "d"], "e:6@" + message(6).time]);
  answer(server.stream, { recovered: true });
  server.stream.event("", message(7), "ID 7");
  server.stream.event("", message(9, "d"), "ID 9");
  await settle();
  assert.deepEqual([got, gaps], [["c6", "d9", "c7"], []]);
});

test("SSE: a position that the app gives does not push the other channels out", async (t) => {
  // claims: 3.3
  const { server, subscribe, clock, got } = await fallen(t);
  const more = subscribe("near", { since: "e:2" });
  await clock.advance(20);
  assert.deepEqual([server.stream.channels, server.stream.lastID], [["c", "near"], "e:2"]);
  answer(server.stream, { recovered: true });
  server.stream.event("", message(3, "near"), "ID 3");
  server.stream.event("", message(4), "ID 4"); // c has had it
  await clock.advance(500);
  await more;
  assert.deepEqual(got, ["near3"]);
});

test("SSE: who subscribes anew begins anew, whatever the stream resumes", async (t) => {
  // claims: 3.2 7.7
  const { server, back, subs, subscribe, got } = await fallen(t, ["c", "old"]);
  server.stream.event("", message(6), "ID 6");
  await settle();
  server.stream.end();
  await settle();
  await subs[1].unsubscribe();
  const again = subscribe("old");
  const stream = await back();
  assert.equal(stream.lastID, "ID 6");
  answer(stream, { recovered: true });
  stream.event("", message(8, "old"), "ID 8"); // of the time between
  stream.event("", message(10, "old"), "ID 10");
  await again;
  await settle();
  assert.deepEqual(got, ["c6", "old10"]);
});

test("SSE: one stream after the other, and the id of one that never took over does not count", async (t) => {
  const { server, back, subscribe, clock } = await fallen(t);
  const old = server.stream;
  old.event("", message(6), "ID 6");
  const first = subscribe("d");
  await clock.advance(20);
  const second = subscribe("f");
  await clock.advance(50);
  assert.equal(server.streams.length, 2);
  const next = server.stream;
  next.event("subscribed", { type: "subscribed", channel: "c", position: "e:9" }, "ID 9");
  await settle();
  for (const stream of [old, next]) (stream.end(), await settle());
  const stream = await back();
  assert.deepEqual([stream.channels, stream.lastID], [["c"], "ID 6"]);
  answer(stream, { recovered: true });
  await clock.advance(20);
  assert.deepEqual(server.stream.channels, ["c", "d", "f"]);
  answer(server.stream);
  await Promise.all([first, second]);
});

test("SSE: a token that is renewed while a stream is being opened has a stream of its own", async (t) => {
  const w = world(t);
  const { server, clock } = w;
  server.ws = "refuse";
  server.welcome.expires = clock.now / 1000 + 20;
  let n = 0;
  const ff = w.client({ getToken: () => "t" + ++n });
  ff.subscribe("c", () => {});
  await clock.advance(2_000);
  server.manual = true;
  await clock.advance(12_000);
  const more = ff.subscribe("d", () => {});
  await clock.advance(4_000);
  const used = n;
  const next = server.stream;
  assert.equal(next.credential, "Bearer t" + (used - 1));
  answer(next);
  await more;
  await clock.advance(520);
  assert.notEqual(server.stream, next);
  assert.equal(server.stream.credential, "Bearer t" + used);
  server.welcome.expires = clock.now / 1000 + 10;
  server.begin(server.stream);
  await clock.advance(7_000);
  assert.equal(n, used);
  await clock.advance(2_000);
  assert.equal(n, used + 1, "only a stream with the new token says how long that lasts");
  assert.deepEqual(ff.errors, []);
});

test("SSE: an id that the server does not take is forgotten", async (t) => {
  const { server, ff, gaps, back, clock } = await fallen(t);
  server.stream.event("", message(6), "ID 6");
  await settle();
  server.problems.set("/v1/sse", [400, { code: "position_invalid", detail: "No." }]);
  server.stream.end();
  const tried = () => server.requests.filter((r) => r.path === "/v1/sse").length;
  for (const before = tried(); tried() === before; ) await clock.advance(5);
  assert.match(server.requests.at(-1).query, /last_event_id=ID%206/);
  server.problems.clear();
  const stream = await back();
  assert.equal(stream.lastID, null);
  answer(stream);
  await settle();
  assert.equal(ff.state, "connected");
  assert.equal(gaps.length, 1);
});

test("SSE: a new token resumes at once, from the last id", async (t) => {
  // claims: 7.7
  const w = world(t);
  const { server, clock } = w;
  server.ws = "refuse";
  server.welcome.expires = clock.now / 1000 + 20;
  let n = 0;
  const got = [];
  const ff = w.client({ getToken: () => "t" + ++n });
  ff.subscribe("c", (m) => got.push(m.data));
  await clock.advance(2_000);
  server.stream.event("", message(6), "ID 6");
  server.manual = true;
  await clock.advance(16_000);
  const [old, next] = server.streams;
  assert.deepEqual([next.channels, next.lastID], [["c"], "ID 6"]);
  assert.notEqual(old.credential, next.credential);
  answer(next, { recovered: true });
  next.event("", message(7), "ID 7");
  await settle();
  assert.ok(!old.open);
  assert.deepEqual(got, ["c6", "c7"]);
});

test("SSE: rewind is the stream's, so channels that want different ones come one after the other", async (t) => {
  // claims: 3.10 7.7
  const { server, subscribe, clock, got } = await fallen(t);
  const subs = Promise.all([subscribe("a", { rewind: { count: 10 } }), subscribe("b", { rewind: { seconds: 60 } })]);
  await clock.advance(20);
  assert.deepEqual([server.stream.channels, server.stream.rewind], [["c", "a"], "10"]);
  answer(server.stream);
  server.stream.event("", message(3), "");
  server.stream.event("", message(4, "a"), "");
  await clock.advance(520);
  assert.deepEqual([server.stream.channels, server.stream.rewind], [["c", "a", "b"], "60s"]);
  answer(server.stream);
  server.stream.event("", message(2, "b"), "");
  server.stream.event("", message(4, "a"), "");
  await clock.advance(500);
  await subs;
  assert.deepEqual(got, ["a4", "b2"], "c did not ask for its past");
});

test("from SSE to WebSocket: since is the stream's last position, and what both bring comes once", async (t) => {
  // claims: 3.3 3.9 4.2
  const { server, clock, got, gaps } = await fallen(t);
  const life = () => server.stream.event("", undefined, "e:6@" + clock.now);
  server.stream.event("", message(6), "e:6@1");
  for (let i = 0; i < 2; i++) (await clock.advance(10_000), life());
  const heard = clock.now;
  server.ws = "up";
  server.silent.add("subscribe");
  await clock.advance(12_000);
  assert.equal(server.socket.readyState, 1);
  const [{ ref, since, at }] = server.socket.of("subscribe");
  assert.deepEqual([since, at], ["e:6", heard]);
  server.stream.event("", message(7), "");
  await settle();
  server.socket.say({ type: "subscribed", ref, channel: "c", position: "e:8", recovered: true }, message(7), message(8));
  server.stream.event("", message(8), "");
  server.stream.event("", message(9), "");
  await settle();
  server.socket.say(message(9), message(10));
  await clock.advance(5_000);
  assert.ok(!server.stream.open);
  assert.deepEqual(got, ["c6", "c7", "c8", "c9", "c10"]);
  assert.deepEqual(gaps, []);
});

test("from SSE to WebSocket: an answer that is behind what the stream has brought does not turn back", async (t) => {
  // claims: 3.9
  const { server, clock, got } = await fallen(t);
  server.ws = "up";
  server.silent.add("subscribe");
  for (let i = 0; i < 4; i++) (await clock.advance(8_000), server.stream.raw(":\n\n"));
  const [{ ref }] = server.socket.of("subscribe");
  server.stream.event("", message(6), "");
  server.stream.event("", message(7), "");
  await settle();
  server.socket.say({ type: "subscribed", ref, channel: "c", position: "e:6", recovered: false, reason: "expired" }, message(7));
  assert.deepEqual(got, ["c6", "c7"]);
  server.socket.end(1006);
  await clock.advance(1_000);
  assert.equal(server.socket.of("subscribe")[0].since, "e:7");
});
