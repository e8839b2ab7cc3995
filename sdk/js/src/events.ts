/** One event of a stream of server-sent events. */
export interface StreamEvent {
  /** "message" where the stream named none. */
  name: string;
  data: string;
}

/** Reads a stream of server-sent events, in pieces cut anywhere. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** The events that text completes. */
  push(text: string): StreamEvent[] {
    const found: StreamEvent[] = [];
    // A CR at the end may be half of a CRLF: it waits for what follows.
    const all = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = all.pop()!;
    for (const line of all) {
      if (line) this.#field(line);
      else {
        if (this.#data.length) found.push({ name: this.#name || "message", data: this.#data.join("\n") });
        this.#name = "";
        this.#data = [];
      }
    }
    return found;
  }

  #field(line: string): void {
    const [name, value = ""] = line.split(/: ?(.*)/);
    if (name === "data") this.#data.push(value);
    if (name === "event") this.#name = value;
  }
}
