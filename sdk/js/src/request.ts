import { FanfareError, noAnswer } from "./error.ts";
import { errorOf, type Command, type Frame } from "./frame.ts";
import { Timer } from "./timer.ts";

const patience = 10_000; // ms, for the connection and again for the answer

/** The frame that answered a command, or why there was none. */
export type Answer = Frame | FanfareError;

/** A command and whoever waits for its answer. */
export interface Request {
  readonly command: Command;
  /** Waits for the connection if it must. */
  readonly patient: boolean;
  /** It went out: from now on the answer is waited for. */
  sent(): void;
  finish(answer: Answer): void;
}

/** Commands that are not answered, in the order in which they were made. */
export class Requests {
  #last = 0;
  readonly #open = new Map<number, Request & { out: boolean }>();

  add(command: Command, done: (answer: Answer) => void, patient: boolean): Request {
    const ref = ++this.#last;
    const timer = new Timer();
    const request = {
      command: { ...command, ref },
      patient,
      out: false,
      sent: () => {
        request.out = true;
        if (patient) timer.set(patience, () => request.finish(noAnswer()));
      },
      finish: (answer: Answer) => {
        timer.clear();
        if (this.#open.delete(ref)) done(answer);
      },
    };
    this.#open.set(ref, request);
    if (patient) timer.set(patience, () => request.finish(new FanfareError("not_connected", "There was no connection in time.", "Try again when connected; the state event tells.")));
    return request;
  }

  unsent(): Request[] {
    return [...this.#open.values()].filter((request) => !request.out);
  }

  /** Hands an answer to whoever waits for it. */
  answer(frame: Frame): void {
    this.#open.get(frame.ref!)?.finish(frame.type === "error" ? errorOf(frame) : frame);
  }

  /** The connection is gone: what went out on it gets no answer. What did not waits on, unless all is over. */
  lose(error: FanfareError, all: boolean): void {
    for (const request of [...this.#open.values()]) if (all || request.out) request.finish(error);
  }
}
