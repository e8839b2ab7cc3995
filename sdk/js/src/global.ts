import { Fanfare } from "./client.ts";

// For <script src="/sdk/fanfare.js">: the class itself is the one global name.
Object.assign(globalThis, { Fanfare });
