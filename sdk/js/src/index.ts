export { Fanfare } from "./client.ts";
export { FanfareError, type ErrorDetails } from "./error.ts";
export type {
  Credential,
  Ended,
  Events,
  Fetch,
  Gap,
  Message,
  Options,
  Place,
  Published,
  PublishOptions,
  ResponseLike,
  SocketClass,
  SocketLike,
  State,
  StateChange,
  Subscription,
} from "./types.ts";
