import { FanfareError } from "./error.ts";
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
        if (patient) timer.set(patience, () => request.finish(new FanfareError("no_answer", "The server did not answer within 10 seconds.", "The message may or may not have gone out; publish it again with the same id.")));
      },
      finish: (answer: Answer) => {
        timer.clear();
        if (this.#open.delete(ref)) done(answer);
      },
    };
    this.#open.set(ref, request);
    if (patient) timer.set(patience, () => request.finish(new FanfareError("not_connected", "There was no connection within 10 seconds.", "Try again when the client is connected; the state event tells when.")));
    return request;
  }

  unsent(): Request[] {
    return [...this.#open.values()].filter((request) => !request.out);
  }

  /** Hands an answer to whoever waits for it. */
  answer(frame: Frame): void {
    this.#open.get(frame.ref!)?.finish(frame.type === "error" ? errorOf(frame) : frame);
  }

  /** The connection is gone: what went out on it gets no answer; what did not waits on. */
  lose(error: FanfareError): void {
    for (const request of [...this.#open.values()]) if (request.out || !request.patient) request.finish(error);
  }

  end(error: FanfareError): void {
    for (const request of [...this.#open.values()]) request.finish(error);
  }
}
