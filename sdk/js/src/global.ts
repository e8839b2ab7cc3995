import { Fanfare } from "./client.ts";
import { early } from "./early.ts";
import { history } from "./history.ts";
import { occupancy } from "./occupancy.ts";
import { presence } from "./presence.ts";

// For <script src="/sdk/fanfare.js">: the class itself is the one global name, with all the rest on it.
Object.assign(globalThis, { Fanfare: Object.assign(Fanfare, { early, history, occupancy, presence }) });
