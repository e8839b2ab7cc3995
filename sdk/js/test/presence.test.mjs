// Who is here: a snapshot and what changes make one map, over any reconnect.
import assert from "node:assert/strict";
import { test } from "node:test";
import { presence } from "@fanfarehq/client/presence";
import { outcome, settle, world } from "./world.mjs";

const token = { getToken: () => "t" };
const told = (action, members, more = {}) => ({ type: "presence", channel: "c", action, members, ...more });
const ann = { user: "ann", data: { n: 1 }, connections: 1 };
const bob = { user: "bob", connections: 2 };

/** A server that tells who is in c, behind each subscribe that asks for it, and answers commands. */
function house(t) {
  const w = world(t);
  const h = Object.assign(w, { here: [ann], commands: [], refuse: new Map(), log: [] });
  const answer = w.server.answer.bind(w.server);
  w.server.answer = (socket, f) => {
    if (f.type !== "presence") {
      answer(socket, f);
      if (f.type === "subscribe" && f.presence && h.here && !w.server.answers.get(f.channel)) socket.say(told("sync", h.here));
      return;
    }
    h.commands.push([f.action, f.data]);
    if (h.mute) return;
    const refusal = h.refuse.get(f.action);
    socket.say(refusal ? { type: "error", ref: f.ref, channel: f.channel, ...refusal } : { type: "presence_ok", ref: f.ref, channel: f.channel, action: f.action });
  };
  h.cut = async () => {
    w.server.socket.end(1006);
    await w.clock.advance(31_000);
  };
  h.listen = (room) => {
    for (const name of ["enter", "update", "leave"]) room.on(name, ({ user }) => h.log.push(name + " " + user));
    room.on("sync", (all) => h.log.push("sync " + [...all.keys()]));
    room.on("error", ({ code }) => h.log.push("error " + code));
    return room;
  };
  h.news = () => h.log.splice(0);
  return h;
}

test("the room is there when all members are; then changes are told and the map has them", async (t) => {
  // claims: 11.2 11.4
  const h = house(t);
  h.here = null;
  const pending = presence(h.client(token), "c");
  await settle();
  assert.equal(h.server.socket.of("subscribe")[0].presence, true);
  h.server.socket.say(told("sync", [ann], { more: true }));
  assert.equal(await outcome(pending), "pending");
  h.server.socket.say(told("sync", [bob]));
  const room = h.listen(await pending);
  assert.deepEqual([...room.members], [["ann", ann], ["bob", bob]]);
  assert.deepEqual([room.channel, room.active], ["c", true]);
  const eve = { user: "eve", connections: 1 };
  room.on("leave", (m) => assert.deepEqual([m, room.members.has("ann")], [ann, false]));
  h.server.socket.say(told("enter", [eve]), told("update", [{ ...bob, connections: 1 }]), told("leave", [{ user: "ann" }]));
  assert.deepEqual(h.news(), ["enter eve", "update bob", "leave ann"]);
  assert.deepEqual([...room.members.values()], [{ user: "bob", connections: 1 }, eve]);
  h.server.socket.say(told("leave", [{ user: "ann" }]), told("enter", [eve]), { ...told("enter", [ann]), channel: "d" });
  assert.deepEqual(h.news(), []);
});

test("enter, update and leave", async (t) => {
  // claims: 11.1 11.2
  const h = house(t);
  const room = await presence(h.client(token), "c");
  await assert.rejects(room.update(1), { code: "not_present" });
  await room.enter({ n: 1 });
  await room.update({ n: 2 });
  await room.leave();
  await room.leave();
  await room.enter();
  await room.close();
  await room.close();
  assert.equal(room.active, false);
  assert.deepEqual(h.commands, [["enter", { n: 1 }], ["enter", { n: 2 }], ["leave", undefined], ["enter", undefined], ["leave", undefined]]);
  assert.equal(h.server.socket.of("unsubscribe").length, 1);
  await assert.rejects(room.enter(), { code: "closed" });
});

test("after a break it enters again with its last data, and tells only what differs", async (t) => {
  // claims: 11.3 11.4
  const h = house(t);
  h.here = [ann, bob];
  const room = h.listen(await presence(h.client(token), "c"));
  await room.enter({ n: 1 });
  await room.update({ n: 2 });
  h.server.socket.say(told("sync", [{ user: "ghost", connections: 1 }], { more: true })); // cut in its middle
  h.here = [{ ...ann, data: { n: 7 } }, { user: "eve", connections: 1 }];
  h.commands.length = 0;
  await h.cut();
  assert.deepEqual(h.commands, [["enter", { n: 2 }]]);
  assert.deepEqual(h.news(), ["leave bob", "update ann", "enter eve", "sync ann,eve"]);
  await h.cut();
  assert.deepEqual(h.news(), ["sync ann,eve"]);
  await room.leave();
  h.commands.length = 0;
  await h.cut();
  assert.deepEqual(h.commands, []);
});

