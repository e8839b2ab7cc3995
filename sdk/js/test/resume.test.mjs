// Nothing is lost, nothing comes twice, or the app is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle, world } from "./world.mjs";

/** A message of channel c at sequence n, behind sequence previous. */
const message = (n, previous = n - 1, more = {}) => ({ type: "message", channel: "c", id: "m" + n, position: "e:" + n, previous: "e:" + previous, time: 1_764_000_000_000 + n, data: n, ...more });

/** A client subscribed to c at e:5, and what it gets. */
async function begun(t, options, answer = { position: "e:5" }) {
  const w = world(t);
  const got = [];
  const gaps = [];
  w.server.answers.set("c", answer);
  const ff = w.client({ key: "k", onGap: (gap) => gaps.push(gap), ...options });
  const sub = await ff.subscribe("c", (m) => got.push(m.data));
  const cut = async () => {
    w.server.socket.end(1006);
    await w.clock.advance(31_000);
  };
  const asked = () => w.server.socket.of("subscribe").map(({ since, at }) => ({ since, at }));
  return { ...w, ff, sub, got, gaps, cut, asked };
}

test("resume: since is the last message's position, at the time of the server's last ping or message", async (t) => {
  // claims: 3.3 3.9
  const { server, clock, ff, got, gaps, cut, asked } = await begun(t);
  const start = clock.now;
  server.answers.set("c", { position: "e:9", recovered: true });
  await clock.advance(10_000);
  await cut(); // before any message: where it began
  assert.deepEqual(asked(), [{ since: "e:5", at: start }]);
  server.socket.say(message(7, 4), message(8)); // 6 was another channel's
  assert.deepEqual(got, [7, 8]);
  await cut();
  assert.deepEqual(asked(), [{ since: "e:8", at: message(8).time }]);
  for (const n of [1, 2, 3]) server.socket.say({ type: "ping", time: start + 60_000 + n });
  await cut();
  assert.deepEqual(asked(), [{ since: "e:8", at: start + 60_003 }]);
  server.socket.say({ type: "ping", time: start + 100_000 });
  server.answers.set("d", { position: "e:9" });
  await ff.subscribe("d", () => {});
  await cut();
  assert.deepEqual(asked()[1], { since: "e:9", at: start + 100_000 });
  assert.deepEqual(gaps, []);
});

test("a time counts only when all up to it is here: not welcome's, not a ping's under a replay", async (t) => {
  // claims: 3.3
  const { server, clock, got, gaps, cut, asked } = await begun(t);
  server.socket.say(message(6));
  server.silent.add("subscribe");
  await cut();
  assert.deepEqual(asked(), [{ since: "e:6", at: message(6).time }]);
  server.socket.say({ type: "ping", time: clock.now }); // the answer is not there yet
  await cut();
  assert.deepEqual(asked(), [{ since: "e:6", at: message(6).time }]);
  const [{ ref }] = server.socket.of("subscribe");
  server.socket.say({ type: "subscribed", ref, channel: "c", position: "e:20", recovered: true }, message(7));
  server.socket.say({ type: "ping", time: clock.now }, message(8), { type: "ping", time: clock.now });
  await cut(); // in the middle of the replay
  assert.deepEqual(asked(), [{ since: "e:8", at: message(8).time }]);
  assert.deepEqual(got, [6, 7, 8]);
  assert.deepEqual(gaps, []);
});

test("what cannot be recovered is told with its reason, and it begins anew at the answer's position", async (t) => {
  // claims: 3.3 3.9
  const { server, got, gaps, cut, asked } = await begun(t);
  for (const [reason, position] of [["expired", "e:10"], ["evicted", "e:40"], ["epoch", "f:3"], ["ephemeral", ""]]) {
    server.answers.set("c", { position, recovered: false, reason });
    const since = gaps.at(-1)?.position ?? "e:5";
    await cut();
    assert.equal(asked()[0].since, since);
    assert.deepEqual(gaps.at(-1), { channel: "c", since, position, reason });
  }
  assert.equal(gaps.length, 4);
  server.socket.say(message(41));
  assert.deepEqual(got, [41]);
});

