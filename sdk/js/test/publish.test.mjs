import assert from "node:assert/strict";
import { test } from "node:test";
import { outcome, world } from "./world.mjs";

test("publish: waits for a connection, at most 10 s, then in order", async (t) => {
  const { client, server, clock } = world(t);
  server.ws = "hang";
  server.http = "refuse";
  const ff = client();
  const first = outcome(ff.publish("c", 0).catch((e) => Promise.reject(e)));
  const late = ff.publish("c", 0).then(() => "", (e) => e.code);
  await first;
  await clock.advance(9_000);
  const data = { n: 1 };
  const ok = [ff.publish("c", data), ff.publish("c", { n: 2 })];
  data.n = 99; // what counts is what it was
  await clock.advance(1_001);
  assert.equal(await late, "not_connected");
  server.socket.open();
  await Promise.all(ok);
  assert.deepEqual(server.socket.of("publish").map((f) => f.data), [{ n: 1 }, { n: 2 }]);
});

test("publish: no answer for 15 s", async (t) => {
  const { client, server, clock } = world(t);
  server.silent.add("publish");
  const ff = client();
  await ff.connect();
  const a = ff.publish("c", 1).then(() => "", (e) => e.code);
  await clock.advance(14_990);
  assert.equal(await outcome(a), "pending");
  await clock.advance(20);
  assert.equal(await a, "no_answer");
});

test("publish: one under which the connection breaks is sent again, once, in order and with its id", async (t) => {
  // claims: 3.11
  const { client, server, clock } = world(t);
  server.silent.add("publish");
  const ff = client();
  await ff.connect();
  const done = [ff.publish("c", 1), ff.publish("c", 2), ff.publish("c", 3, { id: "mine", event: "e" })];
  server.socket.say({ type: "published", ref: 1, id: "x", position: "e:1" });
  assert.deepEqual(await done[0], { id: "x", position: "e:1", duplicate: false });
  const first = server.socket.of("publish").slice(1);
  server.socket.end(1006);
  const later = ff.publish("c", 4);
  server.silent.clear();
  server.answers.set("c", ({ data }) => (data === 2 ? { position: "e:2", duplicate: true } : { position: "e:" + data }));
  await clock.advance(600);
  const again = server.socket.of("publish");
  assert.deepEqual(again.slice(0, 2), first.map(({ first: _, ...f }) => f));
  assert.deepEqual(again.map((f) => f.data), [2, 3, 4]);
  assert.deepEqual(await done[1], { id: first[0].id, position: "e:2", duplicate: true });
  assert.deepEqual(await done[2], { id: "mine", position: "e:3", duplicate: false });
  assert.equal((await later).position, "e:4");
});

test("publish: broken twice is connection_lost, and so is no connection within 10 s", async (t) => {
  const { client, server, clock } = world(t);
  server.silent.add("publish");
  const ff = client();
  await ff.connect();
  const code = (promise) => promise.then(() => "", (e) => e.code);
  const twice = code(ff.publish("c", 1));
  server.socket.end(1006);
  await clock.advance(600);
  assert.equal(server.socket.of("publish").length, 1);
  server.socket.end(1006);
  assert.equal(await twice, "connection_lost");
  await clock.advance(2_000);
  const late = code(ff.publish("c", 1));
  server.ws = server.http = "refuse";
  server.socket.end(1006);
  await clock.advance(9_990);
  assert.equal(await outcome(late), "pending");
  await clock.advance(20);
  assert.equal(await late, "connection_lost");
  server.ws = server.http = "up";
  await clock.advance(31_000);
  assert.deepEqual(server.socket.of("publish"), []);
});

test("publish: the client makes ids, and hands on what is asked of the position", async (t) => {
  // claims: 1.3 3.12
  const { client, server } = world(t);
  const ff = client();
  const ids = new Set();
  for (let i = 0; i < 100; i++) ids.add((await ff.publish("c", i)).id);
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{21,64}$/);
  await ff.publish("c", 1, { ifPosition: "" });
  assert.equal(server.socket.of("publish").at(-1).if_position, "");
  server.answers.set("c", { type: "error", code: "position_conflict", message: "m", remedy: "r", position: "e:9" });
  const e = await ff.publish("c", 1, { ifPosition: "e:7" }).catch((e) => e);
  assert.equal(server.socket.of("publish").at(-1).if_position, "e:7");
  assert.deepEqual([e.code, e.position], ["position_conflict", "e:9"]);
});
