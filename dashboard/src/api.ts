// A client of the public REST API: nothing here that anybody else could not
// call. The cookie of the session goes along by itself.

export interface Account {
  id: string;
  name: string;
}

export interface Limits {
  connections: number;
  channels_per_connection: number;
  message_bytes: number;
  publish_per_second: number;
  subscribe_per_second: number;
}

export interface App {
  id: string;
  name: string;
  created: string;
  limits: Limits;
}

export interface Grants {
  subscribe?: string[];
  publish?: string[];
  presence?: string[];
  history?: string[];
}

export interface Key {
  id: string;
  kind: "publishable" | "secret";
  name: string;
  created: string;
  expires?: string | null;
  allowed_origins?: string[] | null;
  grants?: Grants | null;
  key?: string; // the text: always for publishable keys, never again for secret ones
}

export interface Published {
  id: string;
  position: string;
}

/** Problem is an error that the server told (RFC 9457), or `unreachable` when
 * it told nothing. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }

  /** ended says that the session is over, or never was. */
  get ended(): boolean {
    return this.status === 401;
  }
}

/** base is where the server is mounted: this page is at `<base>dashboard/`. */
export const base: URL = new URL("../", new URL(".", document.baseURI));

async function call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Authorization"] = "Bearer " + key;
  let answer: Response;
  try {
    answer = await fetch(new URL(path, base), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: key ? "omit" : "same-origin",
      cache: "no-store",
    });
  } catch {
    throw new Problem(0, "unreachable", "The server does not answer.", "See that it runs (fanfare doctor), then try again.");
  }
  const text = await answer.text();
  let value: Record<string, unknown> = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    if (answer.ok) throw new Problem(answer.status, "bad_answer", "The server's answer is not JSON.", "See whether a proxy stands between.");
  }
  if (!answer.ok) {
    throw new Problem(
      answer.status,
      String(value["code"] ?? "http_" + answer.status),
      String(value["detail"] ?? value["title"] ?? "The server refused."),
      String(value["remedy"] ?? ""),
    );
  }
  return value as T;
}

const app = (id: string): string => "v1/apps/" + encodeURIComponent(id);

export const api = {
  signIn: (code: string) => call<void>("POST", "v1/session", { code }),
  signOut: () => call<void>("DELETE", "v1/session"),
  account: () => call<Account>("GET", "v1/account"),
  apps: async () => (await call<{ apps: App[] }>("GET", "v1/apps")).apps,
  keys: async (id: string) => (await call<{ keys: Key[] }>("GET", app(id) + "/keys")).keys,
  createKey: (id: string, key: unknown) => call<Key>("POST", app(id) + "/keys", key),
  publish: (key: string, message: unknown) => call<Published>("POST", "v1/messages", message, key),
};
