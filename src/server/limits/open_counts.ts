// Counts what is open, in all and for each caller.
import { type Caller, limitsKeyOf } from "../access/caller.ts";

type Counted = Pick<Caller, "name" | "way" | "accounts">;

export class OpenCounts {
  readonly #open = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(caller: Counted): number {
    return this.#open.get(limitsKeyOf(caller)) ?? 0;
  }

  /** Counts one in. @returns what counts it out */
  add(caller: Counted): () => void {
    const key = limitsKeyOf(caller);
    this.#total += 1;
    this.#open.set(key, this.of(caller) + 1);
    return () => {
      this.#total -= 1;
      const left = (this.#open.get(key) ?? 0) - 1;
      if (left > 0) this.#open.set(key, left);
      else this.#open.delete(key);
    };
  }
}