test("a message that is not newer than the channel's position is dropped, within one epoch", async (t) => {
  // claims: 3.9 4.2 4.3
  const { server, got, gaps, cut } = await begun(t);
  server.socket.say(message(5), message(3), message(6), message(6), message(7, 6), message(6), message(10, 7));
  assert.deepEqual(got, [6, 7, 10]);
  server.answers.set("c", { position: "e:12", recovered: true });
  await cut();
  server.socket.say(message(9), message(10, 7), message(11, 10), message(12));
  assert.deepEqual(got, [6, 7, 10, 11, 12]);
  assert.deepEqual(gaps, []);
});

test("a hole and another epoch are told; a position that the channel shares with others is none", async (t) => {
  // claims: 4.3
  const { server, got, gaps } = await begun(t);
  server.socket.say(message(9, 2), message(12, 9, { previous: "" }));
  assert.deepEqual(gaps, []);
  server.socket.say(message(20, 15));
  assert.deepEqual(gaps, [{ channel: "c", since: "e:12", position: "e:15", reason: "missed" }]);
  server.socket.say({ ...message(3), position: "f:3", previous: "f:2" }, { ...message(4), position: "f:4", previous: "f:3" });
  assert.deepEqual(gaps.slice(1), [{ channel: "c", since: "e:20", position: "f:2", reason: "epoch" }]);
  assert.deepEqual(got, [9, 12, 20, 3, 4]);
});

test("rewind: what is older than the answer's position comes too, and is asked for once", async (t) => {
  // claims: 3.10
  const { client, server, clock } = world(t);
  const ff = client();
  const got = [];
  const gaps = [];
  ff.on("gap", (g) => gaps.push(g));
  server.silent.add("subscribe");
  const subscribed = ff.subscribe("c", (m) => got.push(m.data), { rewind: { count: 3 } });
  await settle();
  server.socket.end(1006); // before the answer: it is asked for again
  server.silent.clear();
  server.answers.set("c", { position: "e:20" });
  await clock.advance(600);
  await subscribed;
  assert.deepEqual(server.socket.of("subscribe").map(({ rewind, since }) => ({ rewind, since })), [{ rewind: { count: 3 }, since: undefined }]);
  server.socket.say(message(7, 5), message(9, 7), { type: "ping", time: clock.now });
  server.answers.set("c", { position: "e:22", recovered: true });
  server.socket.end(1006); // in the middle of it
  await clock.advance(2_000);
  assert.deepEqual(server.socket.of("subscribe").map(({ rewind, since, at }) => ({ rewind, since, at })), [{ rewind: undefined, since: "e:9", at: message(9).time }]);
  server.socket.say(message(12, 9), message(22, 12));
  assert.deepEqual(got, [7, 9, 12, 22]);
  assert.deepEqual(gaps, []);
});

test("since: another page's position is gone on from", async (t) => {
  // claims: 3.3 3.10
  const { client, server } = world(t);
  const ff = client();
  const gaps = [];
  ff.on("gap", (g) => gaps.push(g));
  const got = [];
  server.answers.set("c", { position: "e:20", recovered: true });
  const sub = await ff.subscribe("c", (m) => got.push(m.data), { since: "e:7", rewind: { seconds: 60 } });
  const [{ since, at, rewind }] = server.socket.of("subscribe");
  assert.deepEqual([since, at, rewind], ["e:7", undefined, { seconds: 60 }]);
  server.socket.say(message(9, 5));
  assert.deepEqual([got, sub.position], [[9], "e:7"]);
  server.answers.set("d", { position: "e:20", recovered: false, reason: "expired" });
  await ff.subscribe("d", (m) => got.push(m.data), { since: "e:7", rewind: { count: 1 } });
  server.socket.say({ ...message(15, 14), channel: "d" });
  assert.deepEqual(gaps, [{ channel: "d", since: "e:7", position: "e:20", reason: "expired" }]);
  assert.deepEqual(got, [9, 15]);
});