test("a refused update leaves what was said before; an update during a break waits for the end of it", async (t) => {
  // claims: 11.1
  const h = house(t);
  const room = await presence(h.client(token), "c");
  await room.enter(1);
  h.refuse.set("enter", { code: "presence_invalid" });
  await assert.rejects(room.update("x".repeat(2000)), { code: "presence_invalid" });
  h.refuse.clear();
  h.commands.length = 0;
  await h.cut();
  assert.deepEqual(h.commands, [["enter", 1]]);
  h.server.socket.end(1006);
  const updated = room.update(2);
  await h.clock.advance(5_000);
  await updated;
  assert.deepEqual(new Set(h.commands.slice(1).map(([, data]) => data)), new Set([2]));
});

test("coming back too fast is tried again; a refusal is told", async (t) => {
  // claims: 11.6
  const h = house(t);
  const room = h.listen(await presence(h.client(token), "c"));
  await room.enter(1);
  h.refuse.set("enter", { code: "rate_limited", retry_after: 20_000 });
  h.server.socket.end(1006);
  await h.clock.advance(5_000);
  h.commands.length = 0;
  h.refuse.set("enter", { code: "channel_limit" });
  h.news();
  await h.clock.advance(20_000);
  assert.deepEqual([h.commands, h.news()], [[["enter", 1]], ["error channel_limit"]]);
  await h.cut();
  assert.equal(h.commands.length, 1);
});

test("beside handlers of the channel: it is subscribed to anew, behind the last message", async (t) => {
  // claims: 3.4 11.4
  const h = house(t);
  const ff = h.client(token);
  const got = [];
  h.server.answers.set("c", (f) => ({ position: "e:5", recovered: !!f.since }));
  const sub = await ff.subscribe("c", (m) => got.push(m.data));
  const pending = presence(ff, "c");
  await settle();
  const said = h.server.socket.sent.slice(2).map(({ type, since, presence }) => ({ type, since, presence }));
  assert.deepEqual(said, [{ type: "unsubscribe", since: undefined, presence: undefined }, { type: "subscribe", since: "e:5", presence: true }]);
  h.server.socket.say(told("sync", []));
  const room = await pending;
  h.server.publish("c", 1, { position: "e:6", previous: "e:5" });
  assert.deepEqual(got, [1]);
  await room.close();
  assert.deepEqual([sub.active, h.server.socket.of("unsubscribe").length], [true, 1]);
});

test("refused: the room is, the channel's handlers are not", async (t) => {
  // claims: 11.1
  const h = house(t);
  const ff = h.client(token);
  h.server.answers.set("c", (f) => (f.presence ? { type: "error", code: "not_granted" } : {}));
  await assert.rejects(presence(ff, "c"), { code: "not_granted" });
  const got = [];
  const sub = await ff.subscribe("c", (m) => got.push(m.data));
  await assert.rejects(presence(ff, "c"), { code: "not_granted" });
  await settle();
  h.server.publish("c", 1);
  assert.deepEqual([sub.active, got], [true, [1]]);
  // Granted, and then no more.
  h.server.answers.clear();
  const room = h.listen(await presence(ff, "c"));
  h.server.answers.set("c", (f) => (f.presence ? { type: "error", code: "presence_off" } : {}));
  await h.cut();
  assert.deepEqual([room.active, sub.active, h.news()], [false, true, ["error presence_off"]]);
});

/** The server's streams tell who is in c, if they are asked. */
function streams(h) {
  const begin = h.server.begin.bind(h.server);
  h.server.begin = (stream) => {
    begin(stream);
    if (stream.url.searchParams.get("presence") && h.here) stream.event("presence", told("sync", h.here));
  };
}

test("over server-sent events: members and what changes, no entering; a WebSocket takes over", async (t) => {
  // claims: 11.12
  const h = house(t);
  streams(h);
  h.server.ws = "refuse";
  const ff = h.client(token);
  const pending = presence(ff, "c");
  await h.clock.advance(5_000);
  const room = h.listen(await pending);
  assert.deepEqual(h.server.stream.url.search, "?channel=c&presence=c");
  assert.deepEqual([...room.members.keys()], ["ann"]);
  h.server.stream.event("presence", told("enter", [bob]));
  h.server.stream.event("presence", told("leave", [{ user: "ann" }]));
  await settle();
  assert.deepEqual([h.news(), [...room.members.keys()]], [["enter bob", "leave ann"], ["bob"]]);
  await assert.rejects(room.enter(1), ({ code, remedy }) => code === "unknown_command" && /Let WebSocket through/.test(remedy));
  // Another channel, so another stream: a sync that was cut in its middle counts for nothing, the old stream neither.
  const old = h.server.stream;
  old.event("presence", told("sync", [{ user: "ghost", connections: 1 }], { more: true }));
  await settle();
  h.here = [bob, { user: "eve", connections: 1 }];
  void ff.subscribe("d", () => {});
  await h.clock.advance(20);
  if (old.open) old.event("presence", told("leave", [{ user: "bob" }]));
  await h.clock.advance(2_000);
  assert.deepEqual([h.news(), [...room.members.keys()]], [["enter eve", "sync bob,eve"], ["bob", "eve"]]);
  h.here = [ann];
  h.server.stream.end();
  await h.clock.advance(40_000);
  assert.deepEqual(h.news().slice(0, 4), ["leave bob", "leave eve", "enter ann", "sync ann"]);
  h.server.ws = "up";
  h.here = [bob];
  // Signs of life, until a WebSocket is tried again.
  for (let s = 0; s < 130 && h.server.socket.readyState !== 1; s++) {
    await h.clock.advance(5_000);
    h.server.stream.raw(":\n\n");
  }
  await settle();
  assert.deepEqual(h.news().slice(0, 3), ["leave ann", "enter bob", "sync bob"]);
  await room.enter(2);
  assert.deepEqual(h.commands, [["enter", 2]]);
});

