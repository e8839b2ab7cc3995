// Whatever is cut, and whenever: each message comes once and in order, or the app is told that some are missing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle, world } from "./world.mjs";

/** Random whole numbers below n, the same for the same seed. */
function dice(seed) {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Makes w's server one with durable channels that share a sequence, and with wires on which frames take their time. */
function durable(w, keep) {
  const { server, clock } = w;
  const d = { log: [], epoch: 0, seq: 0, wires: [], held: () => d.wires.filter((x) => x.open()) };
  const place = (seq = d.seq) => `e${d.epoch}:${seq}`;
  const of = (channel) => d.log.filter((m) => m.channel === channel && m.epoch === d.epoch);
  const frame = ({ channel, id, seq, previous, time }) => ({ type: "message", channel, id, position: place(seq), previous: previous ? place(previous) : "", time, data: seq });
  const previous = (channel) => of(channel).at(-1)?.seq;

  d.publish = (channel, id = "s" + d.seq) => {
    const first = d.log.find((m) => m.id === id && m.channel === channel);
    if (first) return { id, position: `e${first.epoch}:${first.seq}`, duplicate: true };
    const m = { channel, id, previous: previous(channel), epoch: d.epoch, seq: ++d.seq, time: clock.now };
    d.log.push(m);
    for (const wire of d.held()) if (wire.channels.has(channel)) wire.push(frame(m));
    return { id, position: place() };
  };
  /** What a subscribe is answered with, and the replay behind it. */
  const attach = (channel, since) => {
    const answer = { type: "subscribed", channel, position: place() };
    if (since === undefined) return [answer];
    const [epoch, seq] = since.slice(1).split(":").map(Number);
    const missed = of(channel).filter((m) => m.seq > seq);
    if (epoch !== d.epoch) return [{ ...answer, recovered: false, reason: "epoch" }];
    if (missed.length > keep) return [{ ...answer, recovered: false, reason: "evicted" }];
    return [{ ...answer, recovered: true }, ...missed.map(frame)];
  };
  const wire = (open, out, cut) => {
    const x = { open, cut, channels: new Set(), queue: [], at: new Map(), push: (f) => x.queue.push(f), flush: (n) => x.queue.splice(0, n).forEach(out) };
    d.wires.push(x);
    return x;
  };
  server.answer = (socket, f) => {
    const { ref, channel } = f;
    const x = (socket.wire ??= wire(() => socket.readyState === 1, (frame) => socket.readyState === 1 && socket.say(frame), () => socket.end(1006)));
    const say = (reply) => x.push({ ...reply, ref });
    if (f.type === "hello") x.push({ ...server.welcome, time: clock.now });
    if (f.type === "publish") say({ type: "published", ...d.publish(channel, f.id) });
    if (f.type !== "subscribe") return;
    x.channels.add(channel);
    const [answer, ...replay] = attach(channel, f.since);
    say(answer);
    replay.forEach(x.push);
  };
  server.begin = (stream) => {
    // An id is as the server made it, or of positions: here all have one epoch.
    const last = stream.lastID && (stream.lastID[0] === "{" ? JSON.parse(stream.lastID) : Object.fromEntries(stream.channels.map((name) => [name, stream.lastID.split("@")[0]])));
    const known = last && Object.keys(last).sort().join() === [...stream.channels].sort().join();
    const x = wire(
      () => stream.open,
      (f) => {
        if (f.position) x.at.set(f.channel, f.type === "subscribed" && f.recovered ? last[f.channel] : f.position);
        const id = JSON.stringify(Object.fromEntries(x.at));
        if (f.type === "message") stream.event("", f, id);
        else if (f.type) stream.event(f.type, f);
        else stream.event("", undefined, x.at.size === stream.channels.length && id);
      },
      () => stream.end(),
    );
    x.push({ ...server.welcome, time: clock.now });
    for (const channel of stream.channels) {
      x.channels.add(channel);
      attach(channel, known ? last[channel] : undefined).forEach(x.push);
    }
  };
  const fetch = server.fetch;
  server.fetch = async (url, init) => {
    const path = new URL(url).pathname;
    if (path === "/v1/messages" && server.http === "up") {
      const { channel, id } = JSON.parse(init.body);
      server.problems.set(path, [200, d.publish(channel, id)]);
      if (d.lose) throw new TypeError("the answer is lost");
    }
    return fetch(url, init);
  };
  d.anew = () => {
    d.epoch++;
    d.held().forEach((x) => x.cut());
  };
  d.life = () => d.held().forEach((x) => x.push(x.at.size ? {} : { type: "ping", time: clock.now }));
  return d;
}

for (const { doors, keep, strict } of [
  { doors: ["up"], keep: Infinity, strict: true },
  { doors: ["up"], keep: 4 },
  { doors: ["refuse"], keep: Infinity },
  { doors: ["up", "refuse"], keep: 6 },
  { doors: ["up", "refuse"], keep: Infinity },
]) {
  for (let seed = 1; seed <= 25; seed++) {
    test(`WebSocket ${doors.join("/")}, ${keep} kept, seed ${seed}`, async (t) => {
      // claims: 3.3 3.9 3.11 4.2 4.3 7.7
      const w = world(t);
      const { server, clock } = w;
      const roll = dice(seed);
      const d = durable(w, keep);
      server.ws = doors[0];
      if (strict) server.http = "refuse"; // it never falls back
      const ff = w.client();
      const seen = { a: [], b: [] };
      ff.on("gap", ({ channel }) => seen[channel].push("gap"));
      const published = [];
      const subscribe = async (channel) => {
        seen[channel].position = (await ff.subscribe(channel, (m) => seen[channel].push(m.position))).position;
      };
      const subscribing = [subscribe("a")];
      for (let step = 0; step < 150; step++) {
        const held = d.held();
        const any = held[roll(held.length || 1)];
        const dart = roll(100);
        if (dart < 30) d.publish("ab"[roll(2)]);
        else if (dart < 38) published.push(ff.publish("ab"[roll(2)], step).catch((e) => e));
        else if (dart < 70) any?.flush(1 + roll(6));
        else if (dart < 76) any?.cut();
        else if (dart < 79) server.ws = doors[roll(doors.length)];
        else if (dart < 81) d.lose = !d.lose;
        else if (dart < 82 && !strict) d.anew();
        else if (dart < 84 && !subscribing[1]) subscribing.push(subscribe("b"));
        else {
          d.life();
          await clock.advance(roll(2_000));
        }
        await settle();
      }
      d.lose = false;
      const calm = async () => {
        for (let i = 0; i < 30; i++) {
          d.held().forEach((x) => x.flush(Infinity));
          d.life();
          await clock.advance(1_500);
        }
      };
      await calm();
      await Promise.all(subscribing);
      for (const channel of subscribing[1] ? ["a", "b"] : ["a"]) d.publish(channel, "last");
      await calm();

      for (const channel of subscribing[1] ? ["a", "b"] : ["a"]) {
        const path = d.log.filter((m) => m.channel === channel).map((m) => `e${m.epoch}:${m.seq}`);
        const order = (p) => p.slice(1).split(":").reduce((e, s) => e * 1e6 + Number(s), 0);
        let at = order(seen[channel].position);
        let told = false;
        for (const step of seen[channel]) {
          if (step === "gap") {
            told = true;
            continue;
          }
          assert.ok(order(step) > at, `${channel}: ${step} after ${at}: ${seen[channel]}`);
          const missed = path.filter((p) => order(p) > at && order(p) < order(step));
          assert.ok(told || !missed.length, `${channel}: ${missed} missing before ${step}, and nobody was told: ${seen[channel]}`);
          at = order(step);
          told = false;
        }
        assert.equal(seen[channel].at(-1), path.at(-1), `${channel} is all there in the end`);
        if (strict) assert.ok(!seen[channel].includes("gap"), `a gap where there was none: ${seen[channel]}`);
      }
      for (const result of await Promise.all(published)) {
        if (!(result instanceof Error)) assert.equal(d.log.filter((m) => m.id === result.id).length, 1, "published once");
      }
    });
  }
}
