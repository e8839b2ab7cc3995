import { FanfareError } from "./error.ts";
import type { Rewind } from "./types.ts";

/** A frame from a server (PROTOCOL.md, sections 2 to 6). Which members are set depends on its type. */
export interface Frame {
  type: string;
  ref?: number | undefined;
  channel?: string | undefined;
  code?: string | undefined;
  message?: string | undefined;
  remedy?: string | undefined;
  retry_after?: number | undefined;
  close?: number | undefined;
  position?: string;
  previous?: string;
  recovered?: boolean;
  reason?: string;
  duplicate?: boolean;
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
  ref?: number | undefined;
  channel?: string;
  since?: string;
  at?: number | undefined;
  rewind?: Rewind | undefined;
  key?: string | undefined;
  token?: string | undefined;
  client?: string;
  data?: unknown;
  event?: string | undefined;
  id?: string | undefined;
  if_position?: string | undefined;
  early?: true | undefined;
  first?: true | undefined;
  presence?: true | undefined;
  occupancy?: boolean | undefined;
  action?: string;
}

/** The frame in text; undefined where there is none, for a newer server may say what we do not understand (clause 1.8). */
export function parse(text: string): Frame | undefined {
  try {
    return (JSON.parse(text) as Frame | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The error that an error, close or unsubscribed frame tells of. */
export function errorOf(frame: Frame): FanfareError {
  const { code = "internal", message = code, remedy = "", channel, retry_after: retryAfter, position } = frame;
  return new FanfareError(code, message, remedy, { channel, retryAfter, position });
}
