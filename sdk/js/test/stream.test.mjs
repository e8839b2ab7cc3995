import assert from "node:assert/strict";
import { test } from "node:test";
import { outcome, settle, world } from "./world.mjs";

/** A world where WebSocket is blocked and the client has fallen back. */
async function fallen(t, options) {
  const w = world(t);
  w.server.ws = "refuse";
  const ff = w.client(options);
  const got = [];
  const sub = ff.subscribe("c", (m) => got.push(m.data));
  await w.clock.advance(2_000);
  await sub;
  return { ...w, ff, got, sub: await sub };
}

test("after two WebSockets that failed while HTTP works come server-sent events", async (t) => {
  // claims: 7.1 7.2 7.3 7.4
  const { server, ff, got } = await fallen(t);
  assert.equal(ff.state, "connected");
  assert.equal(server.sockets.length, 2);
  assert.deepEqual(server.requests.map((r) => r.path), ["/livez", "/livez", "/v1/sse"]);
  assert.equal(server.stream.credential, "Bearer ffp_k");
  assert.deepEqual(server.stream.channels, ["c"]);
  const { type, ...m } = server.publish("c", { n: 1 }, { event: "e" });
  await settle();
  assert.deepEqual(got, [{ n: 1 }]);
  ff.close();
  server.publish("c", 2);
  await settle();
  assert.equal(got.length, 1);
});

test("without HTTP the WebSocket is tried on", async (t) => {
  const { client, server, clock } = world(t);
  server.ws = server.http = "refuse";
  client().connect();
  await clock.advance(60_000);
  assert.ok(server.sockets.length > 5);
  assert.ok(server.requests.every((r) => r.path === "/livez"));
});

test("where HTTP stops working too, WebSocket has its turn again", async (t) => {
  const { client, server, clock } = world(t);
  server.ws = "refuse";
  server.problems.set("/v1/tickets", [502, {}]);
  const ff = client();
  ff.connect();
  await clock.advance(20_000);
  assert.notEqual(ff.state, "connected");
  assert.ok(server.sockets.length > 2);
  server.ws = "up";
  await clock.advance(60_000);
  assert.equal(ff.state, "connected");
  assert.equal(server.socket.readyState, 1);
});

test("without a WebSocket class there is only HTTP", async (t) => {
  const { client, server, clock } = world(t);
  const before = globalThis.WebSocket;
  globalThis.WebSocket = undefined; // newer Nodes have one
  t.after(() => (globalThis.WebSocket = before));
  const ff = client({ key: "k", WebSocket: undefined });
  const ready = ff.connect();
  await clock.advance(20);
  await ready;
  assert.deepEqual(server.requests.map((r) => r.path), ["/v1/tickets"]);
  assert.deepEqual(server.sockets, []);
  await clock.advance(1_000_000);
  assert.equal(ff.state, "connected");
  assert.deepEqual(server.sockets, []);
});

test("publish is a POST, and its refusals are those of REST", async (t) => {
  // claims: 9.2 9.3 9.10
  const { server, ff } = await fallen(t);
  assert.deepEqual(await ff.publish("chat:1", [1], { event: "e", id: "x" }), { id: "x", position: "", duplicate: false });
  assert.deepEqual(server.requests.at(-1), { path: "/v1/messages", query: "", method: "POST", credential: "Bearer ffp_k", body: { channel: "chat:1", data: [1], event: "e", id: "x" } });
  server.problems.set("/v1/messages", [429, { code: "publish_rate", detail: "Slow.", remedy: "Wait.", channel: "chat:1" }, { "Retry-After": "2" }]);
  const e = await ff.publish("chat:1", 1).catch((e) => e);
  assert.deepEqual([e.code, e.message, e.remedy, e.channel, e.retryAfter], ["publish_rate", "Slow.", "Wait.", "chat:1", 2000]);
  server.problems.set("/v1/messages", [502, undefined]);
  assert.equal(await outcome(ff.publish("c", 1)), "unavailable");
});

test("a POST that breaks is a connection that breaks: it is sent again", async (t) => {
  const { server, ff, clock } = await fallen(t);
  server.http = "refuse";
  const done = ff.publish("c", 1);
  await settle();
  assert.equal(ff.states.at(-1), "reconnecting:connection_lost");
  server.http = "up";
  await clock.advance(2_000);
  const [first, second] = server.requests.filter((r) => r.path === "/v1/messages");
  assert.deepEqual(first.body, { ...second.body, first: true });
  assert.equal((await done).id, first.body.id);
});

