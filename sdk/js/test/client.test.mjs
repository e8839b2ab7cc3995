import assert from "node:assert/strict";
import { test } from "node:test";
import { Fanfare, FanfareError } from "@fanfarehq/client";
import { outcome, settle, world } from "./world.mjs";

test("nothing happens before the first call", async (t) => {
  const { client, server, clock } = world(t);
  const ff = client();
  await clock.advance(1000);
  assert.equal(ff.state, "initialized");
  assert.equal(server.sockets.length, 0);
});

test("hello, subscribe, publish, unsubscribe, close", async (t) => {
  // claims: 2.1 2.3 2.5 3.1 3.2 3.5 3.6 4.1
  const { client, server } = world(t);
  const ff = client();
  const got = [];
  const sub = await ff.subscribe("orders:42", (m) => got.push(m));
  const socket = server.socket;
  assert.equal(socket.url, "wss://push.test/v1/ws");
  assert.equal(socket.protocol, "fanfare.v1.json");
  assert.match(socket.sent[0].client, /^fanfare-js\/\d+\.\d+\.\d+$/);
  assert.deepEqual(socket.sent.slice(0, 2), [
    { type: "hello", key: "ffp_k", client: socket.sent[0].client },
    { type: "subscribe", ref: 1, channel: "orders:42" },
  ]);
  assert.equal(sub.channel, "orders:42");
  assert.equal(sub.active, true);

  assert.deepEqual(await ff.publish("chat:1", { a: [1] }, { event: "typing", id: "x1" }), { id: "x1", position: "", duplicate: false });
  assert.deepEqual(socket.sent[2], { type: "publish", ref: 2, channel: "chat:1", data: { a: [1] }, event: "typing", id: "x1" });

  const { type, ...message } = server.publish("orders:42", null, { event: "paid", user: "u1" });
  assert.deepEqual(got, [message]);

  await sub.unsubscribe();
  assert.equal(sub.active, false);
  assert.deepEqual(socket.sent[3], { type: "unsubscribe", ref: 3, channel: "orders:42" });
  server.publish("orders:42", 2);
  assert.equal(got.length, 1);

  ff.close();
  assert.equal(socket.closedWith, 1000);
  assert.deepEqual(ff.states, ["connecting", "connected", "closed"]);
});

test("handlers of one channel share one subscription", async (t) => {
  // claims: 3.4
  const { client, server } = world(t);
  const ff = client();
  const got = [];
  const handler = (m) => got.push(m.data);
  const [a, b] = await Promise.all([ff.subscribe("c", handler), ff.subscribe("c", handler)]);
  const c = await ff.subscribe("c", (m) => got.push("c" + m.data));
  assert.equal(server.socket.of("subscribe").length, 1);
  server.publish("c", 1);
  assert.deepEqual(got, [1, 1, "c1"]);
  await a.unsubscribe();
  await a.unsubscribe();
  await c.unsubscribe();
  server.publish("c", 2);
  assert.deepEqual(got, [1, 1, "c1", 2]);
  assert.equal(server.socket.of("unsubscribe").length, 0);
  await b.unsubscribe();
  assert.equal(server.socket.of("unsubscribe").length, 1);
  await ff.subscribe("c", handler);
  assert.equal(server.socket.of("subscribe").length, 2);
});

test("a handler may unsubscribe, subscribe and close while it is called", async (t) => {
  const { client, server } = world(t);
  const ff = client();
  const got = [];
  const a = await ff.subscribe("c", (m) => (got.push("a" + m.data), b.unsubscribe(), ff.subscribe("c", () => got.push("late"))));
  const b = await ff.subscribe("c", (m) => got.push("b" + m.data));
  server.publish("c", 1);
  assert.deepEqual(got, ["a1"]);
  await a.unsubscribe();
  await ff.subscribe("d", () => ff.close());
  const frame = { type: "message", channel: "d", id: "1", position: "", previous: "", time: 1, data: 1 };
  server.socket.say(frame, frame);
  assert.equal(ff.state, "closed");
});

test("handlers that throw or reject break nothing and are told", async (t) => {
  const { client, server, reported } = world(t);
  const ff = client();
  const got = [];
  await ff.subscribe("c", () => {
    throw new Error("sync");
  });
  await ff.subscribe("c", async () => {
    throw new Error("async");
  });
  await ff.subscribe("c", () => Promise.reject("text"));
  await ff.subscribe("c", (m) => got.push(m.data));
  server.publish("c", 1);
  await settle();
  assert.deepEqual(got, [1]);
  assert.deepEqual(ff.errors.map((e) => e.message), ["sync", "async", "text"]);
  ff.off("error");
  server.publish("c", 2);
  await settle();
  assert.equal(reported.length, 3);
  ff.on("state", () => {
    throw new Error("state");
  });
  ff.close();
  await settle();
  assert.equal(reported[3].message, "state");
  assert.equal(ff.state, "closed");
});

