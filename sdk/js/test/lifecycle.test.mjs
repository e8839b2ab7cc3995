import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { outcome, settle, world } from "./world.mjs";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), "utf8"));

// The whole state machine: what leads from which state to which.
const steps = {
  connected: async ({ ff }) => ff.connect(),
  lost: async ({ server }) => server.socket.end(1006),
  again: async ({ clock }) => clock.advance(31_000),
  away: async ({ server }) => void (server.ws = server.http = "refuse"),
  back: async ({ server }) => void (server.ws = server.http = "up"),
  minutes: async ({ clock }) => clock.advance(200_000),
  fatal: async ({ server }) => (server.socket.say({ type: "close", close: 4302, code: "key_expired", message: "m", remedy: "r" }), server.socket.end(4302, "key_expired")),
  close: async ({ ff }) => ff.close(),
  begin: async ({ ff }) => (ff.connect().catch(() => {}), settle()),
};
const lost = "reconnecting:connection_lost";
for (const [path, want] of [
  ["close", ["closed"]],
  ["begin", ["connecting", "connected"]],
  ["away begin", ["connecting", lost]],
  ["away begin close", ["connecting", lost, "closed"]],
  ["away begin back again", ["connecting", lost, "connected"]],
  ["away begin minutes", ["connecting", lost, "suspended:connection_lost"]],
  ["away begin minutes close", ["connecting", lost, "suspended:connection_lost", "closed"]],
  ["away begin minutes back again", ["connecting", lost, "suspended:connection_lost", "connected"]],
  ["connected lost again", ["connecting", "connected", lost, "connected"]],
  ["connected lost again lost again", ["connecting", "connected", lost, "connected", lost, "connected"]],
  ["connected away lost minutes back again lost again", ["connecting", "connected", lost, "suspended:connection_lost", "connected", lost, "connected"]],
  ["connected fatal minutes", ["connecting", "connected", "closed:key_expired"]],
  ["connected lost close minutes", ["connecting", "connected", lost, "closed"]],
  ["connected close minutes", ["connecting", "connected", "closed"]],
]) {
  test("states: " + path, async (t) => {
    const w = world(t);
    const ff = w.client();
    for (const step of path.split(" ")) await steps[step]({ ...w, ff });
    assert.deepEqual(ff.states, want);
    assert.equal(ff.state, want.at(-1).split(":")[0]);
  });
}

test("back-off: full jitter up to min(30 s, 0.5 s · 2^n), and every 30 s once suspended", async (t) => {
  // claims: 6.6
  for (const random of [0.25, 0.5, 0.999]) {
    await t.test("random " + random, async (t) => {
      const w = world(t);
      w.random = random;
      w.server.ws = "refuse";
      w.server.http = "refuse";
      const ff = w.client();
      ff.connect();
      await settle();
      const begun = w.clock.now;
      for (let n = 0; ff.state !== "suspended" && n < 40; n++) {
        const made = w.server.sockets.length;
        const wait = random * Math.min(30_000, 500 * 2 ** n);
        await w.clock.advance(wait - 1);
        assert.equal(w.server.sockets.length, made, `try ${n} came early`);
        await w.clock.advance(1.001);
        assert.equal(w.server.sockets.length, made + 1, `try ${n} came late`);
      }
      assert.equal(ff.state, "suspended");
      assert.ok(w.clock.now - begun >= 120_000 && w.clock.now - begun < 155_000, `suspended after ${w.clock.now - begun} ms`);
      for (let i = 0; i < 3; i++) {
        const made = w.server.sockets.length;
        await w.clock.advance(29_000);
        assert.equal(w.server.sockets.length, made);
        await w.clock.advance(1_001);
        assert.equal(w.server.sockets.length, made + 1);
      }
    });
  }
});

test("the back-off grows on while connections do not last, and begins anew after one that did", async (t) => {
  // claims: 6.6
  const { client, server, clock } = world(t);
  const ff = client();
  await ff.connect();
  const waits = [];
  const cycle = async (alive) => {
    await clock.advance(alive);
    const from = clock.now;
    server.socket.end(1006);
    while (ff.state !== "connected") await clock.advance(10);
    waits.push(clock.now - from);
  };
  for (const alive of [0, 0, 0, 20_000, 0]) await cycle(alive);
  assert.deepEqual(waits, [250, 500, 1000, 250, 500]);
});

