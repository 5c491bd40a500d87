// Random numbers that can be had again: the same for the same seed.

/** The seed that `SEED` in the environment gives, to see a run again; else any. */
export function seedOfRun(): number {
  return Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

/** A sequence by xorshift32, George Marsaglia, "Xorshift RNGs", 2003. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    // Never 0; and seeds that are near each other must not begin alike.
    this.#state = (Math.imul(seed + 1, 2_654_435_761) | 1) >>> 0;
  }

  /** A whole number from 0 up to, and without, `limit`. */
  below(limit: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state % limit;
  }

  /** One of these. @throws when the list is empty */
  pick<Value>(from: readonly Value[]): Value {
    const found = from[this.below(from.length)];
    if (found === undefined) throw new Error("Nothing to pick from");
    return found;
  }
}
