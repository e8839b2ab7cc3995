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
  Rewind,
  SocketClass,
  SocketLike,
  State,
  StateChange,
  SubscribeOptions,
  Subscription,
} from "./types.ts";