for (const { close, code = "", client: want, without_token_source: without } of vectors("closes").cases) {
  for (const source of [true, false]) {
    for (const welcomed of [true, false]) {
      test(`close ${close} ${code}, ${source ? "getToken" : "a token only"}, ${welcomed ? "after" : "before"} welcome`, async (t) => {
        // claims: 6.2 6.4 6.5
        const { client, server, clock } = world(t);
        const ff = client(source ? { getToken: () => "t" } : { token: "t" });
        if (!welcomed) server.silent.add("hello");
        ff.connect();
        await settle();
        server.silent.clear();
        if (code) server.socket.say({ type: "close", close, code, message: "m", remedy: "r" });
        server.socket.end(close, code);
        const does = (!source && without) || want;
        await clock.advance(0);
        assert.equal(server.sockets.length, does === "now" && welcomed ? 2 : 1, "at once");
        await clock.advance(600);
        assert.equal(server.sockets.length, does === "never" ? 1 : 2, "later");
        assert.equal(ff.state, does === "never" ? "closed" : "connected");
        if (code) assert.ok(ff.states.some((s) => s.endsWith(":" + code)), String(ff.states));
      });
    }
  }
}

test("a close code without a close frame: the reason names the code", async (t) => {
  // claims: 6.2
  const { client, server } = world(t);
  const ff = client();
  await ff.connect();
  server.socket.end(4310, "kicked");
  assert.deepEqual(ff.states.at(-1), "closed:kicked");
  assert.equal(await outcome(ff.connect()), "kicked");
});

test("retry_after is waited for", async (t) => {
  const { client, server, clock } = world(t);
  const ff = client();
  await ff.connect();
  server.socket.say({ type: "close", close: 4100, code: "overloaded", message: "m", remedy: "r", retry_after: 7000 });
  server.socket.end(4100, "overloaded");
  await clock.advance(6_990);
  assert.equal(server.sockets.length, 1);
  await clock.advance(20);
  assert.equal(ff.state, "connected");
});

test("subscriptions come back with since, and gaps are told", async (t) => {
  // claims: 1.6 3.3 4.3
  const { client, server, clock } = world(t);
  const ff = client();
  const got = [];
  const gaps = [];
  ff.on("gap", (g) => gaps.push(g));
  server.answers.set("kept", { position: "e:5" });
  for (const name of ["kept", "ephemeral"]) await ff.subscribe(name, (m) => got.push(m.data));
  server.publish("kept", 6, { position: "e:6", previous: "e:5" });
  server.publish("ephemeral", "x");

  server.answers.set("kept", { position: "e:6", recovered: true });
  server.socket.end(1006);
  await clock.advance(600);
  const back = () => server.socket.of("subscribe").map(({ channel, since, at }) => [channel, since, at && at <= clock.now]);
  assert.deepEqual(back(), [["kept", "e:6", true], ["ephemeral", undefined, undefined]]);
  assert.deepEqual(gaps, []);

  server.publish("kept", 7, { position: "e:7", previous: "e:6" });
  server.publish("kept", 9, { position: "e:9", previous: "e:8" });
  assert.deepEqual(gaps.splice(0), [{ channel: "kept", since: "e:7", position: "e:8", reason: "missed" }]);

  server.answers.set("kept", { position: "f:1", recovered: false, reason: "epoch" });
  server.socket.end(1006);
  await clock.advance(2000);
  assert.deepEqual(back()[0], ["kept", "e:9", true]);
  assert.deepEqual(gaps.splice(0), [{ channel: "kept", since: "e:9", position: "f:1", reason: "epoch" }]);

  server.answers.set("kept", (f) => (f.since ? { type: "error", code: "position_invalid", message: "m", remedy: "r" } : { position: "f:2" }));
  server.socket.end(1006);
  await clock.advance(3000);
  assert.deepEqual(gaps, [{ channel: "kept", since: "f:1", position: "", reason: "position_invalid" }]);
  assert.deepEqual(got, [6, "x", 7, 9]);
});

test("a subscribe waits for the connection; one that is not granted any more is told", async (t) => {
  const { client, server, clock } = world(t);
  server.ws = server.http = "refuse";
  const ff = client();
  const early = ff.subscribe("c", () => {});
  await clock.advance(300_000);
  assert.equal(await outcome(early), "pending");
  server.ws = server.http = "up";
  await clock.advance(31_000);
  const sub = await early;
  const ended = [];
  ff.on("unsubscribed", (e) => ended.push(e.error.code));
  server.answers.set("c", { type: "error", code: "not_granted", message: "m", remedy: "r" });
  server.socket.end(1006);
  await clock.advance(31_000);
  assert.deepEqual(ended, ["not_granted"]);
  assert.equal(sub.active, false);
  assert.equal(ff.state, "connected");
});