test("who has entered is told that server-sent events cannot, and enters again with the WebSocket", async (t) => {
  const h = house(t);
  streams(h);
  const room = h.listen(await presence(h.client(token), "c"));
  await room.enter(1);
  h.server.ws = "refuse";
  h.here = [bob];
  h.server.socket.end(1006);
  await h.clock.advance(20_000);
  assert.deepEqual(h.news(), ["leave ann", "enter bob", "sync bob", "error unknown_command"]);
  h.server.ws = "up";
  h.commands.length = 0;
  await h.clock.advance(700_000);
  assert.deepEqual(h.commands.at(-1), ["enter", 1]);
});

test("over server-sent events a refusal ends the room only, and another channel is not asked for", async (t) => {
  const h = house(t);
  streams(h);
  h.server.ws = "refuse";
  const refuse = (channel) => {
    const { fetch } = h.server;
    return (url, init) => {
      const bad = new URL(url).searchParams.getAll("presence").includes(channel);
      h.server.problems[bad ? "set" : "delete"]("/v1/sse", [403, { code: "not_granted", channel, detail: "No." }]);
      return fetch(url, init);
    };
  };
  const got = [];
  const ff = h.client({ ...token, fetch: refuse("c") });
  const sub = ff.subscribe("c", (m) => got.push(m.data));
  await h.clock.advance(5_000);
  const refused = assert.rejects(presence(ff, "c"), { code: "not_granted" });
  await h.clock.advance(5_000);
  await refused;
  h.server.publish("c", 1);
  await settle();
  assert.deepEqual([(await sub).active, got], [true, [1]]);
  ff.close();

  const other = h.client({ ...token, fetch: refuse("d") });
  const pending = presence(other, "c");
  await h.clock.advance(5_000);
  const room = h.listen(await pending);
  const more = other.subscribe("d", (m) => got.push(m.data));
  await h.clock.advance(2_000);
  await more;
  h.server.publish("d", 2);
  await settle();
  assert.deepEqual([room.active, h.news(), got], [true, ["sync ann"], [1, 2]]);
  assert.equal(h.server.stream.url.search, "?channel=c&channel=d&presence=c");
});

for (const transport of ["up", "refuse"]) {
  test("a rule that takes presence away ends the room, and messages go on: WebSocket " + transport, async (t) => {
    // claims: 11.14
    const h = house(t);
    streams(h);
    h.server.ws = transport;
    const ff = h.client(token);
    const got = [];
    void ff.subscribe("c", (m) => got.push(m.data));
    const pending = presence(ff, "c");
    await h.clock.advance(5_000);
    const room = h.listen(await pending);
    const refusal = { channel: "c", code: "presence_off", message: "Off.", remedy: "Switch it on." };
    if (transport === "up") h.server.socket.say({ type: "error", ...refusal });
    else h.server.stream.event("error", refusal);
    await h.clock.advance(5_000);
    h.server.publish("c", 1);
    await settle();
    assert.deepEqual([room.active, h.news(), got], [false, ["error presence_off"], [1]]);
    if (transport === "refuse") assert.equal(h.server.stream.url.search, "?channel=c");
  });
}

test("the client's end is the room's", async (t) => {
  const h = house(t);
  const ff = h.client(token);
  const room = h.listen(await presence(ff, "c"));
  h.here = null;
  const pending = assert.rejects(presence(ff, "c"), { code: "closed" });
  await settle();
  ff.close();
  await pending;
  assert.deepEqual([room.active, h.news()], [false, []]);
  await assert.rejects(presence(ff, "c"), { code: "closed" });
  const other = h.client(token);
  h.here = [];
  const ended = h.listen(await presence(other, "c"));
  h.server.socket.say({ type: "unsubscribed", channel: "c", code: "not_granted" });
  assert.deepEqual([ended.active, h.news()], [false, ["error not_granted"]]);
  assert.deepEqual(h.reported, []);
});
