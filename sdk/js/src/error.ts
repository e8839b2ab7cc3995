/** What a {@link FanfareError} knows besides its code, message and remedy. */
export interface ErrorDetails {
  /** The channel it is about. */
  channel?: string | undefined;
  /** When trying again makes sense, in milliseconds. */
  retryAfter?: number | undefined;
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
  override readonly name = "FanfareError" as const;
  readonly code: string;
  /** What to do first. */
  readonly remedy: string;
  readonly channel: string | undefined;
  /** When trying again makes sense, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, remedy: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.remedy = remedy;
    this.channel = details.channel;
    this.retryAfter = details.retryAfter;
    if (details.cause !== undefined) Object.defineProperty(this, "cause", { value: details.cause, configurable: true });
  }
}
