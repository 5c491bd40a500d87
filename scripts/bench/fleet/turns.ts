// What many simulated agents do again and again, evenly spread over the time between two turns of each.

/** What a pause of the machine left undone is caught up with, up to this. */
const LONGEST_TICK_MS = 500;

/** Each one once within so long. */
export class Turns<One> {
  count = 0;
  readonly #all: readonly One[];
  readonly #perMs: number;
  #lastMs = performance.now();

  constructor(all: readonly One[], everyMs: number) {
    this.#all = all;
    this.#perMs = all.length / everyMs;
  }

  *due(): Generator<One> {
    if (this.#all.length === 0) return;
    const nowMs = performance.now();
    const due = Math.floor(Math.min(nowMs - this.#lastMs, LONGEST_TICK_MS) * this.#perMs);
    this.#lastMs = Math.max(this.#lastMs + due / this.#perMs, nowMs - LONGEST_TICK_MS);
    for (let done = 0; done < due; done++, this.count++) {
      const one = this.#all[this.count % this.#all.length];
      if (one !== undefined) yield one;
    }
  }
}
