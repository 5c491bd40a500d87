// When a reading has delivered what was there at its beginning.
//
// The server's count does not say it: an entry that is just being replaced may be missing from it, and one that is replaced once
// it was delivered comes again and counts as another. So this looks at which entries have come, and up to which sequence.

import { CourierError } from "../../../base/errors.ts";

/** How often the last entry is asked for: between two looks an entry can be replaced twice. */
const MOST_LOOKS = 5;
/** The last entry may vanish without another in its place, so that nothing comes. */
const LOOK_AGAIN_MS = 250;

/** What a reading has delivered. */
export class CatchingUp {
  readonly #keys = new Set<string>();
  #highest = 0;
  #waiting: { readonly upTo: number; readonly resolve: () => void } | undefined;
  #isOver = false;

  delivered(key: string, sequence: number): void {
    if (this.#isOver) return;
    this.#keys.add(key);
    this.#highest = Math.max(this.#highest, sequence);
    if (this.#waiting !== undefined && this.#highest >= this.#waiting.upTo) this.#waiting.resolve();
  }

  /**
   * Resolves when each entry that was there has come, as it was or as it is now. Entries come in the order of their sequences,
   * but those that are replaced come behind all others.
   * @param count the server's, of different keys; at times one too few
   * @param lastSequence of the last entry that is there; 0 without one
   * @throws CourierError `unavailable` after `stop()`
   */
  async untilDone(count: number, lastSequence: () => Promise<number>): Promise<void> {
    for (let looks = 0; looks === 0 || (looks < MOST_LOOKS && this.#keys.size < count); ) {
      const hasCome = await this.#comesUpTo(await lastSequence());
      if (this.#isOver) throw new CourierError("unavailable", "The reading has ended");
      if (hasCome) looks += 1;
    }
    this.stop();
  }

  /** Nothing more is delivered. */
  stop(): void {
    this.#isOver = true;
    this.#keys.clear();
    this.#waiting?.resolve();
  }

  /** @returns false when it takes so long that the entry may be gone */
  async #comesUpTo(upTo: number): Promise<boolean> {
    if (this.#highest >= upTo) return true;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), LOOK_AGAIN_MS);
      this.#waiting = {
        upTo,
        resolve: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
    });
  }
}
