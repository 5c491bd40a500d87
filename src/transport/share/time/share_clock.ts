// The share's clock, derived from the mtimes of files that this process made there.
import type { Clock } from "../../../base/clock.ts";

/** How long the best sample is valid: a quartz drifts well under 1 ms in that time. */
const SAMPLE_HOLDS_MS = 30_000;
/** No call takes this long: a sample that is further behind means that the share's clock was set back. */
const SET_BACK_MS = 5_000;
/** A sample older than this is renewed when the time is read. An agent that publishes every 5 s needs no extra ones. */
const SAMPLE_FRESH_MS = 8_000;

/**
 * One clock for every process that uses the share. An mtime lags by up to a kernel tick (4 ms) and the way to the server,
 * and is never ahead: the sample that is furthest ahead is the best one.
 */
export class ShareClock {
  readonly #clock: Clock;
  #best: { readonly offsetMs: number; readonly takenAtMs: number } | null = null;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a sample from a file that was made just now. */
  saw(mtimeNs: bigint): void {
    const nowMs = this.#clock.monotonic();
    const offsetMs = instantMs(mtimeNs) - nowMs;
    this.#askedAtMs = nowMs;
    const best = this.#best;
    const behindMs = best === null ? 0 : best.offsetMs - offsetMs;
    const isLate = behindMs > 0 && behindMs < SET_BACK_MS;
    if (best !== null && isLate && nowMs - best.takenAtMs < SAMPLE_HOLDS_MS) return;
    this.#best = { offsetMs, takenAtMs: nowMs };
  }

  /** This machine's clock until the first sample, and permanently without write access. */
  now(): number {
    return this.#best === null ? this.#clock.now() : this.#clock.monotonic() + this.#best.offsetMs;
  }

  get isInStep(): boolean {
    return this.#best !== null;
  }

  /** True once whenever a new sample is due. */
  askForSample(): boolean {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#askedAtMs < SAMPLE_FRESH_MS) return false;
    this.#askedAtMs = nowMs;
    return true;
  }
}

/** An mtime in ms since 1970, to the microsecond. */
export function instantMs(mtimeNs: bigint): number {
  return Number(mtimeNs / 1000n) / 1000;
}
