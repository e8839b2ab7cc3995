// How many there are: over both doors and any reconnect.
import assert from "node:assert/strict";
import { test } from "node:test";
import { occupancy } from "@fanfarehq/client/occupancy";
import { presence } from "@fanfarehq/client/presence";
import { settle, world } from "./world.mjs";

const told = (subscribers, members = 0) => ({ type: "occupancy", channel: "c", occupancy: { subscribers, members } });

/** A server that tells how many there are, behind each subscribe that asks for it. */
function counted(t) {
  const w = Object.assign(world(t), { count: 1, log: [], errors: [] });
  const { server } = w;
  const [answer, begin] = [server.answer.bind(server), server.begin.bind(server)];
  server.answer = (socket, f) => {
    answer(socket, f);
    if (f.type !== "subscribe" || server.answers.get(f.channel)?.(f).code) return;
    if (f.presence) socket.say({ type: "presence", channel: "c", action: "sync", members: [] });
    if (f.occupancy) socket.say(told(w.count));
  };
  server.begin = (stream) => {
    begin(stream);
    if (stream.url.searchParams.get("occupancy")) stream.event("occupancy", told(w.count));
  };
  w.watch = (ff) => occupancy(ff, "c", ({ subscribers, members }) => w.log.push([subscribers, members]), ({ code }) => w.errors.push(code));
  return w;
}

test("the first numbers, what changes, over a break and to server-sent events and back", async (t) => {
  // claims: 11.8 11.12
  const w = counted(t);
  const ff = w.client();
  const counter = await w.watch(ff);
  assert.equal(w.server.socket.of("subscribe")[0].occupancy, true);
  assert.equal(w.server.socket.of("subscribe")[0].presence, undefined);
  assert.deepEqual([counter.channel, counter.active, counter.numbers], ["c", true, { subscribers: 1, members: 0 }]);
  w.server.socket.say(told(2, 1), told(2, 1), { ...told(9), channel: "d" });
  assert.deepEqual(w.log, [[1, 0], [2, 1]]);
  w.count = 3;
  w.server.socket.end(1006);
  await w.clock.advance(31_000);
  assert.deepEqual(w.log.splice(0), [[1, 0], [2, 1], [3, 0]]);

  w.server.ws = "refuse";
  w.count = 4;
  w.server.socket.end(1006);
  await w.clock.advance(20_000);
  assert.equal(w.server.stream.url.search, "?channel=c&occupancy=c");
  w.server.stream.event("occupancy", told(5));
  await settle();
  assert.deepEqual(w.log.splice(0), [[4, 0], [5, 0]]);
  w.server.ws = "up";
  w.count = 6;
  await w.clock.advance(700_000);
  assert.deepEqual(w.log.at(-1), [6, 0]);
  assert.deepEqual(w.errors, []);
  await counter.close();
  assert.deepEqual([counter.active, w.server.socket.of("unsubscribe").length], [false, 1]);
});

test("where the rule has none it is refused, and neither handlers nor presence are", async (t) => {
  // claims: 11.8
  const w = counted(t);
  const ff = w.client();
  let off = true;
  w.server.answers.set("c", (f) => (off && f.occupancy ? { type: "error", code: "presence_off", message: "Off." } : {}));
  await assert.rejects(w.watch(ff), { code: "presence_off" });
  const got = [];
  await ff.subscribe("c", (m) => got.push(m.data));
  const room = await presence(ff, "c");
  await assert.rejects(w.watch(ff), { code: "presence_off" });
  await settle();
  w.server.publish("c", 1);
  assert.deepEqual([room.active, got, w.log, w.errors], [true, [1], [], []]);
  off = false;
  const counter = await w.watch(ff);
  assert.equal(room.active, true);
  off = true;
  w.server.socket.end(1006);
  await w.clock.advance(31_000);
  assert.deepEqual([counter.active, room.active, w.errors], [false, true, ["presence_off"]]);
});

test("the client's end is the counter's", async (t) => {
  const w = counted(t);
  const ff = w.client();
  const counter = await w.watch(ff);
  ff.close();
  assert.deepEqual([counter.active, w.errors], [false, []]);
  await assert.rejects(w.watch(ff), { code: "closed" });
});
