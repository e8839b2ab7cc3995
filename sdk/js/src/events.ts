/** One event of a stream of server-sent events. */
export interface StreamEvent {
  /** "message" where the stream named none. */
  name: string;
  data: string;
  /** The last id up to here. */
  id: string;
}

/** Reads a stream of server-sent events, in pieces cut anywhere. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];
  #id = "";

  /** The events that text completes, those without data too: they may have an id. */
  push(text: string): StreamEvent[] {
    const found: StreamEvent[] = [];
    // A CR at the end may be half of a CRLF: it waits for what follows.
    const all = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = all.pop()!;
    for (const line of all) {
      if (line) this.#field(line);
      else {
        found.push({ name: this.#name || "message", data: this.#data.join("\n"), id: this.#id });
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
    if (name === "id") this.#id = value;
  }
}
