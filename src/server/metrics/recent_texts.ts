// Texts that everybody who may see the same gets again for a while: the longer one took to make, the longer.
import type { Clock } from "../../base/clock.ts";

/** Making the same text takes at most about a twentieth of the server's time, however often somebody asks. */
const TIMES_ITS_MAKING = 20;
const LONGEST_MS = 5_000;
const MOST_TEXTS = 8;

interface Kept {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly untilMs: number;
}

export class RecentTexts {
  readonly #clock: Pick<Clock, "monotonic">;
  /** The oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** @param key of all that decides what the text shows */
  get(key: string, make: () => string): Uint8Array<ArrayBuffer> {
    const beganMs = this.#clock.monotonic();
    const known = this.#kept.get(key);
    if (known !== undefined && beganMs < known.untilMs) return known.bytes;
    const bytes = new TextEncoder().encode(make());
    const nowMs = this.#clock.monotonic();
    this.#keep(key, { bytes, untilMs: nowMs + Math.min(TIMES_ITS_MAKING * (nowMs - beganMs), LONGEST_MS) }, nowMs);
    return bytes;
  }

  #keep(key: string, kept: Kept, nowMs: number): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    for (const [other, { untilMs }] of this.#kept)
      if (untilMs <= nowMs || this.#kept.size > MOST_TEXTS) this.#kept.delete(other);
  }
}