test("a subscription's position is where history ends and it begins", async (t) => {
  // claims: 9.13
  const { server, ff, sub } = await begun(t);
  assert.equal(sub.position, "e:5");
  server.socket.say(message(6));
  const second = await ff.subscribe("c", () => {});
  assert.equal(second.position, "e:6");
  server.silent.add("subscribe");
  const third = ff.subscribe("d", () => {});
  await settle();
  const { ref } = server.socket.of("subscribe").at(-1);
  server.socket.say({ type: "subscribed", ref, channel: "d", position: "e:6" }, { ...message(7), channel: "d" });
  assert.equal((await third).position, "e:6", "not that of a message that came with the answer");
});

const name = "fanfare https://push.test k";

test("persist: a page that is loaded again goes on where it was", async (t) => {
  const { client, server, clock, page, storage, ff } = await begun(t, { persist: true });
  await ff.subscribe("d", () => {});
  const gone = await ff.subscribe("gone", () => {});
  await gone.unsubscribe();
  server.socket.say(message(6));
  assert.equal(storage.size, 0, "written when the page goes");
  page.fire("pagehide");
  const saved = storage.get(name);
  page.listeners.length = 0; // the page is gone, and its sockets
  server.socket.end(1006);
  ff.close();
  storage.set(name, saved);

  await clock.advance(60_000);
  const again = client({ key: "k", persist: true });
  server.answers.set("c", { position: "e:9", recovered: true });
  const got = [];
  const sub = await again.subscribe("c", (m) => got.push(m.data));
  await again.subscribe("gone", () => {});
  const asked = () => server.socket.of("subscribe").map(({ channel, since, at }) => [channel, since, at]);
  assert.deepEqual(asked(), [["c", "e:6", message(6).time], ["gone", undefined, undefined]]);
  server.socket.say(message(6), message(7));
  assert.deepEqual(got, [7]);
  page.fire("pagehide"); // once more, before d was subscribed to
  const notes = new Map(JSON.parse(storage.get(name)));
  assert.deepEqual([notes.get("c")[0], notes.get("d")[0]], ["e:7", ""]);
  await sub.unsubscribe();
  await again.subscribe("c", () => {});
  assert.equal(asked().at(-1)[1], undefined, "a position is used once");
  again.close();
  assert.equal(storage.get(name), "[]");
});

test("persist: positions older than two minutes, of another key or broken are not used", async (t) => {
  const { client, server, clock, storage } = world(t);
  const note = (age) => JSON.stringify([["c", ["e:5", 1, clock.now - age]]]);
  const since = async (options) => {
    const ff = client({ persist: true, ...options });
    await ff.subscribe("c", () => {});
    const [{ since }] = server.socket.of("subscribe");
    ff.close();
    return since;
  };
  for (const [text, want] of [[note(119_000), "e:5"], [note(120_001), undefined], [note(-3_600_000), undefined], ["{broken", undefined], ["7", undefined], ["null", undefined]]) {
    storage.set(name, text);
    assert.equal(await since({ key: "k" }), want, text);
  }
  storage.set(name, note(0));
  assert.equal(await since({ key: "other" }), undefined);
  assert.equal(await since({ getToken: () => "t" }), undefined);
  storage.set(name, note(0));
  assert.equal(await since({ key: "k", persist: false }), undefined);
  assert.equal(storage.get(name), note(0));
});

test("persist: without sessionStorage nothing is kept and nothing breaks", async (t) => {
  const { client, page } = world(t);
  for (const storage of [undefined, { getItem() { throw new DOMException("no", "SecurityError"); }, setItem() { throw new DOMException("full", "QuotaExceededError"); } }]) {
    globalThis.sessionStorage = storage;
    const ff = client({ key: "k", persist: true });
    await ff.subscribe("c", () => {});
    page.fire("pagehide");
    ff.close();
    assert.equal(ff.state, "closed");
  }
});
