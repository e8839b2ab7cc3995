// What is shipped: declarations, module formats, the script for pages.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { declarations } from "../internal/types.mjs";

const read = (name) => readFileSync(new URL("../" + name, import.meta.url), "utf8");
const path = (name) => fileURLToPath(new URL("../" + name, import.meta.url));

test("the declarations are what src declares: npm run types", () => {
  const want = Object.entries(declarations());
  assert.equal(want.length, 10);
  for (const [name, text] of want) assert.equal(read("dist/" + name), text, name);
});

test("right code compiles, wrong code does not", () => {
  const tsc = spawnSync(process.execPath, [path("node_modules/typescript/bin/tsc"), "-p", path("test/types")], { encoding: "utf8" });
  assert.equal(tsc.stdout + tsc.stderr, "");
  assert.equal(tsc.status, 0);
});

test("import and require give the same names", async () => {
  const required = createRequire(import.meta.url)("@fanfarehq/client");
  const imported = await import("@fanfarehq/client");
  assert.deepEqual(Object.keys(required).sort(), ["Fanfare", "FanfareError"]);
  assert.deepEqual(Object.keys(imported).sort(), ["Fanfare", "FanfareError"]);
  assert.equal(required.Fanfare.Error, required.FanfareError);
  const whole = await import("../dist/fanfare.mjs");
  assert.deepEqual(Object.keys(whole).sort(), ["Fanfare", "FanfareError", "early", "history", "occupancy", "presence"]);
  for (const part of [await import("@fanfarehq/client/history"), createRequire(import.meta.url)("@fanfarehq/client/history")]) assert.deepEqual(Object.keys(part), ["history"]);
  for (const part of [await import("@fanfarehq/client/early"), createRequire(import.meta.url)("@fanfarehq/client/early")]) assert.deepEqual(Object.keys(part), ["early"]);
  for (const part of [await import("@fanfarehq/client/occupancy"), createRequire(import.meta.url)("@fanfarehq/client/occupancy")]) assert.deepEqual(Object.keys(part), ["occupancy"]);
  for (const part of [await import("@fanfarehq/client/presence"), createRequire(import.meta.url)("@fanfarehq/client/presence")]) assert.deepEqual(Object.keys(part), ["presence"]);
});

test("the script has one global, the class, and knows the server it came from", async () => {
  for (const [src, origin, want] of [
    ["https://push.test/sdk/fanfare.js", "https://page.test", "wss://push.test/v1/ws"],
    ["http://page.test/push/sdk/fanfare.js?v=1", "http://page.test", "ws://page.test/push/v1/ws"],
    ["https://cdn.test/npm/@fanfarehq/client/dist/fanfare.js", "https://page.test", "wss://page.test/v1/ws"],
    [undefined, "https://page.test", "wss://page.test/v1/ws"],
  ]) {
    const urls = [];
    class WebSocket {
      readyState = 0;
      constructor(url) {
        urls.push(url);
      }
      close() {}
    }
    const page = vm.createContext({ document: { currentScript: src && { src }, addEventListener() {}, removeEventListener() {} }, location: { origin }, WebSocket, setTimeout, clearTimeout, fetch() {}, console });
    const before = new Set(Object.keys(page));
    vm.runInContext(read("dist/fanfare.js"), page);
    assert.deepEqual(Object.keys(page).filter((k) => !before.has(k)), ["Fanfare"]);
    assert.equal(page.Fanfare.name, "Fanfare");
    assert.equal(page.Fanfare.Error.name, "FanfareError");
    assert.equal(typeof page.Fanfare.history, "function");
    assert.equal(typeof page.Fanfare.presence, "function");
    const ff = new page.Fanfare({ key: "k" });
    ff.connect();
    await new Promise((done) => setImmediate(done));
    ff.close();
    assert.deepEqual(urls, [want]);
  }
});
