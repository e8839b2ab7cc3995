import { FanfareError } from "./error.ts";

/** A frame from a server (PROTOCOL.md, sections 2 to 6). Which members are set depends on its type. */
export interface Frame {
  type: string;
  ref?: number;
  channel?: string;
  code?: string;
  message?: string;
  remedy?: string;
  retry_after?: number;
  close?: number;
  position?: string;
  previous?: string;
  recovered?: boolean;
  id?: string;
  time?: number;
  expires?: number;
  ping_interval?: number;
  max_data?: number;
  [member: string]: unknown;
}

/** A frame to a server. */
export interface Command {
  type: string;
  ref?: number;
  channel?: string;
  since?: string;
  key?: string;
  token?: string;
  client?: string;
  data?: unknown;
  event?: string | undefined;
  id?: string | undefined;
}

/** The JSON objects of a text frame, one a line; lines that are none are left out. */
export function* lines(text: unknown): Generator<Frame> {
  if (typeof text !== "string") return;
  for (const line of text.split("\n")) {
    const frame = parse(line);
    if (frame) yield frame;
  }
}

/** The JSON object in text, if it is one. */
export function parse(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value && typeof value === "object" && !Array.isArray(value)) return value as Frame;
  } catch {
    // A newer server may say what we do not understand; clause 1.8 lets it.
  }
  return undefined;
}

/** The error that an error, close or unsubscribed frame tells of. */
export function errorOf(frame: Frame): FanfareError {
  return new FanfareError(frame.code ?? "internal", frame.message ?? "", frame.remedy ?? "", {
    channel: frame.channel,
    retryAfter: frame.retry_after,
  });
}
