import assert from "node:assert/strict";
import { test } from "node:test";
import { settle, world } from "./world.mjs";

const lost = "reconnecting:connection_lost";

test("getToken is called for each connect; what it throws is told and tried again", async (t) => {
  // claims: 2.3
  const { client, server, clock } = world(t);
  const tokens = [() => "t1", () => Promise.resolve("t2"), () => Promise.reject(new Error("offline")), () => 7, () => "t5"];
  let calls = 0;
  const ff = client({ getToken: () => tokens[calls++]() });
  await ff.connect();
  server.socket.end(1006);
  await clock.advance(600);
  server.socket.end(1006);
  await clock.advance(10_000);
  assert.deepEqual(server.sockets.map((s) => s.sent[0].token), ["t1", "t2", "t5"]);
  assert.deepEqual(ff.states, ["connecting", "connected", lost, "connected", lost, "connected"]);
  assert.equal(calls, 5);
});

test("a token that cannot be had is the error of the state", async (t) => {
  const { client } = world(t);
  const ff = client({
    getToken: () => {
      throw new Error("no network");
    },
  });
  const changes = [];
  ff.on("state", (c) => changes.push(c));
  ff.connect();
  await settle();
  assert.equal(changes[1].error.code, "token_failed");
  assert.match(changes[1].error.message, /no network/);
  assert.equal(changes[1].error.cause.message, "no network");
});

test("the token is renewed on the live connection before it expires", async (t) => {
  // claims: 3.7 8.6
  const { client, server, clock } = world(t);
  const skew = 3_600_000; // the server's clock is an hour ahead
  server.welcome.time = clock.now + skew;
  server.welcome.expires = (clock.now + skew) / 1000 + 600;
  server.expires = (clock.now + skew) / 1000 + 600 + 100;
  let n = 0;
  const ff = client({ getToken: async () => "t" + ++n });
  await ff.connect();
  const keepAlive = async (ms) => {
    for (; ms > 0; ms -= 10_000) (await clock.advance(Math.min(ms, 10_000)), server.socket.say({ type: "ping" }));
  };
  await keepAlive(539_000);
  assert.deepEqual(server.socket.of("auth"), []);
  await keepAlive(2_000); // a minute before the end
  assert.deepEqual(server.socket.of("auth").map((f) => f.token), ["t2"]);
  await keepAlive(140_000);
  assert.deepEqual(server.socket.of("auth").map((f) => f.token).slice(0, 2), ["t2", "t3"]);
  assert.equal(server.sockets.length, 1);
  assert.deepEqual(ff.errors, []);
});

test("a renewal that fails is told and tried again", async (t) => {
  // claims: 3.7
  const { client, server, clock } = world(t);
  server.welcome.expires = clock.now / 1000 + 100;
  server.expires = clock.now / 1000 + 10_000;
  const tokens = ["t1", new Error("down"), "t3", "t4"];
  const ff = client({
    getToken: () => {
      const token = tokens.shift();
      if (token instanceof Error) throw token;
      return token;
    },
  });
  await ff.connect();
  const keepAlive = async (n) => {
    for (let i = 0; i < n; i++) (await clock.advance(1_000), server.socket.say({ type: "ping" }));
  };
  await keepAlive(81); // four fifths of a short life
  assert.deepEqual(ff.errors.map((e) => e.code), ["token_failed"]);
  server.silent.add("auth");
  await keepAlive(10);
  const [auth] = server.socket.of("auth");
  assert.equal(auth.token, "t3");
  server.socket.say({ type: "error", ref: auth.ref, code: "token_mismatch", message: "m", remedy: "r" });
  assert.deepEqual(ff.errors.map((e) => e.code), ["token_failed", "token_mismatch"]);
  server.silent.clear();
  await keepAlive(11);
  assert.deepEqual(server.socket.of("auth").map((f) => f.token), ["t3", "t4"]);
  assert.equal(ff.state, "connected");
});

test("a renewal that comes too late for its connection is dropped", async (t) => {
  const { client, server, clock } = world(t);
  server.welcome.expires = clock.now / 1000 + 100;
  let give;
  let calls = 0;
  const ff = client({ getToken: () => (++calls === 2 ? new Promise((done) => (give = done)) : "t" + calls) });
  await ff.connect();
  for (let i = 0; i < 81; i++) (await clock.advance(1_000), server.socket.say({ type: "ping" }));
  server.socket.end(1006);
  await clock.advance(600);
  give("late");
  await settle();
  assert.deepEqual(server.sockets.flatMap((s) => s.of("auth")), []);
  assert.equal(ff.state, "connected");
});

for (const end of ["the try was given up", "the client was closed"]) {
  test("a token that comes after " + end + " opens nothing", async (t) => {
    const { client, server, clock } = world(t);
    const gives = [];
    const ff = client({ getToken: () => new Promise((done) => gives.push(done)) });
    ff.connect();
    await settle();
    if (end.includes("closed")) ff.close();
    else await clock.advance(15_300);
    gives[0]("late");
    await settle();
    assert.equal(server.sockets.length, 0);
    gives[1]?.("in time");
    await settle();
    assert.deepEqual(server.sockets.map((s) => s.sent[0].token), end.includes("closed") ? [] : ["in time"]);
  });
}
