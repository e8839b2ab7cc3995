// Writes dist/*.d.ts and .d.cts: what tsc declares of the public files, as one file for each way in.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Way in → files, in the order in which they need each other. */
const ways = { fanfare: ["error", "types", "client"], early: ["early"], history: ["history"], occupancy: ["occupancy"], presence: ["presence"] };

/** The declarations, made from src: file name → text. */
export function declarations() {
  const out = mkdtempSync(join(tmpdir(), "fanfare-types-"));
  try {
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", root, "--noEmit", "false", "--emitDeclarationOnly", "--rootDir", join(root, "src"), "--outDir", out], { stdio: "inherit" });
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const head = `/*! @fanfarehq/client ${version} | Apache-2.0 | https://github.com/fanfarehq/fanfare */\n`;
    const made = {};
    for (const [way, files] of Object.entries(ways)) {
      const texts = files.map((name) => readFileSync(join(out, name + ".d.ts"), "utf8").replace(/^import .*\n/gm, "").trim());
      const names = { early: "Fanfare, Message, SubscribeOptions, Subscription", history: "Fanfare, Gap, Message", occupancy: "Fanfare, FanfareError", presence: "Fanfare, FanfareError" }[way];
      if (names) texts.unshift(`import type { ${names} } from "@fanfarehq/client";`);
      for (const ext of ["d.ts", "d.cts"]) made[`${way}.${ext}`] = head + "\n" + texts.join("\n\n") + "\n";
    }
    return made;
  } finally {
    rmSync(out, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of Object.entries(declarations())) writeFileSync(join(root, "dist", name), text);
}
