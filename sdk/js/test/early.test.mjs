// Messages that come before they are stored: each once.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { early } from "@fanfarehq/client/early";
import { settle, world } from "./world.mjs";

const { cases } = JSON.parse(readFileSync(new URL("../../protocol/vectors/early.json", import.meta.url), "utf8"));

/** A subscription whose messages are written down: the id, and ! where it came early. */
async function listen(t, answer = { position: "e:0", time: 100 }) {
  const w = world(t);
  w.server.answers.set("c", answer);
  const ff = w.client();
  const got = [];
  const sub = await early(ff, "c", (m) => got.push(m.id + (m.early ? "!" : "")));
  const say = (...frames) => w.server.socket.say(...frames.map((f) => ({ channel: "c", ...f })));
  return { ...w, ff, got, sub, say, w };
}
const ahead = (id, time) => ({ type: "early", id, time, data: id });
const message = (id, time, seq) => ({ type: "message", id, time, data: id, position: "e:" + seq, previous: "e:" + (seq - 1) });

test("early vectors", async (t) => {
  // claims: 4.7 4.8
  for (const { why, frames, handed, position } of cases) {
    await t.test(why, async (t) => {
      const [{ type: _, ...answer }, ...rest] = frames;
      const { w, ff, got, server, clock, say } = await listen(t, answer);
      assert.equal(server.socket.of("subscribe")[0].early, true);
      say(...rest);
      await settle();
      assert.deepEqual(got, handed);
      server.socket.end(1006);
      await clock.advance(31_000);
      assert.equal(server.socket.of("subscribe")[0].since, position);
      assert.deepEqual([ff.errors, w.reported], [[], []]);
    });
  }
});

test("what came early is not handed on again after a break, and what came before the break not early", async (t) => {
  // claims: 4.8
  const { got, server, clock, say } = await listen(t);
  say(message("a", 101, 1), ahead("b", 102));
  server.answers.set("c", { position: "e:2", recovered: true, time: 40_000 });
  server.socket.end(1006);
  await clock.advance(31_000);
  say(ahead("a", 101), message("b", 102, 2), message("x", 103, 3), ahead("d", 104));
  assert.deepEqual(got, ["a", "b!", "x", "d!"]);
});

test("what it has forgotten does not come early; a handler that throws harms nothing", async (t) => {
  // claims: 4.8
  const { got, say, ff, reported } = await listen(t);
  for (let i = 1; i <= 1100; i++) say(message("m" + i, 100 + i, i));
  got.length = 0;
  say(ahead("m1", 101), ahead("m100", 200), ahead("new", 199), ahead("m1000", 1100), ahead("n", 201));
  assert.deepEqual(got, ["n!"]);
  const plain = [];
  await early(ff, "c", () => {
    throw new Error("mine");
  });
  await ff.subscribe("c", (m) => plain.push(m.id));
  say(ahead("o", 5000), message("o", 5000, 1101));
  await settle();
  assert.deepEqual([got.at(-1), plain], ["o!", ["o"]]);
  assert.deepEqual(reported.map((e) => e.message), ["mine"]);
});

test("so many come early, and no more", async (t) => {
  // claims: 4.8
  const { got, say } = await listen(t);
  for (let i = 1; i <= 1005; i++) say(ahead("m" + i, 100 + i));
  assert.equal(got.length, 1000);
  say(ahead("later", 200_000)); // the others can no longer be stored
  assert.equal(got.at(-1), "later!");
});

test("whoever makes the id says that it is the first", async (t) => {
  // claims: 3.13
  const { client, server, clock } = world(t);
  server.silent.add("publish");
  const ff = client();
  await ff.connect();
  const done = [ff.publish("c", 1), ff.publish("c", 2, { id: "mine" })];
  assert.deepEqual(server.socket.of("publish").map((f) => f.first), [true, undefined]);
  server.socket.end(1006);
  server.silent.clear();
  await clock.advance(600);
  assert.deepEqual(server.socket.of("publish").map((f) => f.first), [undefined, undefined]);
  await Promise.all(done);
});
