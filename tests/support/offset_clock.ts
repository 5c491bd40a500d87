// A machine whose wall clock is wrong, and may jump; everything else about its time is real. Imports the clock.
import { type Clock, systemClock } from "../../src/clock.ts";

export class OffsetClock implements Clock {
  /** How far it is ahead of this machine's. */
  offsetMs: number;

  constructor(offsetMs = 0) {
    this.offsetMs = offsetMs;
  }

  now(): number {
    return systemClock.now() + this.offsetMs;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(durationMs, signal);
  }
}
