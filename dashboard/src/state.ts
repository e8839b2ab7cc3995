// What the page knows, and the few things that change it. Views read signals
// and call these functions; they never call the API by themselves.

import { type Account, type App, type Key, Problem, api } from "./api";
import { signal } from "./signal";

/** Phase is what the whole page shows. */
export type Phase =
  | { name: "loading" }
  | { name: "console" }
  | { name: "door"; why: "none" | "used" | "ended" | "out" }
  | { name: "unreachable"; problem: Problem };

export const phase = signal<Phase>({ name: "loading" });
export const account = signal<Account | null>(null);
export const apps = signal<App[]>([]);
export const current = signal<App | null>(null);
export const keys = signal<Key[] | null>(null); // null: not here yet
export const keysProblem = signal<Problem | null>(null);

/** start signs in with code, if there is one, and shows the console if there
 * is a session. A link that was used up does not matter to who is in already. */
export async function start(code: string): Promise<void> {
  let used = false;
  try {
    if (code) {
      try {
        await api.signIn(code);
      } catch (e) {
        if (!(e instanceof Problem) || e.code === "unreachable") throw e;
        used = true;
      }
    }
    account.value = await api.account();
    apps.value = await api.apps();
    choose(location.hash);
    if (phase.peek().name !== "console") phase.value = { name: "console" };
  } catch (e) {
    fail(e, used ? "used" : "none");
  }
}

/** choose shows the app that the address names (`#/apps/<id>`), else the first. */
export function choose(hash: string): void {
  const id = /^#\/apps\/(.+)$/.exec(hash)?.[1];
  const list = apps.peek();
  const next = list.find((a) => a.id === id) ?? list[0] ?? null;
  if (next?.id === current.peek()?.id) return;
  current.value = next;
  if (next) void loadKeys(next);
}

export async function loadKeys(app: App): Promise<void> {
  keys.value = null;
  keysProblem.value = null;
  try {
    const list = await api.keys(app.id);
    if (current.peek()?.id === app.id) keys.value = list;
  } catch (e) {
    if (e instanceof Problem && e.ended) fail(e, "ended");
    else if (current.peek()?.id === app.id) keysProblem.value = asProblem(e);
  }
}

const temporary = "dashboard, temporary";
const hour = 60 * 60 * 1000;

/** makeKey makes a key with which this page may publish for an hour, from
 * this address only. */
export async function makeKey(app: App): Promise<Key> {
  try {
    const key = await api.createKey(app.id, {
      kind: "publishable",
      name: temporary,
      grants: { subscribe: ["*"], publish: ["*"] },
      allowed_origins: [location.origin],
      expires: new Date(Date.now() + hour).toISOString(),
    });
    if (current.peek()?.id === app.id) keys.value = [...(keys.peek() ?? []), key];
    return key;
  } catch (e) {
    if (e instanceof Problem && e.ended) fail(e, "ended");
    throw asProblem(e);
  }
}

/** usable are the keys that this page may hold, the most able first. */
export function usable(list: Key[]): Key[] {
  const alive = list.filter((k) => k.kind === "publishable" && k.key && !(k.expires && Date.parse(k.expires) < Date.now()));
  const rank = (k: Key): number => (k.grants?.publish?.length ? 0 : 1);
  return alive.sort((a, b) => rank(a) - rank(b));
}

export async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } catch (e) {
    if (!(e instanceof Problem) || !e.ended) return fail(e, "ended");
  }
  leave("out");
}

function fail(e: unknown, why: "none" | "used" | "ended"): void {
  const problem = asProblem(e);
  if (problem.ended) leave(why);
  else phase.value = { name: "unreachable", problem };
}

function leave(why: "none" | "used" | "ended" | "out"): void {
  account.value = null;
  apps.value = [];
  current.value = null;
  keys.value = null;
  phase.value = { name: "door", why };
}

export function asProblem(e: unknown): Problem {
  return e instanceof Problem ? e : new Problem(0, "page", e instanceof Error ? e.message : String(e), "Load the page again.");
}