test("what is unsubscribed while there is no connection does not come back", async (t) => {
  const { client, server, clock } = world(t);
  const ff = client();
  const sub = await ff.subscribe("c", () => {});
  await ff.subscribe("d", () => {});
  server.socket.end(1006);
  await sub.unsubscribe();
  await clock.advance(1000);
  assert.deepEqual(server.socket.of("subscribe").map((f) => f.channel), ["d"]);
});

test("a subscribe that came too soon is sent again after retry_after", async (t) => {
  const { client, server, clock } = world(t);
  const ff = client();
  await ff.connect();
  server.answers.set("c", { type: "error", code: "subscribe_rate", message: "m", remedy: "r", retry_after: 800 });
  const sub = ff.subscribe("c", () => {});
  await clock.advance(790);
  assert.equal(server.socket.of("subscribe").length, 1);
  server.answers.clear();
  await clock.advance(20);
  assert.equal(await outcome(sub), "");
});

test("a subscription that the server still has is as good", async (t) => {
  // claims: 3.4
  const { client, server } = world(t);
  server.answers.set("c", { type: "error", code: "already_subscribed", message: "m", remedy: "r" });
  assert.equal((await client().subscribe("c", () => {})).active, true);
});

test("a silent connection is taken for dead after ping_interval + 10 s", async (t) => {
  // claims: 5.3
  const { client, server, clock } = world(t);
  const ff = client();
  await ff.subscribe("c", () => {});
  await clock.advance(30_000);
  server.publish("c", 1); // any sign of life counts
  await clock.advance(30_000);
  server.socket.say({ type: "ping" });
  await clock.advance(34_990);
  assert.equal(ff.state, "connected");
  server.ws = "hang";
  await clock.advance(20);
  assert.equal(ff.states.at(-1), "reconnecting:no_answer");
  assert.equal(server.sockets[0].closedWith, 1000);
});

for (const what of ["a socket that never opens", "a hello that is not answered", "a getToken that never ends"]) {
  test("a try is given up after 15 s: " + what, async (t) => {
    const { client, server, clock } = world(t);
    if (what.includes("opens")) server.ws = "hang";
    if (what.includes("hello")) server.silent.add("hello");
    server.http = "refuse";
    const ff = client(what.includes("getToken") ? { getToken: () => new Promise(() => {}) } : undefined);
    ff.connect();
    await clock.advance(14_990);
    assert.deepEqual(ff.states, ["connecting"]);
    await clock.advance(20);
    assert.deepEqual(ff.states, ["connecting", "reconnecting:no_answer"]);
    for (const s of server.sockets) assert.equal(s.closedWith, 1000);
  });
}

test("signs of the network: try at once, or ask whether the connection lives", async (t) => {
  // claims: 5.2
  const { client, server, clock, page, doc } = world(t);
  const ff = client();
  await ff.connect();
  const fire = { online: page, pageshow: page, visibilitychange: doc };
  for (const [name, target] of Object.entries(fire)) {
    server.ws = server.http = "refuse";
    server.socket.end(1006);
    await clock.advance(100_000); // far between tries by now
    server.ws = server.http = "up";
    const made = server.sockets.length;
    doc.visibilityState = "hidden";
    target.fire(name);
    await settle();
    assert.equal(server.sockets.length, made, "a hidden page sleeps on");
    doc.visibilityState = "visible";
    target.fire(name);
    await settle();
    assert.equal(ff.state, "connected", name);
    target.fire(name);
    await clock.advance(6_000);
    assert.deepEqual([ff.state, server.socket.of("ping").length], ["connected", 1]);
  }
  server.silent.add("ping");
  const { socket } = server;
  page.fire("offline");
  await clock.advance(4_990);
  assert.equal(ff.state, "connected");
  await clock.advance(20);
  assert.equal(socket.readyState, 3);
  assert.equal(ff.states.at(-1), "reconnecting:no_answer");
});

test("a WebSocket class that throws is a connection that failed", async (t) => {
  const { client, server, clock } = world(t);
  server.http = "refuse";
  const ff = client({
    key: "k",
    WebSocket: class {
      constructor() {
        throw new DOMException("mixed content", "SecurityError");
      }
    },
  });
  ff.connect();
  await clock.advance(5_000);
  assert.deepEqual(ff.states, ["connecting", lost]);
});
