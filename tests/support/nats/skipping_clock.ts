// The system's clock, whose monotonic time a test can move ahead.
import { type Clock, systemClock } from "#src/base/clock.ts";

export class SkippingClock implements Clock {
  #skippedMs = 0;

  now(): number {
    return systemClock.now();
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#skippedMs;
  }

  async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(durationMs, signal);
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
  }
}
