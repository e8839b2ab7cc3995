// All in one file, for pages without a bundler: /sdk/fanfare.mjs.
export * from "./index.ts";
export { early } from "./early.ts";
export { history } from "./history.ts";
export { occupancy } from "./occupancy.ts";
export { presence } from "./presence.ts";