test("another channel makes another stream, and what both bring is seen once", async (t) => {
  // claims: 4.2 7.1
  const { server, ff, got, clock, sub } = await fallen(t);
  server.manual = true;
  const more = Promise.all(["d e/ü", "f"].map((name) => ff.subscribe(name, (m) => got.push(m.data))));
  await clock.advance(20);
  const [old, next] = server.streams;
  assert.equal(server.streams.length, 2);
  assert.deepEqual(next.channels, ["c", "d e/ü", "f"]);
  server.publish("c", 1);
  await settle();
  assert.ok(old.open);
  server.begin(next);
  server.publish("c", 2);
  await settle();
  await more;
  assert.ok(old.open, "what is on its way is waited for");
  old.event("", { type: "message", channel: "c", id: "late", position: "", previous: "", time: 1, data: 2.5 });
  await clock.advance(490);
  assert.ok(old.open);
  await clock.advance(10);
  assert.ok(!old.open && next.open);
  server.publish("c", 3);
  server.publish("d e/ü", 4);
  await settle();
  assert.deepEqual(got, [1, 2, 2.5, 3, 4]);

  server.manual = false;
  await sub.unsubscribe();
  server.publish("c", 5);
  await clock.advance(20);
  assert.deepEqual(server.stream.channels, ["d e/ü", "f"]);
  server.publish("f", 6);
  await settle();
  await clock.advance(500);
  assert.deepEqual(got, [1, 2, 2.5, 3, 4, 6]);
});

test("a stream may be cut anywhere", async (t) => {
  const { server, ff, got } = await fallen(t);
  const m = (n) => JSON.stringify({ type: "message", channel: "c", id: "i" + n, position: "", previous: "", time: 1, data: "é🎺" + n });
  const text = `:comment\r\n\r\ndata: ${m(1)}\r\n\r\nid: e:1\ndata:${m(2)}\n\nevent: from_the_future\ndata: {}\n\nretry: 5\r\rdata: {"type":"message",\r\ndata: "channel":"c","id":"3","data":3}\r\n\r\nevent: message\ndata: ${m(4)}\n\ndata: broken\n\ndata\n\nevent: x\n\ndata: ${m(5)}\n\n`;
  for (const byte of new TextEncoder().encode(text)) server.stream.raw(Uint8Array.of(byte));
  await settle();
  for (let i = 0; i < 300; i++) await settle();
  assert.deepEqual(got, ["é🎺1", "é🎺2", 3, "é🎺4", "é🎺5"]);
  server.stream.raw(text);
  await settle();
  assert.equal(got.length, 10);
  assert.equal(ff.state, "connected");
});

test("a stream that ends, breaks or falls silent is come back from", async (t) => {
  // claims: 5.3 7.5
  const { server, ff, got, clock } = await fallen(t);
  server.stream.end();
  await clock.advance(5_000);
  assert.equal(ff.state, "connected");
  assert.equal(server.streams.length, 2);
  server.manual = true;
  for (let i = 0; i < 6; i++) {
    await clock.advance(15_000);
    server.stream.raw(":\n\n");
    await settle();
  }
  assert.equal(server.streams.length, 2, "comments are signs of life");
  await clock.advance(35_100);
  assert.equal(ff.states.at(-1), "reconnecting:no_answer");
  assert.ok(!server.streams[1].open);
  server.manual = false;
  await clock.advance(30_000);
  server.publish("c", 1);
  await settle();
  assert.deepEqual(got, [1]);
});

for (const [code, close, want] of [
  ["restarting", 4200, "connected"],
  ["slow_client", 4012, "reconnecting"],
  ["key_expired", 4302, "closed"],
  ["token_expired", 4201, "closed"],
]) {
  test("the event close obeys the close code: " + code, async (t) => {
    // claims: 6.4 6.5 7.6
    const { server, ff, clock } = await fallen(t);
    server.stream.event("close", { type: "close", close, code, message: "m", remedy: "r" });
    await clock.advance(20);
    assert.equal(ff.state, want);
    assert.ok(ff.states.some((s) => s.endsWith(":" + code)));
  });
}

for (const [status, body, want] of [
  [401, { code: "key_invalid" }, "closed:key_invalid"],
  [403, { code: "origin_not_allowed" }, "closed:origin_not_allowed"],
  [404, { code: "app_not_found" }, "closed:app_not_found"],
  [401, { code: "token_expired" }, "closed:token_expired"],
  [429, { code: "connection_limit" }, "reconnecting"],
  [503, { code: "overloaded" }, "reconnecting"],
  [500, { code: "internal" }, "reconnecting"],
  [404, {}, "reconnecting"],
  [403, undefined, "reconnecting"],
]) {
  test(`a stream refused with ${status} ${body?.code ?? "by a proxy"}`, async (t) => {
    // claims: 7.1
    const { server, ff, clock } = await fallen(t);
    server.problems.set("/v1/sse", [status, body]);
    server.stream.end();
    await clock.advance(1_100);
    assert.equal(server.requests.filter((r) => r.path === "/v1/sse").length, 2);
    assert.equal(want.startsWith("closed") ? ff.states.at(-1) : ff.state, want);
  });
}

test("a channel that is refused does not harm the others", async (t) => {
  // claims: 7.1
  const { server, ff, got, clock } = await fallen(t);
  server.problems.set("/v1/sse", [403, { code: "not_granted", detail: "No.", channel: "secret" }]);
  const refused = ff.subscribe("secret", () => {}).then(() => "", (e) => e.code);
  await clock.advance(10);
  server.problems.clear();
  await clock.advance(20);
  assert.equal(await refused, "not_granted");
  assert.deepEqual(server.stream.channels, ["c"]);
  server.publish("c", 1);
  await settle();
  assert.deepEqual(got, [1]);
  assert.equal(ff.state, "connected");
});

