import { FanfareError, noAnswer } from "./error.ts";
import { errorOf, type Command, type Frame } from "./frame.ts";
import { Timer } from "./timer.ts";

// In milliseconds.
const patience = 10_000; // for the connection
const answerTime = 15_000; // the server itself tries to store a message for 10 s

/** The frame that answered a command, or why there was none. */
export type Answer = Frame | FanfareError;

/** A command and whoever waits for its answer. */
export interface Request {
  readonly command: Command;
  /** Waits for the connection if it must, and goes out again on the next one, once. */
  readonly patient: boolean;
  /** It went out: from now on the answer is waited for. */
  sent(): void;
  finish(answer: Answer): void;
}

/** Commands that are not answered, in the order in which they were made. */
export class Requests {
  #last = 0;
  readonly #open = new Map<number, Request & { out: boolean; wait(error: FanfareError): void; times: number }>();

  add(command: Command, done: (answer: Answer) => void, patient: boolean): Request {
    const ref = ++this.#last;
    const timer = new Timer();
    const request = {
      command: { ...command, ref },
      patient,
      out: false,
      times: 0,
      sent: () => {
        request.out = true;
        request.times++;
        if (patient) timer.set(answerTime, () => request.finish(noAnswer()));
      },
      wait: (error: FanfareError) => {
        request.out = false;
        timer.set(patience, () => request.finish(error));
      },
      finish: (answer: Answer) => {
        timer.clear();
        if (this.#open.delete(ref)) done(answer);
      },
    };
    this.#open.set(ref, request);
    if (patient) request.wait(new FanfareError("not_connected", "There was no connection in time.", "Try again when connected; the state event tells."));
    return request;
  }

  unsent(): Request[] {
    return [...this.#open.values()].filter((request) => !request.out);
  }

  /** Hands an answer to whoever waits for it. */
  answer(frame: Frame): void {
    this.#open.get(frame.ref!)?.finish(frame.type === "error" ? errorOf(frame) : frame);
  }

  /** The connection is gone: what went out on it gets no answer. What did not waits on, and what may go out again, unless all is over. */
  lose(error: FanfareError, all: boolean): void {
    for (const request of [...this.#open.values()]) {
      if (!all && !request.out) continue;
      request.command.first = undefined;
      if (!all && request.patient && request.times < 2) request.wait(error);
      else request.finish(error);
    }
  }
}
