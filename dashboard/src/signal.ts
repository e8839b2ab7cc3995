// Values that tell who uses them when they change. The names and the meaning
// are those of @preact/signals, so that a view can move there unchanged.

type Listener = () => void;

let running: Effect | null = null;

interface Effect {
  run: Listener;
  sources: Set<Set<Listener>>;
  ends: Listener[];
}

export interface Signal<T> {
  value: T;
  peek(): T;
}

/** signal holds one value. Reading `.value` inside an effect makes the effect
 * run again when the value changes; `peek` reads without that. */
export function signal<T>(initial: T): Signal<T> {
  let current = initial;
  const listeners = new Set<Listener>();
  return {
    get value(): T {
      if (running) {
        listeners.add(running.run);
        running.sources.add(listeners);
      }
      return current;
    },
    set value(next: T) {
      if (Object.is(next, current)) return;
      current = next;
      for (const run of [...listeners]) if (listeners.has(run)) run();
    },
    peek: () => current,
  };
}

/** effect runs fn now and whenever a signal that it read changes, until the
 * function that it returns is called. What fn returned is called before the
 * next run and at the end; effects made in fn end then too. */
export function effect(fn: () => void | (() => void)): () => void {
  const self: Effect = { run, sources: new Set(), ends: [] };
  function run(): void {
    end();
    const outer = running;
    running = self;
    try {
      const cleanup = fn();
      if (cleanup) self.ends.push(cleanup);
    } finally {
      running = outer;
    }
  }
  function end(): void {
    for (const listeners of self.sources) listeners.delete(run);
    self.sources.clear();
    for (const e of self.ends.splice(0)) e();
  }
  running?.ends.push(end);
  run();
  return end;
}
