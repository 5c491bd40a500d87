// Lets so many bytes a second pass in all: for all pulls or fetches, and all connections of each.
import type { Clock } from "../../base/clock.ts";

/** A timer that fires late costs nothing of the rate; of a pause, no more is made up for. */
const LATE_MS = 250;
const MOST_BYTES = 16 << 20;
const LEAST_BYTES = 4096;
/** In a second. */
const SLICES = 8;

export class RateLimit {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #freeAtMs = -Infinity;

  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /**
   * How much to take at once: an eighth of a second. Ollama opens 16 connections for each of its downloads, and asks again on one
   * that gets nothing for 30 s.
   */
  get sliceBytes(): number {
    return Math.floor(Math.min(MOST_BYTES, Math.max(LEAST_BYTES, this.#bytesPerSecond / SLICES)));
  }

  /** Resolves when these bytes may pass, in the order of the calls, or when the signal aborts. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonic();
    const startMs = Math.max(this.#freeAtMs, nowMs - LATE_MS);
    this.#freeAtMs = startMs + (bytes / this.#bytesPerSecond) * 1000;
    if (this.#freeAtMs > nowMs) await this.#clock.sleep(this.#freeAtMs - nowMs, signal);
  }
}
