// A machine whose wall clock is wrong, and may jump; everything else about its time is another clock's.
import { type Clock, systemClock } from "#src/base/clock.ts";

export class OffsetClock implements Clock {
  /** How far it is ahead of the other. */
  offsetMs: number;
  readonly #other: Clock;

  constructor(offsetMs = 0, other: Clock = systemClock) {
    this.offsetMs = offsetMs;
    this.#other = other;
  }

  now(): number {
    return this.#other.now() + this.offsetMs;
  }

  monotonic(): number {
    return this.#other.monotonic();
  }

  async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    await this.#other.sleep(durationMs, signal);
  }
}