test("on and off", async (t) => {
  const { client } = world(t);
  const ff = client();
  const got = [];
  const listener = (e) => got.push(e.current);
  ff.on("state", listener);
  const stop = ff.on("state", (e) => got.push("x" + e.current));
  await ff.connect();
  stop();
  ff.off("state", listener);
  ff.close();
  assert.deepEqual(got, ["connecting", "xconnecting", "connected", "xconnected"]);
});

test("a refused command rejects with code, message and remedy, and the connection lives on", async (t) => {
  // claims: 6.1
  const { client, server } = world(t);
  const ff = client();
  const refusal = { type: "error", code: "not_granted", message: "No.", remedy: "Grant it." };
  server.answers.set("secret", refusal);
  for (const promise of [ff.subscribe("secret", () => {}), ff.publish("secret", 1)]) {
    const error = await promise.catch((e) => e);
    assert.ok(error instanceof FanfareError && error instanceof Error && error instanceof Fanfare.Error);
    assert.deepEqual([error.name, error.code, error.message, error.remedy], ["FanfareError", "not_granted", "No.", "Grant it."]);
  }
  server.answers.delete("secret");
  await ff.subscribe("secret", () => {});
  assert.equal(server.sockets.length, 1);
});

test("an error that answers nothing is an event; the unknown and the broken are ignored", async (t) => {
  // claims: 1.8 2.2
  const { client, server } = world(t);
  const ff = client();
  const got = [];
  await ff.subscribe("c", (m) => got.push(m.data));
  const { socket } = server;
  const m = (data) => JSON.stringify({ type: "message", channel: "c", id: "1", position: "", previous: "", time: 1, data, more: true });
  socket.say("", m(1), "  ", "{broken", "null", "7", '"x"', "[1]", { type: "from_the_future", channel: "c" }, { type: "published", ref: 99 }, m(2), "");
  socket.onmessage({ data: new ArrayBuffer(4) });
  socket.say({ type: "message", channel: "other", id: "1", data: 3 });
  assert.deepEqual(got, [1, 2]);
  assert.deepEqual(ff.errors, []);
  socket.say({ type: "error", code: "bad_json", message: "m", remedy: "r" });
  assert.deepEqual(ff.errors.map((e) => e.code), ["bad_json"]);
  assert.equal(ff.state, "connected");
});

test("the server's ping is answered", async (t) => {
  // claims: 5.1
  const { client, server } = world(t);
  await client().connect();
  server.socket.say({ type: "ping" });
  server.socket.say({ type: "ping", ref: 7 });
  assert.deepEqual(server.socket.of("pong"), [{ type: "pong" }, { type: "pong", ref: 7 }]);
});

test("a subscription that the server ends is told", async (t) => {
  // claims: 3.7
  const { client, server } = world(t);
  const ff = client();
  const ended = [];
  ff.on("unsubscribed", (e) => ended.push([e.channel, e.error.code]));
  const sub = await ff.subscribe("c", () => assert.fail("a message after the end"));
  server.socket.say({ type: "unsubscribed", channel: "c", code: "not_granted", message: "m", remedy: "r" });
  assert.deepEqual(ended, [["c", "not_granted"]]);
  assert.equal(sub.active, false);
  server.publish("c", 1);
  await sub.unsubscribe();
  assert.equal(server.socket.of("unsubscribe").length, 0);
});

test("a frame that would end the connection is never sent", async (t) => {
  // claims: 2.6
  const { client, server } = world(t);
  server.welcome.max_data = 100;
  const ff = client();
  await ff.connect();
  assert.equal(await outcome(ff.publish("c", "é".repeat(2100))), "message_too_large");
  assert.equal(await outcome(ff.publish("c", "e".repeat(4090))), "");
  assert.equal(server.socket.of("publish").length, 1);
});

test("what cannot be sent is refused at once", async (t) => {
  const { client, server } = world(t);
  const ff = client();
  const circle = {};
  circle.circle = circle;
  assert.ok((await ff.publish("c", circle).catch((e) => e)) instanceof TypeError);
  assert.equal(await outcome(ff.publish("", 1)), "channel_invalid");
  assert.equal(await outcome(ff.subscribe("a\nb", () => {})), "channel_invalid");
  assert.equal(await outcome(ff.subscribe("c")), "options_invalid");
  assert.equal(server.sockets.length, 0);
});