test("100 channels are the most", async (t) => {
  // claims: 7.1
  const { server, ff, clock } = await fallen(t);
  const outcomes = Array.from({ length: 100 }, (_, i) => ff.subscribe("n" + i, () => {}).then(() => "", (e) => e.code));
  await clock.advance(30);
  assert.deepEqual((await Promise.all(outcomes)).filter(Boolean), ["channel_limit"]);
  assert.equal(server.stream.channels.length, 100);
});

test("a new token makes another stream", async (t) => {
  let n = 0;
  const { server, ff, clock } = await fallenWithToken(t, () => "t" + ++n);
  const begun = server.streams.length;
  for (let i = 0; i < 9; i++) {
    await clock.advance(10_000);
    server.stream.raw(":\n\n");
  }
  assert.equal(server.streams.length, begun + 1);
  assert.notEqual(server.streams.at(-1).credential, server.streams.at(-2).credential);
  assert.ok(!server.streams.at(-2).open && server.streams.at(-1).open);
  assert.deepEqual(ff.states.slice(-1), ["connected"]);
  assert.deepEqual(ff.errors, []);
});

async function fallenWithToken(t, getToken) {
  const w = world(t);
  w.server.ws = "refuse";
  w.server.welcome.expires = w.clock.now / 1000 + 100;
  const ff = w.client({ getToken });
  ff.subscribe("c", () => {});
  await w.clock.advance(2_000);
  return { ...w, ff };
}

test("a token that expired under a publish is renewed", async (t) => {
  // claims: 6.5
  let n = 0;
  const { server, ff, clock } = await fallen(t, { getToken: () => "t" + ++n });
  server.problems.set("/v1/messages", [401, { code: "token_expired", detail: "Over.", remedy: "r" }]);
  assert.equal(await outcome(ff.publish("c", 1)), "token_expired");
  server.problems.clear();
  await clock.advance(20);
  assert.equal(ff.state, "connected");
  assert.equal(server.stream.credential, "Bearer t" + n);
});

test("WebSocket is tried again, and takes over without a hole or a double", async (t) => {
  // claims: 4.2
  const { server, ff, got, clock } = await fallen(t);
  const alive = async (s) => {
    for (; s > 0; s -= 10) {
      await clock.advance(10_000);
      for (const stream of server.streams) if (stream.open) stream.raw(":\n\n");
      for (const socket of server.sockets) if (socket.readyState === 1) socket.say({ type: "ping" });
      await settle();
    }
  };
  await alive(40); // the first time after 30 s
  assert.equal(server.sockets.length, 3);
  assert.equal(ff.state, "connected");
  server.ws = "up";
  server.silent.add("subscribe");
  let guard = 0;
  while (server.socket.readyState !== 1 && guard++ < 600) await clock.advance(500).then(() => server.stream.raw(":\n\n"));
  assert.ok(server.stream.open, "the stream is read on");
  server.publish("c", 1); // by both
  await settle();
  await clock.advance(5_000);
  assert.ok(!server.stream.open);
  server.publish("c", 2);
  await settle();
  assert.deepEqual(got, [1, 2]);
  assert.deepEqual(ff.states.slice(-1), ["connected"]);
  assert.equal(ff.states.filter((s) => s === "connected").length, 1);
  server.silent.clear();
  await alive(700);
  assert.equal(server.streams.length, 1);
  assert.equal(server.sockets.filter((s) => s.readyState === 1).length, 1);
});

test("close while a stream is being opened", async (t) => {
  const { server, ff, clock } = await fallen(t);
  server.manual = true;
  const more = ff.subscribe("d", () => {}).catch((e) => e.code);
  await clock.advance(20);
  ff.close();
  assert.equal(await more, "closed");
});

test("a stream that never comes ends the patience", async (t) => {
  const { server, ff, clock } = await fallen(t);
  server.manual = true;
  void ff.subscribe("d", () => {}).catch(() => {});
  await clock.advance(15_020);
  assert.equal(ff.states.at(-1), "reconnecting:connection_lost");
});

test("a stream that ends while the next is opened does not matter", async (t) => {
  const { server, ff, got, clock } = await fallen(t);
  server.manual = true;
  const more = ff.subscribe("d", () => {});
  await clock.advance(20);
  const [old, next] = server.streams;
  old.end();
  await settle();
  server.begin(next);
  server.publish("c", 1);
  await clock.advance(500);
  await more;
  assert.deepEqual(got, [1]);
  assert.equal(ff.states.filter((s) => s === "connected").length, 1);
});

test("close just after a subscribe opens no stream", async (t) => {
  const { server, ff, clock } = await fallen(t);
  const more = ff.subscribe("d", () => {}).catch((e) => e.code);
  ff.close();
  assert.equal(clock.timers.size, 0);
  assert.equal(await more, "closed");
  assert.equal(server.streams.length, 1);
});
