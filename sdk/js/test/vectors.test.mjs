// The contract's examples, which the Go tests read as well. closes.json is read by lifecycle.test.mjs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { outcome, settle, world } from "./world.mjs";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), "utf8"));

test("channels", async (t) => {
  // claims: 1.1
  const { client, server } = world(t);
  const ff = client();
  await ff.connect();
  const { valid, invalid } = vectors("channels");
  for (const { why, name } of valid) {
    const sub = await ff.subscribe(name, () => {});
    assert.equal(server.socket.of("subscribe").at(-1).channel, name, why);
    await sub.unsubscribe();
  }
  const sent = server.socket.sent.length;
  for (const { why, name } of invalid) {
    if (name === undefined) continue; // bytes that no string of JavaScript has
    assert.equal(await outcome(ff.subscribe(name, () => {})), "channel_invalid", why);
    assert.equal(await outcome(ff.publish(name, 1)), "channel_invalid", why);
  }
  assert.equal(server.socket.sent.length, sent);
  assert.equal(await outcome(ff.subscribe("a\ud800", () => {})), "channel_invalid", "no UTF-8");
  assert.ok(valid.length > 5 && invalid.length > 5);
});

test("messages", async (t) => {
  // claims: 4.1
  const { client, server } = world(t);
  const ff = client();
  const { cases } = vectors("messages");
  for (const { why, frame, body, data, ...want } of cases) {
    const got = [];
    const sub = await ff.subscribe(want.channel, (m) => got.push(m));
    server.socket.say(frame);
    assert.deepEqual(got, [{ ...want, data: JSON.parse(data) }], why);
    await sub.unsubscribe();
  }
  assert.ok(cases.length > 5);
});

test("replies", async (t) => {
  // claims: 1.8 2.4 3.1 3.2 3.3 3.5 3.6 3.7 5.1 6.1 6.2
  const { cases } = vectors("replies");
  for (const { why, line, reply, ignored } of cases) {
    await t.test(why, async (t) => {
      const { client, server, clock } = world(t);
      const ff = client({ getToken: () => "t" });
      if (reply?.type === "welcome") server.silent.add("hello");
      if (reply?.expires && reply.type === "authorized") server.welcome.expires = clock.now / 1000 + 1;
      for (const type of ["subscribe", "publish", "unsubscribe", "auth"]) server.silent.add(type);
      const connected = outcome(ff.connect());
      await connected;
      const { socket } = server;
      const ended = [];
      ff.on("unsubscribed", (e) => ended.push(e.error));
      // Commands until one has the reply's ref.
      let asked;
      const sub = ff.subscribe(reply?.channel ?? "a", () => {}).catch((e) => e);
      for (let ref = 2; ref <= (reply?.ref ?? 0); ref++) asked = ff.publish("a", ref).then((r) => r, (e) => e);
      const states = ff.states.length;
      socket.say(line);
      await settle();
      switch (reply?.type) {
        case "welcome":
          return assert.equal(ff.state, "connected");
        case "subscribed":
          return assert.equal((await sub).channel, reply.channel);
        case "published":
          return assert.deepEqual(await asked, { id: reply.id, position: reply.position, duplicate: !!reply.duplicate });
        case "unsubscribed":
          if (reply.ref) return assert.ok(await asked);
          return assert.deepEqual([(await sub).code, (await sub).message, (await sub).remedy], [reply.code, reply.message, reply.remedy]);
        case "authorized":
          return assert.ok(await asked);
        case "ping":
          return assert.equal(socket.of("pong").length, 1);
        case "error": {
          const e = await asked;
          return assert.deepEqual([e.code, e.message, e.remedy, e.channel, e.retryAfter], [reply.code, reply.message, reply.remedy, reply.channel, reply.retry_after]);
        }
        case "close":
          socket.end(reply.close, reply.code);
          return assert.equal(ff.states.at(-1), "reconnecting:" + reply.code);
        default: // pong, and what is ignored
          assert.ok(ignored || reply.type === "pong");
          assert.equal(ff.states.length, states);
          assert.deepEqual([ff.errors, ended], [[], []]);
      }
    });
  }
});

test("the client's commands are commands of the contract", async (t) => {
  // claims: 2.3 3.2 3.5 3.6
  const known = new Map();
  for (const { command } of vectors("commands").cases) {
    if (command) known.set(command.type, new Set([...(known.get(command.type) ?? []), ...Object.keys(command)]));
  }
  const { client, server, page, clock } = world(t);
  server.welcome.expires = clock.now / 1000 + 10;
  const ff = client({ getToken: () => "t" });
  const sub = await ff.subscribe("c", () => {});
  await ff.publish("c", 1, { event: "e", id: "i" });
  await sub.unsubscribe();
  server.socket.say({ type: "ping" });
  page.fire("online");
  await clock.advance(9_000);
  const types = new Set();
  for (const { type, ...members } of server.socket.sent) {
    types.add(type);
    assert.ok(known.has(type), type);
    for (const member of Object.keys(members)) assert.ok(known.get(type).has(member), `${type}: ${member}`);
  }
  assert.deepEqual([...types].sort(), ["auth", "hello", "ping", "pong", "publish", "subscribe", "unsubscribe"]);
});
