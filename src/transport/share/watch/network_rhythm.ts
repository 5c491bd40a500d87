// Watching on a network file system: other machines' changes cause no events, only fresh listings show them.
import type { Clock } from "../../../base/clock.ts";
import type { Rhythm } from "./rhythm.ts";

const IDLE_MS = 1_000;
const BUSY_MS = 50;
/** How long after something came or was sent the folder is listed often. */
const BUSY_FOR_MS = 10_000;
/** Most responses come at once. */
const EAGER_MS = 20;
const EAGER_FOR_MS = 2_000;
/**
 * How long to wait after the last listing that differed. While changes keep coming, each reveals those before it. A change
 * that the last one may have hidden came in the same tick of the server's clock: 4 ms (ext4, HZ 250) to 10 ms.
 */
const NUDGE_AFTER_MS = 100;
const TICK_MS = 15;
const NUDGE_EVERY_MS = 10_000;

export interface NetworkRhythmOptions {
  readonly clock: Clock;
  /** Since when something has been awaited here, on the monotonic clock; null when nothing is. */
  readonly awaitedSinceMs: () => number | null;
  /**
   * Changes the folder and changes it back, so that its mtime moves; null where the kernel does not need it.
   * Of two changes within one tick NFSv3 may show only the first, until the folder changes again.
   * @returns false where no change can be missed
   */
  readonly nudge: (() => Promise<boolean>) | null;
}

export class NetworkRhythm implements Rhythm {
  readonly #options: NetworkRhythmOptions;
  #stirredAtMs: number;
  #quietMs = BUSY_MS;
  #nudgeAtMs: number;
  #names: readonly string[] = [];

  constructor(options: NetworkRhythmOptions) {
    this.#options = options;
    this.#stirredAtMs = this.#nowMs();
    this.#nudgeAtMs = options.nudge === null ? Number.POSITIVE_INFINITY : this.#nowMs();
  }

  /** The listing waits after a nudge: in the same tick it would hide later changes of that tick. */
  async beforeListing(): Promise<number> {
    const { nudge } = this.#options;
    if (nudge === null || this.#nowMs() < this.#nudgeAtMs) return 0;
    this.#nudgeAtMs = this.#nowMs() + NUDGE_EVERY_MS;
    return (await nudge()) ? TICK_MS : 0;
  }

  prepare(): boolean {
    return false;
  }

  replaced(): void {}

  listed(names: readonly string[]): void {
    this.#quietMs = this.#isBusy() ? BUSY_MS : Math.min(2 * this.#quietMs, IDLE_MS);
    if (this.#options.nudge === null) return;
    // Dot names come and go with nudges, ours and those of other watchers.
    const seen = names.filter((name) => !name.startsWith("."));
    const differs = seen.length !== this.#names.length || seen.some((name, index) => name !== this.#names[index]);
    this.#names = seen;
    if (differs) this.#nudgeAtMs = this.#nowMs() + NUDGE_AFTER_MS;
  }

  intervalMs(): number {
    const { awaitedSinceMs } = this.#options;
    const since = awaitedSinceMs();
    const isEager = since !== null && this.#nowMs() - since < EAGER_FOR_MS;
    const intervalMs = isEager ? EAGER_MS : this.#isBusy() ? BUSY_MS : this.#quietMs;
    return Math.max(0, Math.min(intervalMs, this.#nudgeAtMs - this.#nowMs()));
  }

  stir(): void {
    this.#stirredAtMs = this.#nowMs();
  }

  close(): void {}

  #isBusy(): boolean {
    return this.#options.awaitedSinceMs() !== null || this.#nowMs() - this.#stirredAtMs < BUSY_FOR_MS;
  }

  #nowMs(): number {
    return this.#options.clock.monotonic();
  }
}