test("options that make no sense", () => {
  for (const options of [{}, { key: "k", token: "t" }, { key: "k", getToken: () => "t" }, { key: "" }]) {
    assert.throws(() => new Fanfare({ url: "http://x", ...options }), { code: "options_invalid" });
  }
  for (const url of [undefined, "", "push.test", "ftp://x", "http://", "/push"]) {
    assert.throws(() => new Fanfare({ url, key: "k" }), { code: "options_invalid" }, String(url));
  }
});

test("addresses", async (t) => {
  const { client, server } = world(t);
  for (const [url, want] of [
    ["http://x:8080", "ws://x:8080/v1/ws"],
    ["https://x/", "wss://x/v1/ws"],
    ["wss://x/push//", "wss://x/push/v1/ws"],
    ["ws://x", "ws://x/v1/ws"],
  ]) {
    await client({ key: "k", url }).connect();
    assert.equal(server.socket.url, want);
  }
});

test("a page's own server is the default", async (t) => {
  const { client, server } = world(t);
  globalThis.location = { origin: "https://page.test" };
  t.after(() => delete globalThis.location);
  await client({ key: "k", url: undefined }).connect();
  assert.equal(server.socket.url, "wss://page.test/v1/ws");
});

test("several clients know nothing of each other", async (t) => {
  const { client, server } = world(t);
  const [a, b] = [client(), client({ token: "t" })];
  const got = [];
  await a.subscribe("c", (m) => got.push("a" + m.data));
  await b.subscribe("c", (m) => got.push("b" + m.data));
  assert.deepEqual(server.sockets.map((s) => s.sent[0].key ?? s.sent[0].token), ["ffp_k", "t"]);
  a.close();
  server.publish("c", 1);
  assert.deepEqual(got, ["b1"]);
  assert.equal(b.state, "connected");
});

test("close rejects what waits, and is the end", async (t) => {
  const { client, server } = world(t);
  server.silent.add("hello").add("subscribe").add("publish");
  const ff = client();
  const calls = () => [ff.connect(), ff.subscribe("c", () => {}), ff.publish("c", 1)].map(outcome);
  assert.deepEqual(await Promise.all(calls()), ["pending", "pending", "pending"]);
  ff.connect(); // a page that does not wait for it gets no unhandled rejection
  const waiting = [ff.connect(), ff.subscribe("c", () => {}), ff.publish("c", 1)].map((p) => p.catch((e) => e.code));
  ff.close();
  ff.close();
  assert.deepEqual(await Promise.all(waiting), ["closed", "closed", "closed"]);
  ff.connect();
  assert.deepEqual(await Promise.all(calls()), ["closed", "closed", "closed"]);
  assert.deepEqual(ff.states, ["connecting", "closed"]);
});

test("close before anything", (t) => {
  const { client } = world(t);
  const ff = client();
  ff.close();
  assert.deepEqual(ff.states, ["closed"]);
});

test("close in a listener: the rest of the frame is not read", async (t) => {
  const { client, server, clock } = world(t);
  server.silent.add("hello");
  const ff = client();
  ff.on("state", ({ current }) => current === "connected" && ff.close());
  ff.connect();
  await settle();
  server.socket.say(server.welcome, server.welcome);
  assert.deepEqual(ff.states, ["connecting", "connected", "closed"]);
  assert.equal(clock.timers.size, 0);
});

test("close while a ping or a second try is waited for", async (t) => {
  const { client, server, clock, page } = world(t);
  const ff = client();
  await ff.connect();
  server.answers.set("c", { type: "error", code: "subscribe_rate", message: "m", remedy: "r", retry_after: 800 });
  const sub = ff.subscribe("c", () => {}).catch((e) => e.code);
  server.silent.add("ping");
  page.fire("online");
  await settle();
  ff.close();
  assert.equal(clock.timers.size, 0);
  assert.equal(await sub, "closed");
});

test("the answer to a subscribe that is over does not touch the one after it", async (t) => {
  const { client, server } = world(t);
  server.silent.add("subscribe");
  const ff = client();
  await ff.connect();
  const got = [];
  const first = ff.subscribe("c", () => {}).catch((e) => e.code);
  await settle();
  server.socket.say({ type: "unsubscribed", channel: "c", code: "not_granted", message: "m", remedy: "r" });
  assert.equal(await first, "not_granted");
  const second = ff.subscribe("c", (m) => got.push(m.data));
  await settle();
  const [one, two] = server.socket.of("subscribe").map((f) => f.ref);
  server.socket.say({ type: "error", ref: one, code: "not_granted", message: "m", remedy: "r" });
  server.socket.say({ type: "subscribed", ref: two, channel: "c", position: "" });
  await second;
  server.publish("c", 1);
  assert.deepEqual(got, [1]);
});
