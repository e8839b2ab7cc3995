/** What a {@link FanfareError} knows besides its code, message and remedy. */
export interface ErrorDetails {
  /** The channel it is about. */
  channel?: string | undefined;
  /** When trying again makes sense, in milliseconds. */
  retryAfter?: number | undefined;
  /** Where the channel is, of `position_conflict`. */
  position?: string | undefined;
  /** What was thrown first. */
  cause?: unknown;
}

/**
 * The one kind of error that the client rejects with and reports.
 *
 * `code` is for programs and never changes. It is one of the server's codes (PROTOCOL.md, section 10) or the client's own:
 * `closed`, `not_connected`, `no_answer`, `connection_lost`, `token_failed`, `options_invalid`.
 */
export class FanfareError extends Error {
  declare readonly code: string;
  /** What to do first. */
  declare readonly remedy: string;
  declare readonly channel: string | undefined;
  /** When trying again makes sense, in milliseconds. */
  declare readonly retryAfter: number | undefined;
  /** Where the channel is, of `position_conflict`. */
  declare readonly position: string | undefined;

  constructor(code: string, message: string, remedy: string, details: ErrorDetails = {}) {
    super(message);
    Object.assign(this, { name: "FanfareError", code, remedy }, details);
  }
}

/** The client was closed; cause says why, where it was not the app that did it. */
export function closed(cause?: FanfareError): FanfareError {
  return cause ?? new FanfareError("closed", "The client is closed.", "Make a new Fanfare.");
}

export function connectionLost(): FanfareError {
  return new FanfareError("connection_lost", "The connection broke.", "The client comes back by itself; what was under way may or may not have gone out.");
}

export function noAnswer(): FanfareError {
  return new FanfareError("no_answer", "The server did not answer in time.", "The client tries again by itself; what was under way may or may not have gone out.");
}

export function optionsInvalid(message: string, remedy: string): FanfareError {
  return new FanfareError("options_invalid", message, remedy);
}
