// Divides long work on the main thread into short turns, so that requests are served in between.

export class Turn {
  readonly #lastsMs: number;
  #endsAtMs: number;

  /** @param lastsMs how long the work may take between two looks at the event loop */
  constructor(lastsMs: number) {
    this.#lastsMs = lastsMs;
    this.#endsAtMs = performance.now() + lastsMs;
  }

  /** To be awaited between two pieces of work: lets everything else run once the turn is over. */
  async next(): Promise<void> {
    if (performance.now() < this.#endsAtMs) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#endsAtMs = performance.now() + this.#lastsMs;
  }
}
